//! What only the server backend has: its migrations, plans, functions and locks.

use std::time::Duration;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use school_finder_db::explain::{ExplainMode, ExplainedQuery};
use school_finder_db::geo::Catchment;
use school_finder_db::models::{
    Admissions, NewAdmissions, NewCatchment, NewCollections, NewSchool, Performance, Phase, Review,
};
use school_finder_db::postgres::PostgresRepository;
use school_finder_db::prelude::*;
use school_finder_db::request::WriteMode;
use school_finder_db::testing::TestDatabase;
use school_finder_db::units::AcademicYear;
use school_finder_db::{Config, Error, LatLng, SchoolSearch, migrate, sample};

use crate::plans::{LOCATIONS, WORDS, searches};
use crate::support::evolution::{History, evolving, fixture};
use crate::support::raw::Raw;
use crate::support::server::{database, execute, number, open, url_as};
use crate::support::{km, school, until, urn};

#[tokio::test]
async fn every_kind_of_drift_is_reported() {
    let database = database().await;
    assert_eq!(migrate::check(database.owner()).await.expect("a check"), Vec::<String>::new());
    let repository = open(database.owner()).await;
    let change = "ANALYZE;
        DROP INDEX ix_schools_postcode;
        DROP INDEX ix_schools_open_name;
        CREATE INDEX ix_schools_open_name ON schools (name_folded, id) WHERE status = 'open';
        ALTER TABLE schools ADD COLUMN motto TEXT;
        ALTER TABLE schools DROP CONSTRAINT ck_gender;
        ALTER TABLE schools DROP CONSTRAINT ck_pupils;
        ALTER TABLE schools ADD CONSTRAINT ck_pupils CHECK (pupils > 0) NOT VALID;
        ALTER TABLE schools ALTER COLUMN council TYPE TEXT COLLATE \"en-GB-x-icu\", ALTER COLUMN status DROP NOT NULL;
        ALTER TABLE schools DISABLE TRIGGER tr_school_reviews_new_school;
        CREATE TABLE visits (n INTEGER CONSTRAINT ck_n CHECK (n > 0));
        CREATE INDEX ix_visits ON visits (n);
        ALTER TABLE school_clubs ALTER COLUMN cost_per SET DEFAULT 'week', ALTER COLUMN days TYPE INTEGER;
        ALTER TABLE school_clubs DROP CONSTRAINT fk_school_clubs_school;
        ALTER TABLE school_clubs ADD CONSTRAINT fk_school_clubs_school FOREIGN KEY (school_id) REFERENCES schools (id);
        ALTER TABLE school_performance DROP CONSTRAINT uq_school_performance;
        DROP INDEX ix_schools_catchment_geometry;
        ALTER TABLE school_reviews SET UNLOGGED, ENABLE ROW LEVEL SECURITY;
        CREATE POLICY some_only ON school_reviews USING (rating > 3);
        ALTER FUNCTION admissions_reach_keep SECURITY DEFINER;
        UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_schools_open_location'::regclass;
        DROP TRIGGER tr_school_links_insert ON school_links;
        DROP TABLE school_term_dates;
        CREATE OR REPLACE VIEW admissions_by_recency AS SELECT school_id, intake, academic_year, 1::bigint AS recency,
            last_distance_offered_km AS least_km FROM admissions_history;
        CREATE OR REPLACE FUNCTION school_links_find_schools() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';";
    execute(&repository, change).await.expect("changed");
    let found = migrate::check(database.owner()).await.expect("a check");
    let expected = [
        "column school_clubs.cost_per differs: expected `text NOT NULL DEFAULT 'day'::text`, found `text NOT NULL DEFAULT 'week'::text`",
        "column school_clubs.days differs: expected `smallint`, found `integer`",
        "column schools.council differs: expected `text COLLATE \"C\"`, found `text COLLATE \"en-GB-x-icu\"`",
        "column schools.status differs: expected `text NOT NULL`, found `text`",
        "column schools.motto is not part of this build's schema",
        "constraint ck_gender of table schools is missing",
        "constraint ck_pupils of table schools differs: expected `CHECK ((pupils >= 0))`, found `CHECK ((pupils > 0)) NOT VALID`",
        "constraint fk_school_clubs_school of table school_clubs differs: expected `FOREIGN KEY (school_id) REFERENCES schools(id) ON DELETE CASCADE`, found `FOREIGN KEY (school_id) REFERENCES schools(id)`",
        "constraint uq_school_performance of table school_performance is missing: expected `UNIQUE (school_id, metric, year)`",
        "index uq_school_performance of table school_performance is missing",
        "index ix_schools_postcode of table schools is missing: expected `CREATE INDEX ix_schools_postcode ON schools USING btree (postcode)`",
        "index ix_schools_open_name of table schools differs",
        "index ix_schools_catchment_geometry of table schools is missing: expected `CREATE INDEX ix_schools_catchment_geometry ON schools USING gist (catchment_geometry)`",
        "index ix_schools_open_location of table schools differs",
        "trigger tr_school_reviews_new_school of table schools differs",
        "trigger tr_school_links_insert of table school_links is missing",
        "view admissions_by_recency differs",
        "function school_links_find_schools differs",
        "table school_term_dates is missing",
        "table school_reviews differs: it is `UNLOGGED, ROW LEVEL SECURITY`",
        "policy some_only of table school_reviews is not part of this build's schema",
        "function admissions_reach_keep differs",
    ];
    for sentence in expected {
        assert!(found.iter().any(|found| found.starts_with(sentence)), "{sentence}\n{found:#?}");
    }
    let invalid = found.iter().find(|found| found.contains("ix_schools_open_location")).expect("named");
    assert!(invalid.ends_with(" INVALID`"), "{invalid}");
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[tokio::test]
async fn a_missing_extension_is_reported() {
    let database = database().await;
    execute(&open(database.owner()).await, "DROP EXTENSION postgis CASCADE").await.expect("dropped");
    let found = migrate::check(database.owner()).await.expect("a check");
    assert!(found.iter().any(|found| found == "extension postgis is missing"), "{found:#?}");
    assert!(found.iter().any(|found| found.starts_with("column schools.location is missing")), "{found:#?}");
}

/// An index that was stopped half-way is there, is kept up to date, and is never used: `IF NOT EXISTS` takes it for
/// built.
#[tokio::test]
async fn an_invalid_index_is_rebuilt() {
    let database = database().await;
    let History { migrator, url, .. } = evolving(&database).await;
    let mut raw = Raw::open(&url).await;
    assert_eq!(migrator.down(1).await.expect("down").len(), 1);
    // As a process leaves it that is killed in the middle: the index is there, and the version is not.
    let half = "CREATE INDEX ix_books_subject ON books (title);
        UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_books_subject'::regclass;
        CREATE INDEX ix_other ON books (title);
        UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_other'::regclass";
    raw.try_execute(half).await.expect("half an index");
    assert_eq!(migrator.up().await.expect("up").len(), 1);
    assert_eq!(migrator.check().await.expect("a check"), Vec::<String>::new());
    let found = migrator.additions().await.expect("a check");
    assert_eq!(found, ["index ix_other of table books is not part of this build's schema"], "and no other is touched");
    // Nor does one stay that a stopped `down` left: its version is still there.
    let half = "DROP INDEX ix_other;
        UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_books_subject'::regclass";
    raw.try_execute(half).await.expect("half an index");
    assert_eq!(migrator.up().await.expect("none is pending"), Vec::<String>::new());
    assert_eq!(migrator.check().await.expect("a check"), Vec::<String>::new());
}

/// It waits for transactions that began before it for longer than a statement may wait for a lock, and nobody waits for
/// it.
#[tokio::test]
async fn an_index_is_built_without_blocking_readers_or_writers() {
    let database = database().await;
    let History { migrator, url, .. } = evolving(&database).await;
    migrator.down(1).await.expect("down");
    let mut config = database.owner().clone();
    config.pool.busy_timeout = Duration::from_millis(100);
    let (mut other, mut watching) = (Raw::open(&url).await, Raw::open(&url).await);
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM books";
    other.try_execute(begin).await.expect("a transaction");
    let migrating = tokio::spawn(async move { fixture(&config).up().await });
    let waits = "SELECT pid::text FROM pg_stat_activity WHERE query LIKE '%CREATE INDEX CONCURRENTLY%'
        AND pid <> pg_backend_pid() AND wait_event_type = 'Lock' AND clock_timestamp() - query_start > '300 ms'";
    until("it waits for the transaction", async || {
        assert!(!migrating.is_finished(), "it does not wait for the transaction");
        !watching.texts(waits).await.is_empty()
    })
    .await;
    let write = "INSERT INTO libraries (name) VALUES ('Ash');
        INSERT INTO books (library_id, title) SELECT id, 'One' FROM libraries;
        COMMIT";
    other.try_execute(write).await.expect("written while the index waits");
    assert_eq!(migrating.await.expect("no panic").expect("up").len(), 1);
    assert_eq!(migrator.check().await.expect("a check"), Vec::<String>::new());
}

#[tokio::test]
async fn the_sql_function_is_the_rust_function() {
    let database = database().await;
    let repository = open(database.config()).await;
    for (lat1, lng1, lat2, lng2) in [
        (52.0406, -0.7594, 51.5, 1.25),
        (90.0, 10.0, -90.0, -170.0),
        (0.0, 0.0, 0.0, 180.0),
        (10.0, 180.0, 10.0, -180.0),
        (-17.5, 33.3, -17.500_001, 33.3),
    ] {
        let query = format!("SELECT haversine({lat1}, {lng1}, {lat2}, {lng2})");
        let expected = school_finder_db::geo::haversine(lat1, lng1, lat2, lng2);
        let found = number(&repository, &query).await.expect("a number").expect("a distance");
        assert!((found - expected).abs() <= 1e-9, "{query}: {found} is not {expected}");
    }
    for null in ["NULL, 0, 0, 0", "0, 0, 0, NULL", "'Infinity', 0, 0, 0", "0, 'NaN', 0, 0"] {
        assert_eq!(number(&repository, &format!("SELECT haversine({null})")).await.expect("NULL"), None, "{null}");
    }
    assert!(number(&repository, "SELECT haversine('x', 0, 0, 0)").await.is_err());
}

#[tokio::test]
async fn missing_rights_are_reported_with_the_statement_to_run() {
    let database = database().await;
    let repository = open(database.owner()).await;
    let role = format!("school_finder_role_{}", std::process::id());
    let other = format!("{role}_database");
    execute(&repository, &format!("CREATE ROLE {role} LOGIN PASSWORD '{role}'")).await.expect("a role");
    execute(&repository, &format!("CREATE DATABASE {other} OWNER {role}")).await.expect("a database of its own");

    // Without PostGIS, in a database of its own.
    let own = Config::from_url(&url_as(&role, &other)).expect("a server");
    let missing = migrate::up(&own).await.expect_err("only a superuser may create the extension");
    assert!(matches!(missing, Error::PostgisMissing { .. }), "{missing:?}");
    assert!(missing.to_string().contains("CREATE EXTENSION postgis"), "{missing}");
    assert!(migrate::status(&own).await.expect("a status").iter().all(|migration| !migration.applied));

    // With a schema, but without the right to change it.
    let name = database.config().to_string();
    let name = name.rsplit_once('/').expect("a database").1;
    let service = Config::from_url(&url_as(&role, name)).expect("a server");
    let refused = migrate::Migrator::new(&service).down(1).await.expect_err("not its own tables");
    assert!(matches!(refused, Error::PermissionDenied { .. } | Error::MigrationFailed { .. }), "{refused:?}");

    execute(&repository, &format!("DROP DATABASE {other} WITH (FORCE)")).await.expect("gone");
    execute(&repository, &format!("DROP ROLE {role}")).await.expect("gone");
}

#[tokio::test]
async fn a_javascript_url_is_refused_from_any_program() {
    let database = database().await;
    let repository = open(database.config()).await;
    let insert = |urn: u32, link: &str| {
        format!(
            "INSERT INTO folded_names VALUES ('a', 'a') ON CONFLICT DO NOTHING;
             INSERT INTO schools (urn, name, name_folded, status, website_url)
             VALUES ({urn}, 'a', 'a', 'open', '{link}')"
        )
    };
    let error = execute(&repository, &insert(1, "javascript:alert(1)")).await.expect_err("a script");
    assert!(matches!(&error, Error::CheckViolated { constraint } if constraint == "ck_website_url"), "{error}");
    execute(&repository, &insert(2, "HTTPS://school.example")).await.expect("a link");
}

#[tokio::test]
async fn outlines_with_an_empty_member_are_refused() {
    let database = database().await;
    let repository = open(database.config()).await;
    let insert = |outline: &str| {
        format!(
            "INSERT INTO folded_names VALUES ('a', 'a') ON CONFLICT DO NOTHING;
             INSERT INTO schools (urn, name, name_folded, status, catchment_geometry)
             VALUES (1, 'a', 'a', 'open', ST_GeomFromText('{outline}', 4326))"
        )
    };
    for outline in [
        "MULTIPOLYGON EMPTY",
        "MULTIPOLYGON(EMPTY)",
        "MULTIPOLYGON(EMPTY,((0 0,1 0,1 1,0 0)))",
        "MULTIPOLYGON(((0 0,1 0,1 1,0 0)),EMPTY)",
        "MULTIPOLYGON(((0 0,181 0,1 1,0 0)))",
    ] {
        let error = execute(&repository, &insert(outline)).await.expect_err(outline);
        assert!(
            matches!(&error, Error::InvalidGeometry { reason } if reason.contains("ck_catchment_geometry")),
            "{outline}: {error:?}"
        );
    }
    for other in ["POINT(0 0)", "POLYGON((0 0,1 0,1 1,0 0))", "MULTIPOLYGON Z(((0 0 1,1 0 1,1 1 1,0 0 1)))"] {
        execute(&repository, &insert(other)).await.expect_err(other);
    }
    execute(&repository, &insert("MULTIPOLYGON(((0 0,1 0,1 1,0 0)))")).await.expect("a whole outline");
}

#[tokio::test]
async fn every_plan_uses_its_index() {
    let database = database().await;
    let repository = open(database.owner()).await;
    let mut schools = sample::schools();
    // Enough to make an index worth while, spread over the country.
    schools.extend((1..=20_000).map(|number| {
        let away = |step: i64| f64::from(i32::try_from(number * step % 1_009).expect("small")) / 1_009.0;
        let place = crate::support::at(50.0 + away(613) * 5.0, -5.0 + away(317) * 6.0);
        NewSchool { location: Some(place), phase: Some(Phase::Secondary), ..school(number) }
    }));
    repository.insert_schools(schools).await.expect("schools that fit");
    execute(&repository, "ANALYZE schools, school_words").await.expect("analysed");
    for (name, search, index) in searches() {
        let index = match index {
            LOCATIONS => "ix_schools_open_location",
            WORDS => "school_words_pkey",
            index => index,
        };
        let explanation = repository.explain(ExplainedQuery::Find, &search, ExplainMode::Plan).await.expect("a plan");
        assert!(explanation.indexes.iter().any(|used| used == index), "{name}: {explanation}");
        assert!(explanation.scans.is_empty(), "{name}: {explanation}");
    }
    // A prepared statement has one plan for all values, and `explain` shows that for these. Few schools have a word.
    let mut config = database.owner().clone();
    config.pool.max_size = 1;
    let repository = open(&config).await;
    for (name, search, _) in searches().into_iter().filter(|(.., index)| *index == WORDS) {
        let before = scans_of_schools(&repository).await;
        repository.find_schools(&search).await.expect("a result");
        assert_eq!(scans_of_schools(&repository).await, before, "{name}");
    }
}

/// Returns how often the table of schools was scanned, where the repository has one connection.
async fn scans_of_schools(repository: &PostgresRepository) -> Option<f64> {
    execute(repository, "SELECT pg_stat_force_next_flush()").await.expect("a flush");
    let scans = "SELECT seq_scan::float8 FROM pg_stat_all_tables WHERE relid = 'schools'::regclass";
    number(repository, scans).await.expect("a count")
}

/// Where PostGIS takes points for one that its index takes for two.
#[tokio::test]
async fn homes_micrometres_from_schools_find_them() {
    let database = database().await;
    let repository = open(database.owner()).await;
    let coordinates = |around: [f64; 3], limit: f64| {
        let near = |at: f64| [0.0, 1e-13, -1e-13, 1e-11, -1e-8, 1e-7].map(|off| at + off);
        around.into_iter().flat_map(near).filter(move |degrees| degrees.abs() <= limit)
    };
    let places: Vec<LatLng> = coordinates([0.0, 52.0, 90.0], 90.0)
        .flat_map(|lat| coordinates([-180.0, 0.0, 180.0], 180.0).map(move |lng| crate::support::at(lat, lng)))
        .filter(|place| place.lat().degrees().abs() > 1e-3 || place.lng().degrees().abs() > 1e-3)
        .collect();
    let placed = |(number, place): (i64, &LatLng)| NewSchool { location: Some(*place), ..school(number) };
    repository.insert_schools((1..).zip(&places).map(placed).collect()).await.expect("schools that fit");
    for place in &places {
        let page = repository.find_schools(&SchoolSearch::near(*place).limit(1)).await.expect("a result");
        let km = page.items[0].distance_km.expect("a distance").get();
        assert!(km < 1e-5, "{place:?}: {km}");
    }
}

#[tokio::test]
async fn catchments_are_found_by_their_boxes() {
    let database = database().await;
    let repository = open(database.owner()).await;
    let mut schools = sample::schools();
    let circle =
        |number| NewSchool { catchment_radius_km: Some(km(1.0)), location: Some(sample::home()), ..school(number) };
    schools.extend((1..=2_000).map(|number| if number % 2 == 0 { circle(number) } else { school(number) }));
    repository.insert_schools(schools).await.expect("schools that fit");
    repository.upsert_catchments(sample::catchments(), WriteMode::Commit).await.expect("catchments");
    execute(&repository, "ANALYZE schools").await.expect("analysed");
    let explanation = repository
        .explain(ExplainedQuery::Catchments, &SchoolSearch::near(sample::home()), ExplainMode::Plan)
        .await
        .expect("a plan");
    assert_eq!(explanation.indexes, ["ix_schools_catchment"], "{explanation}");
    assert!(explanation.scans.is_empty(), "{explanation}");
    insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "snapshots/postgres", omit_expression => true }, {
        insta::assert_snapshot!("catchments", explanation.sql);
    });
}

