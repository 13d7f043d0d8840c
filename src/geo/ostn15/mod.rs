//! The Ordnance Survey's transformation OSTN15, from the National Grid (OSGB36) to ETRS89.
//!
//! Formulas and constants are from "A Guide to Coordinate Systems in Great Britain" (Ordnance Survey), annexes B and C,
//! and from the user guide of OSTN15. The table of shifts is the official one, converted by `scripts/ostn15`; its
//! licence is LICENCE.txt.

use std::io::Read;
use std::sync::LazyLock;

/// Nodes of the table from west to east, a kilometre apart.
const COLUMNS: usize = 701;
/// Nodes of the table from south to north, a kilometre apart.
const ROWS: usize = 1_251;
/// The base values of the stored shifts east and north, in millimetres.
const BASES: [i32; 2] = [90_000, -80_000];

/// The semi-major axis of the ellipsoid GRS80, in metres.
const GRS80_A: f64 = 6_378_137.0;
/// The semi-minor axis of the ellipsoid GRS80, in metres.
const GRS80_B: f64 = 6_356_752.314_140;
/// The scale on the National Grid's central meridian.
const F0: f64 = 0.999_601_271_7;
/// The latitude of the National Grid's true origin, in degrees.
const LAT0: f64 = 49.0;
/// The longitude of the National Grid's true origin, in degrees.
const LNG0: f64 = -2.0;
/// The easting of the true origin, in metres.
const E0: f64 = 400_000.0;
/// The northing of the true origin, in metres.
const N0: f64 = -100_000.0;

/// Returns the latitude and longitude in ETRS89, in degrees, of a point on the National Grid in metres, or `None`
/// outside the table.
///
/// ETRS89 is used as WGS84: they drift apart by 2.5 cm a year.
pub(crate) fn to_lat_lng(easting: f64, northing: f64) -> Option<(f64, f64)> {
    // The table is indexed by ETRS89 and the point is not, so the shift is found by iteration. Neighbouring shifts
    // differ by a few parts in 10,000, so that two or three iterations are enough anywhere.
    let (mut east, mut north) = shift(easting, northing)?;
    for _ in 0..10 {
        let (next_east, next_north) = shift(easting - east, northing - north)?;
        let moved = (next_east - east).abs().max((next_north - north).abs());
        (east, north) = (next_east, next_north);
        if moved < 1e-5 {
            break;
        }
    }
    Some(unproject(easting - east, northing - north))
}

/// Returns the shifts east and north, in metres, at a point in ETRS89 grid coordinates, interpolated bilinearly between
/// four nodes.
fn shift(easting: f64, northing: f64) -> Option<(f64, f64)> {
    let (column, right) = cell(easting, COLUMNS)?;
    let (row, up) = cell(northing, ROWS)?;
    let [east, north] = &*SHIFTS;
    let at = |shifts: &[i32]| {
        let node = |row, column| shifts.get(row * COLUMNS + column).copied().map(f64::from);
        let south = node(row, column)? * (1.0 - right) + node(row, column + 1)? * right;
        let north = node(row + 1, column)? * (1.0 - right) + node(row + 1, column + 1)? * right;
        Some((south * (1.0 - up) + north * up) / 1_000.0)
    };
    Some((at(east)?, at(north)?))
}

/// Returns the node before a coordinate in metres, and the fraction of the way to the next, from 0 to 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the table, which is checked")]
#[expect(clippy::cast_precision_loss, reason = "there are 1,251 nodes at most")]
fn cell(metres: f64, nodes: usize) -> Option<(usize, f64)> {
    let kilometres = metres / 1_000.0;
    if !(0.0..=(nodes - 1) as f64).contains(&kilometres) {
        return None;
    }
    // The last node has no cell of its own.
    let node = (kilometres as usize).min(nodes - 2);
    Some((node, kilometres - node as f64))
}

/// The shifts east and north at each node in millimetres, row by row from the south-west.
static SHIFTS: LazyLock<[Vec<i32>; 2]> = LazyLock::new(|| {
    let mut bytes = Vec::with_capacity(2 * 2 * COLUMNS * ROWS);
    // The input is a constant, and a test reads it to the end.
    #[expect(clippy::expect_used, reason = "cannot fail: the bytes are part of the program")]
    flate2::read::ZlibDecoder::new(&include_bytes!("shifts.bin")[..]).read_to_end(&mut bytes).expect("zlib");
    let (east, north) = bytes.split_at(bytes.len() / 2);
    [sum(east, BASES[0]), sum(north, BASES[1])]
});

