//! Backend parity: the same files, migrations, columns, constraints and indexes on both backends, but for a list.

use std::collections::BTreeSet;
use std::path::Path;

use diesel::sql_types::Text;
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use school_finder_db::Config;
use school_finder_db::config::Backend;
use school_finder_db::postgres::PostgresRepository;
use school_finder_db::sqlite::SqliteRepository;
use school_finder_db::testing::TestDatabase;

/// What one backend has and the other does not, and why.
const KNOWN_DIFFERENCES: &[(&str, &str)] = &[
    ("column: schools.location", "Postgres generates a geography, for PostGIS queries of a service's own"),
    (
        "column: schools.catchment_circle",
        "Postgres generates the box of a circle; in SQLite's R*Tree it stands with the outlines",
    ),
    ("query: with_schools_in_txn", "a probe on SQLite fetches ids and locations; on Postgres, rows, as each is a trip"),
    ("file: generations.rs", "Postgres has replicas"),
    ("file: generations/*", "Postgres has replicas"),
    ("file: rebuild.rs", "Postgres changes a table in place"),
    ("file: threads.rs", "a query of SQLite blocks its thread; one of Postgres waits for its server"),
    ("file: health.rs", "a server's software, schema and extension are asked for; SQLite is this build's own"),
    ("file: grants.rs", "who may use an SQLite file is the file system's to say"),
    ("file: run.rs", "a query of SQLite has no future to box"),
    ("file: guard.rs", "SQLite cannot go away in the middle of a call"),
    ("file: role.rs", "an SQLite file has no replicas"),
    ("file: reader.rs", "a file has no replicas"),
    ("file: pooler.rs", "nothing stands between a program and a file"),
    ("file: tls.rs", "nothing stands between a program and a file"),
    ("index: ix_schools_latitude_band", "latitude bands, where Postgres has GiST"),
    ("index: ix_schools_open_location", "GiST, where SQLite has latitude bands"),
    ("index: ix_schools_location", "GiST, for schools that are not open"),
    ("index: ix_schools_catchment", "GiST, where SQLite has the R*Tree schools_catchment"),
    ("index: ix_schools_catchment_geometry", "GiST, for PostGIS queries of a service's own"),
    ("index: uq_*", "SQLite gives the index of a UNIQUE constraint a name of its own"),
    ("index: *_pkey", "SQLite's table is its primary key's index"),
    ("constraint: ck_is_private", "a BOOLEAN of Postgres holds nothing else"),
    ("constraint: ck_is_selective", "a BOOLEAN of Postgres holds nothing else"),
    ("constraint: ck_postcodes_is_withdrawn", "a BOOLEAN of Postgres holds nothing else"),
    ("constraint: ck_school_word_in_name", "a BOOLEAN of Postgres holds nothing else"),
    ("constraint: ck_town_*", "a TEXT of Postgres holds nothing else"),
    ("function: schools_check_words", "the code of triggers, which SQLite holds in the trigger"),
    ("constraint: ck_admissions_had_vacancies", "a BOOLEAN of Postgres holds nothing else"),
    ("constraint: ck_performance_is_suppressed", "a BOOLEAN of Postgres holds nothing else"),
    ("constraint: ck_*_starts_at", "a TIME of Postgres holds nothing else"),
    ("function: haversine", "Rust registers it on SQLite's connections"),
    ("function: school_links_find_*", "the code of triggers, which SQLite holds in the trigger"),
    ("file: caller.rs", "a dropped future of Postgres ends its query"),
    ("function: school_links_follow_urn", "the code of a trigger, which SQLite holds in the trigger"),
    ("function: school_reviews_*", "the code of triggers, which SQLite holds in the trigger"),
    ("function: admissions_reach_*", "the code of triggers, which SQLite holds in the trigger"),
    ("function: schools_check_fold", "the code of triggers, which SQLite holds in the trigger"),
    ("constraint: fk_schools_name", "pg_dump orders its data by foreign keys; a file of SQLite is copied whole"),
    ("constraint: ck_folded_name*", "a TEXT of Postgres holds nothing else"),
    ("trigger: tr_admissions_reach_replace", "Postgres has no REPLACE"),
    ("trigger: tr_admissions_reach_truncate", "SQLite has no TRUNCATE"),
    ("trigger: tr_admissions_reach_update_old", "a statement's trigger of Postgres sees the old rows or the new ones"),
    ("function: catchment_circle_box", "SQLite has a view in its place"),
    ("trigger: tr_schools_catchment_*", "the R*Tree's"),
    ("view: schools_catchment_box", "the R*Tree's"),
    ("view: schools_catchment_circle", "the R*Tree's"),
];