/// The functions that are declared for a service's own queries, with the units that their names and documentation give.
#[tokio::test]
async fn declared_functions_have_their_documented_units() {
    use diesel::prelude::*;
    use school_finder_db::postgres::functions::{
        geography, geometry, postgis_point, st_covers, st_distance_metres, st_make_point, st_set_srid,
    };
    use school_finder_db::postgres::schema::schools;

    let database = database().await;
    let repository = open(database.owner()).await;
    let (home, there) = (sample::home(), crate::support::at(52.05, -0.75));
    repository.insert_schools(vec![NewSchool { location: Some(there), ..school(1) }]).await.expect("a school");
    let query = async |c: &mut diesel_async::AsyncPgConnection| {
        let made = st_set_srid(st_make_point(-0.75, 52.05), 4326);
        let query = schools::table.select((
            st_distance_metres(schools::location, postgis_point(home), false),
            st_distance_metres(geography(made), postgis_point(there), false),
            st_covers(geometry(schools::location), postgis_point(there)),
        ));
        Ok(diesel_async::RunQueryDsl::get_result::<(Option<f64>, Option<f64>, Option<bool>)>(query, c).await?)
    };
    let (metres, none, covers) = repository.with_connection(query).await.expect("a result");
    let expected = home.distance_to(there).get() * 1_000.0;
    assert!((metres.expect("a distance") / expected - 1.0).abs() < 2e-6, "{metres:?} and {expected} metres");
    assert_eq!((none, covers), (Some(0.0), Some(true)));
}

