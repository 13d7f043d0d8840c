//! `src/sqlite/schema.rs` is what the migrations make. `scripts/test` compares it with the real `diesel print-schema`;
//! this does the same without the tool, for the types that the schema uses.

use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};
use school_finder_db::Config;
use school_finder_db::sqlite::SqliteRepository;

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    in_table: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Integer)]
    required: i32,
    #[diesel(sql_type = Integer)]
    key: i32,
}

#[tokio::test]
async fn the_rust_schema_is_what_the_migrations_make() {
    let repository = SqliteRepository::connect(&Config::in_memory()).await.expect("a database");
    let columns = "SELECT m.name AS in_table, c.name, c.type AS kind, c.\"notnull\" AS required, c.pk AS key
        FROM sqlite_master m, pragma_table_info(m.name) c
        WHERE m.type = 'table' AND m.sql LIKE 'CREATE TABLE%' AND m.name NOT LIKE 'sqlite%'
            AND m.name NOT LIKE '\\_%' ESCAPE '\\' AND m.name NOT LIKE 'schools\\_%' ESCAPE '\\'
        ORDER BY m.name, c.cid";
    let columns: Vec<Column> =
        repository.with_connection(move |c| Ok(diesel::sql_query(columns).load(c)?)).await.expect("the columns");
    let mut expected = String::new();
    let mut table = String::new();
    for Column { in_table, name, kind, required, key } in columns {
        if in_table != table {
            if !table.is_empty() {
                expected.push_str("    }\n}\n\n");
            }
            let id = match in_table.as_str() {
                "school_finder_migrations" => "version",
                "folded_names" => "name",
                "postcodes" => "postcode",
                "school_towns" => "school_id",
                "school_vocabulary" => "word",
                "school_words" => "word, school_id",
                _ => "id",
            };
            expected.push_str(&format!("diesel::table! {{\n    {in_table} ({id}) {{\n"));
            table = in_table;
        }
        let rust = match (kind.as_str(), key) {
            // SQLite's integer key has 64 bits, whatever it is called.
            ("INTEGER", 1) | ("BIGINT", _) => "BigInt",
            ("INTEGER", _) => "Integer",
            ("SMALLINT", _) => "SmallInt",
            ("DOUBLE", _) => "Double",
            ("BOOLEAN", _) => "Bool",
            ("DATE", _) => "Date",
            ("TIME", _) => "Time",
            ("TEXT", _) => "Text",
            (other, _) => panic!("{name} has type {other}, which both backends should read the same way"),
        };
        let rust = if required == 1 { rust.to_owned() } else { format!("Nullable<{rust}>") };
        let (attribute, name) = match name.as_str() {
            "type" => ("        #[sql_name = \"type\"]\n", "type_".to_owned()),
            _ => ("", name),
        };
        expected.push_str(&format!("{attribute}        {name} -> {rust},\n"));
    }
    expected.push_str("    }\n}\n");
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sqlite/schema.rs");
    let schema = std::fs::read_to_string(path).expect("the schema");
    assert!(schema.contains(&expected), "run `diesel print-schema`; expected\n{expected}");
}
