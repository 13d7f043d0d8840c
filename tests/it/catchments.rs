//! Outlines of catchments: any polygon, on every backend; their files; what other programs write.

use geo_types::{Coord, LineString, MultiPolygon, Polygon};
use proptest::prelude::*;
use school_finder_db::SchoolSearch;
use school_finder_db::geo::Catchment;
use school_finder_db::ids::SchoolId;
use school_finder_db::models::NewCatchment;
use school_finder_db::request::WriteMode;

use crate::support::world::{Finders, World};
use crate::support::{at, cases, school, urn};

/// How fine the grid is on which outlines and places lie. Products of such numbers are exact, so that what lies on an
/// edge does so by any honest arithmetic, and is common.
const GRID: f64 = 1.0 / 1024.0;

/// A ring round a centre: its corners in order of their angle, so that it never crosses itself.
fn ring(centre: (i32, i32), reaches: &[i32]) -> LineString<f64> {
    // Eight directions on the grid.
    const WAYS: [(i32, i32); 8] = [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)];
    let corner = |((east, north), reach): (&(i32, i32), &i32)| Coord {
        x: -1.0 + f64::from(centre.0 + east * reach) * GRID,
        y: 52.0 + f64::from(centre.1 + north * reach) * GRID,
    };
    LineString(WAYS.iter().zip(reaches).map(corner).collect())
}

prop_compose! {
    /// A polygon, often with a hole, whose rings may touch.
    fn any_polygon(east: i32)(
        outer in prop::collection::vec(8i32..=16, 8),
        inner in prop::collection::vec(1i32..=4, 8),
        has_hole in any::<bool>(),
    ) -> Polygon<f64> {
        let holes = if has_hole { vec![ring((east, 0), &inner)] } else { vec![] };
        Polygon::new(ring((east, 0), &outer), holes)
    }
}

/// One or two polygons side by side.
fn any_outline() -> impl Strategy<Value = MultiPolygon<f64>> {
    (any_polygon(0), prop::option::of(any_polygon(33)))
        .prop_map(|(first, second)| MultiPolygon(std::iter::once(first).chain(second).collect()))
}

/// Whether an outline holds a place, worked out in another way than the crate does: by exact arithmetic, and by the
/// parity of the edges to the east.
fn oracle(outline: &MultiPolygon<f64>, x: f64, y: f64) -> bool {
    let whole = |degrees: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "the grid's numbers are small")]
        let steps = (degrees / GRID * 2.0) as i64;
        steps
    };
    let (x, y) = (whole(x), whole(y));
    outline.iter().any(|polygon| {
        let (mut is_inside, mut is_on_edge) = (false, false);
        for ring in std::iter::once(polygon.exterior()).chain(polygon.interiors()) {
            for edge in ring.lines() {
                let ((x1, y1), (x2, y2)) =
                    ((whole(edge.start.x), whole(edge.start.y)), (whole(edge.end.x), whole(edge.end.y)));
                let cross = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1);
                let spans = |a: i64, b: i64, c: i64| a.min(b) <= c && c <= a.max(b);
                is_on_edge |= cross == 0 && spans(x1, x2, x) && spans(y1, y2, y);
                // An edge that the way to the east crosses.
                if (y1 > y) != (y2 > y) && (cross > 0) == (y2 > y1) {
                    is_inside = !is_inside;
                }
            }
        }
        is_inside || is_on_edge
    })
}

async fn store(finders: &Finders, outlines: &[MultiPolygon<f64>]) -> Vec<SchoolId> {
    let schools = (1..).zip(outlines).map(|(number, _)| school(number)).collect();
    let stored = finders.stored(schools).await;
    let outline = |outline: &MultiPolygon<f64>| Catchment::new(outline.clone()).expect("an outline");
    let catchments: Vec<_> = (1..)
        .zip(outlines)
        .map(|(number, shape)| NewCatchment { urn: urn(number), outline: Some(outline(shape)) })
        .collect();
    for finder in &finders.finders {
        finder.upsert_catchments(catchments.clone(), WriteMode::Commit).await.expect("catchments that fit");
    }
    stored.into_iter().map(|(id, _)| id).collect()
}

/// The schools that serve a place, by every backend's word, which is the same.
async fn serving(finders: &Finders, lat: f64, lng: f64) -> Vec<SchoolId> {
    let mut pages = Vec::new();
    for finder in &finders.finders {
        let page = finder.find_catchments(&SchoolSearch::near(at(lat, lng))).await.expect("a result");
        pages.push(page);
    }
    let page = pages.pop().expect("a backend");
    assert!(pages.iter().all(|other| *other == page), "the backends differ at lat {lat}, lng {lng}");
    page.items.iter().map(|catchment| catchment.hit.school.id).collect()
}