#[tokio::test]
async fn each_search_sends_the_sql_of_its_snapshot() {
    let database = database().await;
    let repository = open(database.config()).await;
    for (name, search, _) in searches() {
        let explanation = repository.explain(ExplainedQuery::Find, &search, ExplainMode::Plan).await.expect("a plan");
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "snapshots/postgres", omit_expression => true }, {
            insta::assert_snapshot!(name, explanation.sql);
        });
    }
}

#[tokio::test]
async fn an_own_query_uses_the_typed_functions() {
    use school_finder_db::postgres::functions::{haversine, postgis_point, st_dwithin_metres};
    use school_finder_db::postgres::schema::schools;

    let database = database().await;
    let repository = open(database.config()).await;
    repository.insert_schools(sample::schools()).await.expect("schools that fit");
    let home = sample::home();
    let near = async |c: &mut AsyncPgConnection| {
        let query = schools::table
            .filter(st_dwithin_metres(schools::location, postgis_point(home), 300.0, false))
            .select((schools::name, haversine(home.lat().degrees(), home.lng().degrees(), schools::lat, schools::lng)))
            .order_by(schools::name);
        Ok(query.load::<(String, Option<f64>)>(c).await?)
    };
    let near = repository.with_connection(near).await.expect("a result");
    let names: Vec<_> = near.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["Brackenford Sixth Form College", "Little Acorns Nursery School", "Old Mill Lane Primary School"]
    );
    assert!(near.iter().all(|(_, km)| km.is_some_and(|km| km <= 0.3)));
}

