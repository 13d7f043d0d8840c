//! A database as another program sees it: SQL alone, whatever the schema's version.

use diesel::sql_types::Text;
use school_finder_db::config::Backend;
use school_finder_db::testing::TestDatabase;

/// A connection that none of the crate's set-up has touched.
pub enum Raw {
    #[cfg(feature = "sqlite")]
    Sqlite(Box<diesel::SqliteConnection>),
    #[cfg(feature = "postgres")]
    Postgres(Box<diesel_async::AsyncPgConnection>),
}

/// Where a test database is, as the program's `--database` takes it.
pub async fn url_of(database: &TestDatabase) -> String {
    match database.config().backend() {
        #[cfg(feature = "sqlite")]
        Backend::Sqlite => {
            let file = diesel::dsl::sql::<Text>("SELECT file FROM pragma_database_list WHERE name = 'main'");
            let repository = school_finder_db::sqlite::SqliteRepository::connect(database.config()).await;
            let query = move |connection: &mut _| Ok(diesel::RunQueryDsl::get_result::<String>(file, connection)?);
            format!("sqlite:{}", repository.expect("the database").with_connection(query).await.expect("its file"))
        }
        #[cfg(feature = "postgres")]
        Backend::Postgres => {
            let name = diesel::dsl::sql::<Text>("SELECT current_database()::text");
            let repository = school_finder_db::postgres::PostgresRepository::connect(database.config()).await;
            let query =
                async |connection: &mut _| Ok(diesel_async::RunQueryDsl::get_result::<String>(name, connection).await?);
            let name = repository.expect("the database").with_connection(query).await.expect("its name");
            let server = std::env::var("TEST_DATABASE_URL").expect("the server");
            let (address, parameters) = server.split_once('?').map_or((server.as_str(), ""), |(a, p)| (a, p));
            let (host, _) = address.rsplit_once('/').expect("a database");
            format!("{host}/{name}?{parameters}").trim_end_matches('?').to_owned()
        }
        other => panic!("{other:?} has no address"),
    }
}

impl Raw {
    pub async fn open(url: &str) -> Self {
        #[cfg(feature = "sqlite")]
        if let Some(path) = url.strip_prefix("sqlite:") {
            let connection = diesel::Connection::establish(path).expect("the database");
            return Self::Sqlite(Box::new(connection));
        }
        #[cfg(feature = "postgres")]
        if url.starts_with("postgres:") {
            let connection = <diesel_async::AsyncPgConnection as diesel_async::AsyncConnection>::establish(url).await;
            return Self::Postgres(Box::new(connection.expect("the database")));
        }
        panic!("{url} is of no backend")
    }