/// The floors that a folder's migrations state.
fn floors(folder: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut floors = BTreeSet::new();
    for entry in std::fs::read_dir(&folder).expect("migrations") {
        let migration = entry.expect("an entry").path();
        let Ok(up) = std::fs::read_to_string(migration.join("up.sql")) else { continue };
        let name = migration.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        for line in up.lines().filter(|line| line.starts_with("-- Serves ")) {
            let floor = line.strip_prefix("-- Serves builds from ").and_then(|line| line.strip_suffix(" on."));
            let floor = floor.unwrap_or_else(|| panic!("{name}: {line}"));
            assert!(folder.join(floor).is_dir() && floor < name.as_str(), "{name}: {line}");
            floors.insert(format!("{name}: {floor}"));
        }
    }
    floors
}

#[test]
fn migrations_state_the_same_floors() {
    assert_eq!(floors("migrations_sqlite"), floors("migrations_postgres"));
    let [sqlite, postgres] = ["sqlite", "postgres"].map(|backend| floors(&format!("tests/evolution/{backend}")));
    assert_eq!(sqlite, postgres);
    assert_eq!(sqlite.len(), 2);
}

fn differences(what: &str, ours: &BTreeSet<String>, theirs: &BTreeSet<String>) -> Vec<String> {
    let known = |name: &&String| {
        let name = format!("{what}: {name}");
        KNOWN_DIFFERENCES.iter().any(|(known, _)| match known.split_once('*') {
            Some((start, end)) => name.starts_with(start) && name.ends_with(end),
            None => name == *known,
        })
    };
    ours.symmetric_difference(theirs).filter(|name| !known(name)).map(|name| format!("{what}: {name}")).collect()
}

fn files(folder: &str) -> BTreeSet<String> {
    fn below(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
            let name = format!("{prefix}{}", entry.file_name().into_string().expect("UTF-8"));
            if entry.path().is_dir() {
                below(&entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(name);
            }
        }
    }
    let mut found = BTreeSet::new();
    below(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), "", &mut found);
    found
}

#[test]
fn files_and_functions_have_the_same_names() {
    assert_eq!(differences("file", &files("src/sqlite"), &files("src/postgres")), Vec::<String>::new());
    let functions = |folder: &str| -> BTreeSet<String> {
        let queries = ["catchment_index.rs", "insert.rs", "nearest.rs", "plan.rs"];
        let read = |file: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(file));
        queries
            .into_iter()
            .flat_map(|file| {
                let text = read(file).expect("a file");
                text.lines()
                    .filter_map(|line| line.split_once("fn ").map(|(_, rest)| rest.to_owned()))
                    .filter_map(|rest| rest.split(['(', '<']).next().map(str::to_owned))
                    .filter(|name| name.ends_with("_query") || name.ends_with("_on_conn") || name.ends_with("_in_txn"))
                    .collect::<Vec<_>>()
            })
            .collect()
    };
    assert_eq!(differences("query", &functions("src/sqlite"), &functions("src/postgres")), Vec::<String>::new());
    let migrations =
        |folder: &str| files(folder).into_iter().filter(|name| name.ends_with(".sql")).collect::<BTreeSet<_>>();
    assert_eq!(migrations("migrations_sqlite"), migrations("migrations_postgres"));
    assert_eq!(migrations("tests/evolution/sqlite"), migrations("tests/evolution/postgres"));
}

/// One column of text from each database.
async fn both(lite: &'static str, server: &'static str) -> (BTreeSet<String>, BTreeSet<String>) {
    let repository = SqliteRepository::connect(&Config::in_memory()).await.expect("a database");
    let query = diesel::dsl::sql::<Text>(lite);
    let ours = repository
        .with_connection(move |c| Ok(diesel::RunQueryDsl::load::<String>(query, c)?))
        .await
        .expect("the catalogue");
    let database = TestDatabase::new(Backend::Postgres).await.expect("a database");
    let repository = PostgresRepository::connect(database.config()).await.expect("the database");
    let query = async |c: &mut AsyncPgConnection| Ok(diesel::dsl::sql::<Text>(server).load::<String>(c).await?);
    let theirs = repository.with_connection(query).await.expect("the catalogue");
    (ours.into_iter().collect(), theirs.into_iter().collect())
}