/// What `TRUNCATE` empties, it empties without a trigger of rows.
#[tokio::test]
async fn truncating_admissions_empties_reach() {
    let database = database().await;
    let repository = open(database.config()).await;
    let offered = |number| NewAdmissions {
        urn: urn(number),
        admissions: Admissions {
            last_distance_offered_km: Some(km(9.0)),
            ..Admissions::new(AcademicYear::starting(2024).expect("a year"), None)
        },
    };
    let left = async || number(&repository, "SELECT count(*)::float8 FROM admissions_reach").await.expect("a number");
    for truncate in ["TRUNCATE admissions_history", "TRUNCATE schools RESTART IDENTITY CASCADE"] {
        TestDatabase::execute(&database, "TRUNCATE schools RESTART IDENTITY CASCADE").await.expect("nothing");
        repository.insert_schools(vec![school(1), school(2)]).await.expect("schools that fit");
        repository.upsert_admissions(vec![offered(1), offered(2)], WriteMode::Commit).await.expect("two years");
        assert_eq!(left().await, Some(2.0));
        TestDatabase::execute(&database, truncate).await.expect("truncated");
        assert_eq!(left().await, Some(0.0), "{truncate}");
    }
}

/// Of the table of reviews, in this database.
const LOCKS: &str = "SELECT count(*)::float8 FROM pg_locks WHERE relation = 'school_reviews'::regclass
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

