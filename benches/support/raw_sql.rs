//! The same queries without Diesel, pool or task: one connection, statements prepared once, columns read by index. Both
//! backends use the fastest method found. SQLite: candidates from the index alone, the distances in Rust, then the rows
//! of the page. Postgres: GiST returns the rows of the nearest schools, and Rust sorts them.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::FromSql;
use school_finder_db::geo::{BoundingBox, Latitude, Longitude, haversine};
use school_finder_db::ids::{SchoolId, Urn};
use school_finder_db::models::{SchoolHit, SchoolSummary};
use school_finder_db::{Kilometres, LatLng};

use super::{Case, LIMIT, LISTED, Query, RADIUS_KM};

pub const COLUMNS: &str = "id, urn, name, council, status, phase, type, gender, faith, postcode, is_private, age_range_from, \
                       age_range_to, ofsted_rating, lat, lng";
pub const OPEN: &str = "status IN ('open', 'proposed_to_close')";
pub const FILTERED: &str = "phase = 'primary' AND (ofsted_rating <= 2 OR ofsted_rating IS NULL)";

/// An expanding search, until the page is full or the radius is reached.
struct Circles {
    home: LatLng,
    km: f64,
    radius_km: f64,
}

impl Circles {
    fn new(query: Query, home: LatLng) -> Self {
        let radius_km = if query == Query::Nearest { 400.0 } else { RADIUS_KM };
        Self { home, km: 1.0, radius_km }
    }

    fn bounds(&self) -> (Vec<i32>, f64, f64) {
        let bounds = BoundingBox::around(self.home, Kilometres::new(self.km).expect("a distance"));
        #[expect(clippy::cast_possible_truncation, reason = "at most 18,000")]
        let strip = |lat: f64| ((lat + 90.0) * 100.0) as i32;
        ((strip(bounds.south)..=strip(bounds.north)).collect(), bounds.west, bounds.east)
    }

    /// Returns the nearest of the candidates, or `None` where a wider circle is needed.
    fn nearest(&mut self, candidates: impl Iterator<Item = (i64, f64, f64)>) -> Option<Vec<(f64, i64)>> {
        let (lat, lng) = (self.home.lat().degrees(), self.home.lng().degrees());
        let mut near: Vec<(f64, i64)> = candidates
            .map(|(id, to_lat, to_lng)| (haversine(lat, lng, to_lat, to_lng), id))
            .filter(|(km, _)| *km <= self.km)
            .collect();
        if near.len() < LIMIT && self.km < self.radius_km {
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let growth = (1.2 * (LIMIT as f64 / near.len().max(1) as f64).sqrt()).clamp(1.5, 4.0);
            self.km = (self.km * growth).min(self.radius_km);
            return None;
        }
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        near.truncate(LIMIT);
        Some(near)
    }
}

pub fn in_order(home: LatLng, schools: impl Iterator<Item = SchoolSummary>) -> Vec<SchoolHit> {
    let hit = |school: SchoolSummary| {
        let distance_km = school.location().map(|at| home.distance_to(at));
        SchoolHit::new(school, distance_km)
    };
    let mut hits: Vec<SchoolHit> = schools.map(hit).collect();
    let km = |hit: &SchoolHit| hit.distance_km.expect("a distance").get();
    hits.sort_by(|a, b| km(a).total_cmp(&km(b)).then(a.school.id.cmp(&b.school.id)));
    hits.truncate(LIMIT);
    hits
}

/// An SQLite file.
pub struct Sqlite(rusqlite::Connection);