    pub async fn try_execute(&mut self, sql: &str) -> diesel::QueryResult<()> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(connection) => diesel::connection::SimpleConnection::batch_execute(connection.as_mut(), sql),
            #[cfg(feature = "postgres")]
            Self::Postgres(connection) => {
                diesel_async::SimpleAsyncConnection::batch_execute(connection.as_mut(), sql).await
            }
        }
    }

    pub async fn execute(&mut self, sql: &str) {
        self.try_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The one column of text that a query gives.
    pub async fn texts(&mut self, sql: &str) -> Vec<String> {
        let query = diesel::dsl::sql::<Text>(sql);
        let rows = match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(connection) => diesel::RunQueryDsl::load(query, connection.as_mut()),
            #[cfg(feature = "postgres")]
            Self::Postgres(connection) => diesel_async::RunQueryDsl::load(query, connection.as_mut()).await,
        };
        rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The tables of the schema and their columns, by name; Diesel's own are left out.
    pub async fn columns(&mut self) -> std::collections::BTreeMap<String, Vec<String>> {
        let sql = match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => {
                "SELECT t.name || ' ' || c.name FROM pragma_table_list t, pragma_table_xinfo(t.name) c
                 WHERE t.schema = 'main' AND t.type IN ('table', 'virtual') AND t.name NOT LIKE 'sqlite%'
                     AND t.name <> '__diesel_schema_migrations' AND c.hidden IN (0, 2, 3) ORDER BY t.name, c.name"
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => {
                "SELECT relname || ' ' || attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
                 WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> '__diesel_schema_migrations'
                     AND relname <> 'spatial_ref_sys' AND attnum > 0 AND NOT attisdropped ORDER BY relname, attname"
            }
        };
        let mut tables = std::collections::BTreeMap::<String, Vec<String>>::new();
        for line in self.texts(sql).await {
            let (table, column) = line.split_once(' ').expect("a table and a column");
            tables.entry(table.to_owned()).or_default().push(column.to_owned());
        }
        tables
    }

    /// Everything that the tables hold, a line a row.
    pub async fn rows(&mut self) -> Vec<String> {
        let mut rows = Vec::new();
        for (table, columns) in self.columns().await {
            if table == "school_finder_migrations" {
                continue;
            }
            // The rows of a table that triggers keep may be written anew.
            let columns = columns.iter().filter(|column| table != "admissions_reach" || *column != "id");
            let values = columns.map(|column| match self {
                #[cfg(feature = "sqlite")]
                Self::Sqlite(_) => format!("'{column}=' || quote(\"{column}\")"),
                #[cfg(feature = "postgres")]
                Self::Postgres(_) => format!("'{column}=' || coalesce(\"{column}\"::text, 'NULL')"),
            });
            let values = values.collect::<Vec<_>>().join(" || ' ' || ");
            rows.extend(self.texts(&format!("SELECT '{table}: ' || {values} FROM {table} ORDER BY 1")).await);
        }
        rows
    }

    /// Everything that the schema is made of, a line each; where a column stands does not count.
    pub async fn schema(&mut self) -> std::collections::BTreeSet<String> {
        let sql = match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => {
                "SELECT 'column ' || t.name || '.' || c.name || ' ' || c.type || c.\"notnull\" || coalesce(c.dflt_value, '') || c.pk
                 FROM pragma_table_list t, pragma_table_xinfo(t.name) c
                 WHERE t.schema = 'main' AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE '\\_%' ESCAPE '\\'
                 UNION ALL SELECT 'key ' || t.name || '.' || f.\"from\" || ' ' || f.\"table\" || ' ' || f.on_delete
                 FROM pragma_table_list t, pragma_foreign_key_list(t.name) f WHERE t.schema = 'main'
                 UNION ALL SELECT type || ' ' || name || ' ' || sql FROM sqlite_master WHERE type <> 'table' AND sql IS NOT NULL"
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => {
                "WITH ours AS (
                     SELECT c.oid, c.relname FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
                         AND relname <> '__diesel_schema_migrations'
                         AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
                 )
                 SELECT 'column ' || relname || '.' || attname || ' ' || format_type(atttypid, atttypmod) || attnotnull
                     || coalesce(pg_get_expr(adbin, adrelid), '')
                 FROM ours JOIN pg_attribute ON attrelid = ours.oid AND attnum > 0 AND NOT attisdropped
                     LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
                 UNION ALL SELECT 'constraint ' || conname || ' ' || pg_get_constraintdef(c.oid)
                 FROM ours JOIN pg_constraint c ON conrelid = ours.oid
                 UNION ALL SELECT 'index ' || pg_get_indexdef(indexrelid) || indisvalid
                 FROM ours JOIN pg_index ON indrelid = ours.oid
                 UNION ALL SELECT 'trigger ' || pg_get_triggerdef(t.oid) FROM ours JOIN pg_trigger t ON tgrelid = ours.oid
                     AND NOT tgisinternal
                 UNION ALL SELECT 'view ' || viewname || definition FROM pg_views WHERE schemaname = 'public'
                 UNION ALL SELECT 'function ' || proname || coalesce(pg_get_function_sqlbody(p.oid), prosrc) FROM pg_proc p
                 WHERE pronamespace = 'public'::regnamespace
                     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"
            }
        };
        let mut schema: std::collections::BTreeSet<String> = self.texts(sql).await.into_iter().collect();
        // SQLite knows its constraints as text alone.
        let tables: Vec<String> = match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => self.texts("SELECT sql FROM sqlite_master WHERE type = 'table'").await,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Vec::new(),
        };
        schema.extend(tables.iter().flat_map(|table| table.split("CONSTRAINT ").skip(1)).map(constraint));
        schema
    }
}

/// A constraint's name and, where it is a CHECK, what stands in its brackets.
fn constraint(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut depth = 0_usize;
    let end = words.char_indices().find(|(_, c)| {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return true,
            ')' => depth -= 1,
            _ => {}
        }
        false
    });
    let is_check = words.split(' ').nth(1) == Some("CHECK");
    let end = end.filter(|_| is_check).map_or_else(|| words.find(' ').unwrap_or(words.len()), |(at, _)| at + 1);
    format!("constraint {}", &words[..end])
}