fn review(number: i64) -> Review {
    Review {
        urn: urn(number),
        school_name: format!("School {number}"),
        source: "A paper".to_owned(),
        rating: Some(4),
        snippet: None,
        reviewed_on: None,
    }
}

/// An import is waited for by the reviews of schools that may be in it alone.
#[tokio::test]
async fn a_review_of_a_known_school_waits_for_no_import() {
    let database = database().await;
    let mut config = database.config().clone();
    config.pool.busy_timeout = Duration::from_millis(100);
    let (repository, other) = (open(&config).await, open(&config).await);
    repository.insert_schools(vec![school(1)]).await.expect("a school");
    let import = async |c: &mut AsyncPgConnection| {
        c.batch_execute(
            "BEGIN; INSERT INTO folded_names VALUES ('a', 'a');
             INSERT INTO schools (urn, name, name_folded, status) VALUES (2, 'a', 'a', 'open')",
        )
        .await?;
        other.insert_reviews(vec![review(1)]).await?;
        let refused = other.insert_reviews(vec![review(1), review(3)]).await;
        assert!(matches!(refused, Err(Error::Busy)), "{refused:?}");
        Ok(c.batch_execute("COMMIT").await?)
    };
    repository.with_connection(import).await.expect("imported");
    other.insert_reviews(vec![review(3)]).await.expect("of no school that is known");
    let id = other.school_by_urn(urn(1)).await.expect("a result").expect("the school").id;
    let details = other.school_details(id).await.expect("a result").expect("the school");
    assert_eq!(details.reviews.map(|reviews| reviews.len()), Some(1));
}