#[test]
fn any_outline_covers_what_exact_arithmetic_computes() {
    let world = World::new();
    let inputs = (prop::collection::vec(any_outline(), 1..6), prop::collection::vec((-40i32..=100, -40i32..=40), 24));
    let outcome = proptest::test_runner::TestRunner::new(cases(48, file!())).run(&inputs, |(outlines, places)| {
        world.case(async |finders: Finders| {
            let ids = store(&finders, &outlines).await;
            for (east, north) in places {
                // Half steps, so that places lie beside corners as well.
                let (lng, lat) = (-1.0 + f64::from(east) * GRID / 2.0, 52.0 + f64::from(north) * GRID / 2.0);
                let expected: Vec<_> =
                    ids.iter().zip(&outlines).filter(|(_, shape)| oracle(shape, lng, lat)).map(|(id, _)| *id).collect();
                assert_eq!(serving(&finders, lat, lng).await, expected, "lat {lat}, lng {lng} in {outlines:?}");
                for shape in &outlines {
                    let outline = Catchment::new(shape.clone()).expect("an outline");
                    assert_eq!(outline.covers(at(lat, lng)), oracle(shape, lng, lat));
                }
            }
        });
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

prop_compose! {
    /// An outline whose corners are any numbers.
    fn any_precise_outline()(
        reaches in prop::collection::vec(0.01f64..0.2, 3..40), east in -5.0f64..1.0, north in 50.0f64..58.0,
    ) -> MultiPolygon<f64> {
        let turn = std::f64::consts::TAU / f64::from(u8::try_from(reaches.len()).expect("few"));
        let corner = |(step, reach): (u8, &f64)| {
            let angle = turn * f64::from(step);
            Coord { x: east + reach * angle.cos(), y: north + reach * angle.sin() }
        };
        MultiPolygon(vec![Polygon::new(LineString((0..).zip(&reaches).map(corner).collect()), vec![])])
    }
}

/// Corners, the middles of edges and their neighbours by the last bit: what rounding decides, it decides the same way
/// on every backend and without one.
#[test]
fn edges_are_decided_equally_to_the_last_bit() {
    let world = World::new();
    let outcome = proptest::test_runner::TestRunner::new(cases(24, file!())).run(&any_precise_outline(), |shape| {
        world.case(async |finders: Finders| {
            store(&finders, std::slice::from_ref(&shape)).await;
            let outline = Catchment::new(shape.clone()).expect("an outline");
            for edge in shape.0[0].exterior().lines() {
                let middle = (edge.start + edge.end) / 2.0;
                let third = edge.start + (edge.end - edge.start) / 3.0;
                for Coord { x, y } in [edge.start, middle, third] {
                    for (x, y) in [(x, y), (x.next_up(), y), (x.next_down(), y), (x, y.next_up())] {
                        let expected = outline.covers(at(y, x));
                        assert_eq!(
                            !serving(&finders, y, x).await.is_empty(),
                            expected,
                            "lat {y}, lng {x} in {shape:?}"
                        );
                    }
                }
                assert!(!serving(&finders, edge.start.y, edge.start.x).await.is_empty(), "a corner is inside");
            }
        });
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[cfg(feature = "sqlite")]
mod written_by_others {
    use school_finder_db::config::Backend;
    use school_finder_db::testing::TestDatabase;
    use school_finder_db::{Error, SchoolSearch};

    use crate::support::{at, school};

    async fn database() -> TestDatabase {
        let database = TestDatabase::new(Backend::Sqlite).await.expect("a database");
        database.repository().insert_schools(vec![school(1)]).await.expect("a school");
        database
    }

    async fn write(database: &TestDatabase, wkt: &str) -> Result<(), Error> {
        database.execute(&format!("UPDATE schools SET catchment_geometry = '{wkt}'")).await
    }

    #[tokio::test]
    async fn an_outline_in_wkt_is_a_catchment() {
        let database = database().await;
        let serves = async |lat, lng| {
            let page = database.repository().find_catchments(&SchoolSearch::near(at(lat, lng))).await;
            !page.expect("a result").items.is_empty()
        };
        write(&database, "MULTIPOLYGON(((-1 52, 0 52, 0 53, -1 53, -1 52)))").await.expect("an outline");
        assert!(serves(52.5, -0.5).await && serves(53.0, -0.5).await && !serves(53.1, -0.5).await);
        write(&database, "MULTIPOLYGON(((-1 54,0 54,0 55,-1 55,-1 54)))").await.expect("another");
        assert!(!serves(52.5, -0.5).await && serves(54.5, -0.5).await);
        database.execute("UPDATE schools SET catchment_geometry = NULL").await.expect("none");
        assert!(!serves(54.5, -0.5).await);
    }

    #[tokio::test]
    async fn invalid_outlines_are_refused_or_reported() {
        let database = database().await;
        let refused = write(&database, "POLYGON((0 0,1 0,1 1,0 0))").await;
        assert!(matches!(refused, Err(Error::InvalidGeometry { .. })), "{refused:?}");
        assert!(write(&database, "MULTIPOLYGON(((here, there)))").await.is_err());
        for numbers in ["1 2,3 null,4 5,1 2", "1 2,3 4,5,1 2", "1 2,true 4,5 6,1 2"] {
            let refused = write(&database, &format!("MULTIPOLYGON((({numbers})))")).await;
            assert!(matches!(refused, Err(Error::InvalidGeometry { .. })), "{numbers}: {refused:?}");
        }
        // A value that SQLite cannot check is reported by the query, and not skipped.
        write(&database, "MULTIPOLYGON(((-1 52,0 52,0 53)))").await.expect("numbers in pairs");
        let found = database.repository().find_catchments(&SchoolSearch::near(at(52.1, -0.1))).await;
        let message = found.expect_err("it is not closed").to_string();
        assert!(message.contains("not closed"), "{message}");
    }
}