#[tokio::test]
async fn tables_have_the_same_columns_and_indexes() {
    let (ours, theirs) = both(
        "SELECT t.name || '.' || c.name FROM pragma_table_list t, pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE '\\_%' ESCAPE '\\'",
        "SELECT relname || '.' || attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
             WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname NOT LIKE '\\_%'
                 AND relname <> 'spatial_ref_sys' AND attnum > 0 AND NOT attisdropped",
    )
    .await;
    assert_eq!(differences("column", &ours, &theirs), Vec::<String>::new());
    let (ours, theirs) = both(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
        "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'public'
             AND tablename NOT LIKE '\\_%' AND tablename <> 'spatial_ref_sys'",
    )
    .await;
    assert_eq!(differences("index", &ours, &theirs), Vec::<String>::new());
    let (ours, theirs) = both(
        "SELECT type || ': ' || name FROM sqlite_master WHERE type IN ('trigger', 'view')",
        "SELECT 'function: ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
             AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
         UNION ALL SELECT 'trigger: ' || tgname FROM pg_trigger WHERE NOT tgisinternal AND tgname LIKE 'tr_%'
         UNION ALL SELECT 'view: ' || viewname FROM pg_views WHERE schemaname = 'public'
             AND viewname NOT IN ('geography_columns', 'geometry_columns')",
    )
    .await;
    for name in ours.symmetric_difference(&theirs) {
        let (what, name) = name.split_once(": ").expect("a kind and a name");
        let one = BTreeSet::from([name.to_owned()]);
        assert_eq!(differences(what, &one, &BTreeSet::new()), Vec::<String>::new());
    }
}

#[tokio::test]
async fn constraints_have_the_same_names() {
    let (sql, theirs) = both(
        "SELECT sql FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE TABLE%'",
        "SELECT conname::text FROM pg_constraint WHERE connamespace = 'public'::regnamespace
             AND contype IN ('c', 'f', 'u') AND conrelid <> 'spatial_ref_sys'::regclass",
    )
    .await;
    let sql: String = sql.into_iter().collect();
    let named = sql.split("CONSTRAINT ").skip(1).filter_map(|rest| rest.split_whitespace().next());
    let ours: BTreeSet<String> = named.map(str::to_owned).collect();
    assert_eq!(differences("constraint", &ours, &theirs), Vec::<String>::new());
}

/// The same columns with the same Rust types, but for the geometry's.
#[test]
fn schemas_read_the_same_way() {
    let columns = |backend: &str| -> BTreeSet<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(backend).join("schema.rs");
        let text = std::fs::read_to_string(path).expect("the schema");
        let columns = text.lines().map(str::trim).filter(|line| line.contains(" -> "));
        // The tool has two names for the same type.
        let names = [("Int8", "BigInt"), ("Int4", "Integer"), ("Int2", "SmallInt"), ("Float8", "Double")];
        let one_name = |line: &str| names.iter().fold(line.to_owned(), |line, (alias, name)| line.replace(alias, name));
        columns.map(one_name).collect()
    };
    let (lite, server) = (columns("sqlite"), columns("postgres"));
    let different: Vec<_> = lite.symmetric_difference(&server).collect();
    // Geometry; and money and results, which are whole steps in SQLite since its NUMERIC is a float.
    let shapes = [
        "catchment_circle -> Nullable<Geometry>,",
        "catchment_geometry -> Nullable<Geometry>,",
        "catchment_geometry -> Nullable<Text>,",
        // The foreign key that orders pg_dump's data.
        "diesel::joinable!(schools -> folded_names (name));",
        "location -> Nullable<Geography>,",
    ];
    let exact = ["cost", "national_average", "per_term", "per_year", "value"];
    let exact = exact.iter().flat_map(|name| ["BigInt", "Numeric"].map(|kind| format!("{name} -> Nullable<{kind}>,")));
    let expected: BTreeSet<String> = shapes.iter().map(|line| (*line).to_owned()).chain(exact).collect();
    assert_eq!(different.into_iter().cloned().collect::<BTreeSet<_>>(), expected);
}