/// The school of a review may be one that an import has inserted and not committed.
#[tokio::test]
async fn a_review_finds_the_school_that_is_just_imported() {
    let database = database().await;
    let mut config = database.config().clone();
    // The import goes on once the review is seen to wait, however long that takes on a busy machine.
    config.pool.busy_timeout = Duration::from_secs(30);
    let (repository, other, watch) = (open(&config).await, open(&config).await, open(database.owner()).await);
    let (review, seen) = (review(1), async |sql: String| number(&watch, &sql).await.expect("a number"));
    let import = repository.with_connection(async |c: &mut AsyncPgConnection| {
        c.batch_execute(
            "BEGIN; INSERT INTO folded_names VALUES ('a', 'a');
             INSERT INTO schools (urn, name, name_folded, status) VALUES (1, 'a', 'a', 'open')",
        )
        .await?;
        until("the review waits", async || seen(format!("{LOCKS} AND NOT granted")).await == Some(1.0)).await;
        Ok(c.batch_execute("COMMIT").await?)
    });
    let insert = async {
        let lock = format!("{LOCKS} AND granted AND mode = 'RowExclusiveLock'");
        until("the import has its lock", async || seen(lock.clone()).await.is_some_and(|lock| lock >= 1.0)).await;
        other.insert_reviews(vec![review.clone()]).await
    };
    let (imported, inserted) = tokio::join!(import, insert);
    imported.expect("imported");
    inserted.expect("a review");
    let id = other.school_by_urn(urn(1)).await.expect("a result").expect("the school").id;
    let details = other.school_details(id).await.expect("a result").expect("the school");
    assert_eq!(details.reviews, Some(vec![review]));
}