/// Reverses the prediction of `scripts/ostn15`: a value is the sum of all residuals to its south-west, its own
/// included.
fn sum(residuals: &[u8], base: i32) -> Vec<i32> {
    let mut values: Vec<i32> = Vec::with_capacity(COLUMNS * ROWS);
    let mut row_sum = 0;
    for (index, bytes) in residuals.chunks_exact(2).enumerate() {
        if index % COLUMNS == 0 {
            row_sum = 0;
        }
        row_sum += i32::from(i16::from_le_bytes([bytes[0], bytes[1]]));
        let south = if index < COLUMNS { base } else { values[index - COLUMNS] };
        values.push(south + row_sum);
    }
    values
}

/// Returns the latitude and longitude in degrees of a point in ETRS89 on the National Grid's projection, by the
/// transverse Mercator series of the Ordnance Survey's guide (annex C.2), whose names it keeps.
fn unproject(easting: f64, northing: f64) -> (f64, f64) {
    let (a, b, lat0) = (GRS80_A * F0, GRS80_B * F0, LAT0.to_radians());
    let e2 = 1.0 - (b * b) / (a * a);
    let n = (a - b) / (a + b);
    let meridional_arc = |lat: f64| {
        let (minus, plus) = (lat - lat0, lat + lat0);
        b * ((1.0 + n + 1.25 * n.powi(2) + 1.25 * n.powi(3)) * minus
            - (3.0 * n + 3.0 * n.powi(2) + 2.625 * n.powi(3)) * minus.sin() * plus.cos()
            + 1.875 * (n.powi(2) + n.powi(3)) * (2.0 * minus).sin() * (2.0 * plus).cos()
            - 35.0 / 24.0 * n.powi(3) * (3.0 * minus).sin() * (3.0 * plus).cos())
    };
    let mut lat = lat0 + (northing - N0) / a;
    // Each iteration is about a hundred times as close as the one before.
    for _ in 0..10 {
        let left = northing - N0 - meridional_arc(lat);
        lat += left / a;
        if left.abs() < 1e-5 {
            break;
        }
    }
    let (sin, cos, tan) = (lat.sin(), lat.cos(), lat.tan());
    let nu = a / (1.0 - e2 * sin * sin).sqrt();
    let rho = a * (1.0 - e2) / (1.0 - e2 * sin * sin).powf(1.5);
    let eta2 = nu / rho - 1.0;
    let (t2, t4, t6) = (tan.powi(2), tan.powi(4), tan.powi(6));
    let vii = tan / (2.0 * rho * nu);
    let viii = tan / (24.0 * rho * nu.powi(3)) * (5.0 + 3.0 * t2 + eta2 - 9.0 * t2 * eta2);
    let ix = tan / (720.0 * rho * nu.powi(5)) * (61.0 + 90.0 * t2 + 45.0 * t4);
    let x = 1.0 / (cos * nu);
    let xi = 1.0 / (cos * 6.0 * nu.powi(3)) * (nu / rho + 2.0 * t2);
    let xii = 1.0 / (cos * 120.0 * nu.powi(5)) * (5.0 + 28.0 * t2 + 24.0 * t4);
    let xiia = 1.0 / (cos * 5_040.0 * nu.powi(7)) * (61.0 + 662.0 * t2 + 1_320.0 * t4 + 720.0 * t6);
    let d = easting - E0;
    let lat = lat - vii * d.powi(2) + viii * d.powi(4) - ix * d.powi(6);
    let lng = LNG0.to_radians() + x * d - xi * d.powi(3) + xii * d.powi(5) - xiia * d.powi(7);
    (lat.to_degrees(), lng.to_degrees())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::LatLng;

    /// The Ordnance Survey's test points, from the files that come with OSTN15 (`OSTN15_OSGM15_TestInput_OSGBtoETRS`
    /// and its output): easting, northing, latitude, longitude.
    const OFFICIAL: [(f64, f64, f64, f64); 40] = [
        (91_492.146, 11_318.804, 49.922_263_94, -6.299_777_52),
        (170_370.718, 11_572.405, 49.960_061_38, -5.203_046_1),
        (250_359.811, 62_016.569, 50.438_858_26, -4.108_645_64),
        (449_816.371, 75_335.861, 50.575_636_65, -1.297_822_77),
        (438_710.92, 114_792.25, 50.931_279_38, -1.450_514_34),
        (292_184.87, 168_003.465, 51.400_782_2, -3.551_283_49),
        (639_821.835, 169_565.858, 51.374_470_26, 1.444_547_3),
        (362_269.991, 169_978.69, 51.427_547_43, -2.544_076_18),
        (530_624.974, 178_388.464, 51.489_365_65, -0.119_925_57),
        (241_124.584, 220_332.641, 51.858_908_96, -4.308_524_77),
        (599_445.59, 225_722.826, 51.894_366_37, 0.897_243_27),
        (389_544.19, 261_912.153, 52.255_293_82, -2.154_586_14),
        (474_335.969, 262_047.755, 52.251_609_51, -0.912_489_57),
        (562_180.547, 319_784.995, 52.751_366_87, 0.401_535_47),
        (454_002.834, 340_834.943, 52.962_191_09, -1.197_476_56),
        (357_455.843, 383_290.436, 53.344_802_8, -2.640_493_21),
        (247_958.971, 393_492.909, 53.416_285_16, -4.289_180_7),
        (247_959.241, 393_495.583, 53.416_309_25, -4.289_177_93),
        (331_534.564, 431_920.794, 53.779_110_26, -3.040_454_91),
        (422_242.186, 433_818.701, 53.800_215_2, -1.663_791_68),
        (227_778.33, 468_847.388, 54.086_663_18, -4.634_521_68),
        (525_745.67, 470_703.214, 54.116_851_44, -0.077_731_33),
        (244_780.636, 495_254.887, 54.329_195_41, -4.388_491_18),
        (339_921.145, 556_034.761, 54.895_423_4, -2.938_277_41),
        (424_639.355, 565_012.703, 54.979_122_74, -1.616_576_85),
        (256_340.925, 664_697.269, 55.853_999_53, -4.296_490_16),
        (319_188.434, 670_947.534, 55.924_782_66, -3.294_792_19),
        (167_634.202, 797_067.144, 57.006_066_96, -5.828_366_92),
        (397_160.491, 805_349.736, 57.139_025_19, -2.048_560_31),
        (267_056.768, 846_176.972, 57.486_250_01, -4.219_263_99),
        (9_587.906, 899_449.0, 57.813_518_38, -8.578_544_56),
        (71_713.131, 938_516.405, 58.212_622_47, -7.592_555_61),
        (151_968.652, 966_483.78, 58.515_603_61, -6.260_914_56),
        (299_721.891, 967_202.992, 58.581_204_61, -3.726_310_22),
        (330_398.323, 1_017_347.016, 59.037_438_71, -3.214_540_01),
        (261_596.778, 1_025_447.602, 59.093_350_35, -4.417_576_75),
        (180_862.461, 1_029_604.114, 59.096_716_17, -5.827_993_4),
        (421_300.525, 1_072_147.239, 59.534_707_94, -1.625_169_66),
        (440_725.073, 1_107_878.448, 59.854_099_14, -1.274_869_1),
        (395_999.668, 1_138_728.951, 60.133_080_92, -2.073_828_23),
    ];

    #[test]
    fn agrees_with_the_official_points_to_two_millimetres() {
        for (easting, northing, lat, lng) in OFFICIAL {
            let (found_lat, found_lng) = to_lat_lng(easting, northing).expect("in Great Britain");
            let found = LatLng::from_lat_lng(found_lat, found_lng).expect("on the earth");
            let metres = found.distance_to(LatLng::from_lat_lng(lat, lng).expect("on the earth")).get() * 1_000.0;
            assert!(metres < 0.002, "{easting}, {northing} is {metres} m off");
        }
    }

    /// The first, some middle and the last lines of the data file.
    #[test]
    fn table_holds_the_shifts_of_the_data_file() {
        let nodes = [
            (0.0, 0.0, 90.750, -82.020),
            (700_000.0, 0.0, 103.110, -84.180),
            (0.0, 1_000.0, 90.749, -81.992),
            (200_000.0, 499_000.0, 91.212, -69.719),
            (350_000.0, 625_000.0, 97.073, -65.106),
            (66_000.0, 856_000.0, 88.884, -53.345),
            (0.0, 1_250_000.0, 89.653, -44.881),
            (700_000.0, 1_250_000.0, 109.209, -53.064),
        ];
        for (easting, northing, east, north) in nodes {
            let (found_east, found_north) = shift(easting, northing).expect("a node");
            assert!((found_east - east).abs() < 1e-9 && (found_north - north).abs() < 1e-9, "{easting}, {northing}");
        }
        assert!(SHIFTS.iter().all(|shifts| shifts.len() == COLUMNS * ROWS));
    }

    #[test]
    fn points_outside_the_table_have_no_shift() {
        for (easting, northing) in
            [(-0.001, 0.0), (0.0, -0.001), (700_000.001, 0.0), (0.0, 1_250_000.001), (f64::NAN, 0.0)]
        {
            assert_eq!(shift(easting, northing), None, "{easting}, {northing}");
        }
    }
}