impl Sqlite {
    pub fn open(path: &std::path::Path) -> Self {
        let connection = rusqlite::Connection::open(path).expect("a database");
        connection.execute_batch("PRAGMA cache_size = -32768").expect("a setting");
        connection.set_prepared_statement_cache_capacity(64);
        let holds = |call: &Context<'_>| {
            let outline = call.get_raw(0).as_blob().expect("an outline");
            Ok(wkb_contains(outline, call.get(2)?, call.get(1)?))
        };
        connection.create_scalar_function("holds", 3, FunctionFlags::SQLITE_DETERMINISTIC, holds).expect("a function");
        Self(connection)
    }

    pub fn run(&self, query: Query, case: &Case) -> Vec<SchoolHit> {
        let home = case.home;
        match query {
            Query::Radius | Query::Nearest => self.nearest(query, home, OPEN),
            Query::Filtered => self.nearest(query, home, &format!("{OPEN} AND {FILTERED}")),
            Query::Catchment => {
                let mut serving = self.prepared(&format!(
                    "SELECT {COLUMNS} FROM schools_catchment CROSS JOIN schools USING (id)
                     WHERE min_lat <= ?1 AND max_lat >= ?1 AND min_lng <= ?2 AND max_lng >= ?2
                     AND holds(outline, ?1, ?2) AND {OPEN}"
                ));
                let place = (home.lat().degrees(), home.lng().degrees());
                let schools = serving.query_map(place, |row| Ok(sqlite_school(row))).expect("a query");
                in_order(home, schools.map(|school| school.expect("a row")))
            }
            Query::Listing => {
                let mut listing = self.prepared(&format!(
                    "SELECT {COLUMNS} FROM schools WHERE council = ?1 AND {OPEN} ORDER BY name_folded, id LIMIT {LISTED}"
                ));
                let schools = listing.query_map([&case.council], |row| Ok(sqlite_school(row))).expect("a query");
                schools.map(|school| SchoolHit::new(school.expect("a row"), None)).collect()
            }
        }
    }

    fn prepared(&self, sql: &str) -> rusqlite::CachedStatement<'_> {
        self.0.prepare_cached(sql).expect("a statement")
    }

    fn nearest(&self, query: Query, home: LatLng, conditions: &str) -> Vec<SchoolHit> {
        let mut candidates = self.prepared(&format!(
            "SELECT id, lat, lng FROM schools WHERE CAST((lat + 90) * 100 AS INTEGER) IN (SELECT value FROM json_each(?1))
             AND lng BETWEEN ?2 AND ?3 AND {conditions}"
        ));
        let mut circles = Circles::new(query, home);
        loop {
            let (strips, west, east) = circles.bounds();
            let rows =
                candidates.query_map((json(&strips), west, east), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
            if let Some(near) = circles.nearest(rows.expect("a query").map(|row| row.expect("a row"))) {
                let ids: Vec<i64> = near.iter().map(|(_, id)| *id).collect();
                return in_order(home, self.schools(&ids).into_iter());
            }
        }
    }

    fn schools(&self, ids: &[i64]) -> Vec<SchoolSummary> {
        let mut schools = self.prepared(&format!(
            "SELECT {COLUMNS} FROM schools WHERE id IN (SELECT value FROM json_each(?1)) AND {OPEN}"
        ));
        let rows = schools.query_map([json(ids)], |row| Ok(sqlite_school(row))).expect("a query");
        rows.map(|row| row.expect("a row")).collect()
    }
}

fn json(numbers: &[impl std::fmt::Display]) -> String {
    format!("[{}]", numbers.iter().map(|number| number.to_string()).collect::<Vec<_>>().join(","))
}

fn sqlite_school(row: &rusqlite::Row<'_>) -> SchoolSummary {
    fn get<T: FromSql>(row: &rusqlite::Row<'_>, at: usize) -> T {
        row.get(at).expect("a value")
    }
    let word = |at| row.get_ref(at).expect("a value").as_str_or_null().expect("a word");
    let urn = Urn::new(get(row, 1)).expect("a URN");
    let mut school = SchoolSummary::new(SchoolId::new(get(row, 0)), urn, get::<String>(row, 2));
    school.council = get(row, 3);
    school.status = word(4).expect("a status").parse().expect("a word");
    school.phase = word(5).map(|word| word.parse().expect("a word"));
    school.school_type = get(row, 6);
    school.gender = word(7).map(|word| word.parse().expect("a word"));
    school.faith = get(row, 8);
    school.postcode = get(row, 9);
    school.is_private = get(row, 10);
    school.age_range_from = get(row, 11);
    school.age_range_to = get(row, 12);
    school.ofsted_rating = get::<Option<i16>>(row, 13).map(|rating| rating.try_into().expect("a rating"));
    school.lat = get::<Option<f64>>(row, 14).map(|lat| Latitude::new(lat).expect("a latitude"));
    school.lng = get::<Option<f64>>(row, 15).map(|lng| Longitude::new(lng).expect("a longitude"));
    school
}

/// Returns whether a multipolygon of one ring, as generated here, contains a point. Corners and edges are not handled.
fn wkb_contains(wkb: &[u8], x: f64, y: f64) -> bool {
    // Byte order and type of the multipolygon, the number of polygons, byte order and type of the first polygon, and
    // its numbers of rings and corners.
    const HEADER: usize = 9 + 9 + 4;
    let number = |at: usize| f64::from_le_bytes(wkb[at..at + 8].try_into().expect("8 bytes"));
    let corners =
        wkb[HEADER..].chunks_exact(16).enumerate().map(|(n, _)| (number(HEADER + n * 16), number(HEADER + n * 16 + 8)));
    let mut inside = false;
    let mut last: Option<(f64, f64)> = None;
    for (to_x, to_y) in corners {
        if let Some((from_x, from_y)) = last
            && (from_y > y) != (to_y > y)
            && x < (to_x - from_x) * (y - from_y) / (to_y - from_y) + from_x
        {
            inside = !inside;
        }
        last = Some((to_x, to_y));
    }
    inside
}