/// A server sorts text by its database's collation, and this crate by its bytes.
#[tokio::test]
async fn details_are_in_order_in_any_collation() {
    let database = database().await;
    let repository = open(database.config()).await;
    let id = repository.insert_schools(vec![school(1)]).await.expect("a school")[0];
    let metrics = ["EBacc APS", "P8MEA", "P8_BANDING", "attainment_8"];
    let performance = metrics.map(|metric| Performance {
        metric: metric.to_owned(),
        year: 2024,
        value: None,
        is_suppressed: true,
        national_average: None,
        source: None,
    });
    let intakes = [Some("Reception"), Some("nursery"), None];
    let year = AcademicYear::starting(2024).expect("a year");
    let admissions = intakes.map(|intake| Admissions::new(year, intake.map(str::to_owned)));
    let new = NewCollections {
        performance: Some(performance.to_vec()),
        admissions: Some(admissions.to_vec()),
        ..NewCollections::default()
    };
    repository.replace_collections(id, 1, new).await.expect("collections that fit");
    let in_english = "DROP VIEW admissions_by_recency, admissions_evidence;
        ALTER TABLE school_performance ALTER COLUMN metric TYPE TEXT COLLATE \"en-GB-x-icu\";
        ALTER TABLE admissions_history ALTER COLUMN intake TYPE TEXT COLLATE \"en-GB-x-icu\";";
    TestDatabase::execute(&database, in_english).await.expect("another language");
    let repository = open(database.config()).await;
    let details = repository.school_details(id).await.expect("a result").expect("the school");
    let sorted: Vec<_> = details.performance.iter().flatten().map(|row| row.metric.as_str()).collect();
    assert_eq!(sorted, metrics);
    let sorted: Vec<_> = details.admissions.iter().flatten().map(|row| row.intake.as_deref()).collect();
    assert_eq!(sorted, intakes);
}

#[tokio::test]
async fn an_unreadable_outline_is_replaced_by_an_upsert() {
    let database = database().await;
    let repository = open(database.config()).await;
    repository.insert_schools(vec![school(1)]).await.expect("a school");
    // Without an area, which the table's CHECK does not ask for.
    let broken = "UPDATE schools SET catchment_geometry = 'SRID=4326;MULTIPOLYGON(((0 0,1 1,2 2,0 0)))'";
    let outline: Catchment = "POLYGON((3 4,5 4,5 6,3 4))".parse().expect("an outline");
    for outline in [Some(outline), None] {
        TestDatabase::execute(&database, broken).await.expect("another program's outline");
        let new = vec![NewCatchment { urn: urn(1), outline }];
        let counts = repository.upsert_catchments(new.clone(), WriteMode::Commit).await.expect("mended");
        assert_eq!(counts.updated, 1);
        assert_eq!(repository.upsert_catchments(new, WriteMode::Commit).await.expect("as before").unchanged, 1);
    }
}

#[tokio::test]
async fn a_foreign_key_of_a_service_is_named() {
    let database = database().await;
    let finder = database.repository();
    let ids = finder.insert_schools(vec![school(1)]).await.expect("a school");
    let visits = "CREATE TABLE visits (school_id BIGINT NOT NULL CONSTRAINT fk_visits_school REFERENCES schools (id))";
    TestDatabase::execute(&database, visits).await.expect("a table of the service");
    let role = database.role().expect("a role");
    TestDatabase::execute(&database, &format!("GRANT SELECT ON visits TO {role}")).await.expect("granted");
    let is_named =
        |error: &Error| matches!(error, Error::ForeignKey { constraint } if constraint == "fk_visits_school");
    let error = TestDatabase::execute(&database, "INSERT INTO visits VALUES (77)").await.expect_err("no such school");
    assert!(is_named(&error), "{error:?}");
    TestDatabase::execute(&database, &format!("INSERT INTO visits VALUES ({})", ids[0])).await.expect("a visit");
    let error = finder.delete_school(ids[0]).await.expect_err("it has a visit");
    assert!(is_named(&error), "{error:?}");
}
