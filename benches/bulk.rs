//! Measures inserting 50,000 complete schools into an empty database with all its indexes: through the public
//! interface, and with raw SQL, as rows of one prepared INSERT on SQLite and as a COPY on Postgres. Each is run several
//! times in turn; the medians are printed.
//!
//! `scripts/cluster run cargo bench --features postgres --bench bulk`
#![allow(clippy::expect_used, reason = "a bench that cannot go on should stop and say so")]
#![allow(dead_code, reason = "the queries are for the other bench")]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Cursor;
use std::time::{Duration, Instant};

use futures_util::SinkExt;
use school_finder_db::models::NewSchool;
use school_finder_db::request::WriteMode;
use school_finder_db::{Config, connect, migrate};
use support::made::Country;
use support::postgres::{client, new_postgres, remove_postgres};

/// The number of runs of each.
const ROUNDS: usize = 5;

const COLUMNS: &str = "urn, name, name_folded, council, status, phase, type, faith, address, postcode, website_url, is_private, \
                       age_range_from, age_range_to, ofsted_rating, lat, lng";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let schools = Country::of(50_000).schools;
    let mut times: [Vec<Duration>; 4] = std::array::from_fn(|_| Vec::new());
    for round in 0..ROUNDS {
        let folder = tempfile::tempdir().expect("a folder");
        let sqlite = Config::sqlite_file(folder.path().join("crate.db"));
        times[0].push(runtime.block_on(by_crate(&sqlite, &schools)));
        let path = folder.path().join("hand.db");
        runtime.block_on(migrate::up(&Config::sqlite_file(&path))).expect("a schema");
        times[1].push(into_sqlite(&path, &schools));
        let (config, settings) = runtime.block_on(new_postgres(&format!("bulk_{round}")));
        times[2].push(runtime.block_on(by_crate(&config, &schools)));
        runtime.block_on(remove_postgres(settings));
        let (config, settings) = runtime.block_on(new_postgres(&format!("bulk_{round}")));
        runtime.block_on(migrate::up(&config)).expect("a schema");
        times[3].push(runtime.block_on(into_postgres(&settings, &schools)));
        runtime.block_on(remove_postgres(settings));
    }
    let [sqlite, sqlite_raw_sql, postgres, postgres_raw_sql] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2].as_secs_f64()
    });
    for (backend, by_crate, raw_sql) in [("SQLite", sqlite, sqlite_raw_sql), ("Postgres", postgres, postgres_raw_sql)] {
        println!("{backend}: {by_crate:.2} s, raw SQL {raw_sql:.2} s, ×{:.2}", by_crate / raw_sql);
    }
}

async fn by_crate(config: &Config, schools: &[NewSchool]) -> Duration {
    migrate::up(config).await.expect("a schema");
    let repository = connect(config).await.expect("a database");
    let owned = schools.to_vec();
    let stream = Box::new(owned.into_iter().map(Ok));
    let begun = Instant::now();
    repository.upsert_schools(stream, WriteMode::Commit).await.expect("schools that fit");
    begun.elapsed()
}

fn into_sqlite(path: &std::path::Path, schools: &[NewSchool]) -> Duration {
    let mut connection = rusqlite::Connection::open(path).expect("a database");
    connection
        .execute_batch("PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL; PRAGMA cache_size = -32768")
        .expect("set");
    let begun = Instant::now();
    let transaction = connection.transaction().expect("a transaction");
    {
        let marks = ["?"; 17].join(", ");
        let mut insert =
            transaction.prepare(&format!("INSERT INTO schools ({COLUMNS}) VALUES ({marks})")).expect("a statement");
        let mut fold = transaction.prepare("INSERT OR IGNORE INTO folded_names VALUES (?, ?)").expect("a statement");
        for school in schools {
            let place = school.location.expect("a place");
            fold.execute([&school.name, &school.name.to_lowercase()]).expect("a fold");
            insert
                .execute(rusqlite::params![
                    school.urn.get(),
                    school.name,
                    school.name.to_lowercase(),
                    school.council,
                    school.status.as_str(),
                    school.phase.map(|phase| phase.as_str()),
                    school.school_type,
                    school.faith,
                    school.address,
                    school.postcode,
                    school.website_url,
                    school.is_private,
                    school.age_range_from,
                    school.age_range_to,
                    school.ofsted_rating.map(i16::from),
                    place.lat().degrees(),
                    place.lng().degrees(),
                ])
                .expect("a school that fits");
        }
    }
    transaction.commit().expect("committed");
    begun.elapsed()
}

async fn into_postgres(settings: &tokio_postgres::Config, schools: &[NewSchool]) -> Duration {
    let client = client(settings).await;
    let begun = Instant::now();
    let names: BTreeSet<&str> = schools.iter().map(|school| school.name.as_str()).collect();
    let folds: String = names.into_iter().map(|name| format!("{name}\t{}\n", name.to_lowercase())).collect();
    let sink = client.copy_in("COPY folded_names FROM STDIN").await.expect("a copy");
    let mut sink = std::pin::pin!(sink);
    sink.send(Cursor::new(folds.into_bytes())).await.expect("rows that fit");
    sink.finish().await.expect("copied");
    let copy = format!("COPY schools ({COLUMNS}) FROM STDIN");
    let sink = client.copy_in::<_, Cursor<Vec<u8>>>(&copy).await.expect("a copy");
    let mut sink = std::pin::pin!(sink);
    for schools in schools.chunks(1_000) {
        let mut rows = String::new();
        for school in schools {
            let place = school.location.expect("a place");
            // No text of the generated country needs escaping.
            let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "\\N".to_owned());
            let number = |number: Option<i16>| number.map_or_else(|| "\\N".to_owned(), |number| number.to_string());
            writeln!(
                rows,
                "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
                school.urn,
                school.name,
                school.name.to_lowercase(),
                text(&school.council),
                school.status,
                school.phase.map_or("\\N", |phase| phase.as_str()),
                text(&school.school_type),
                text(&school.faith),
                text(&school.address),
                text(&school.postcode),
                text(&school.website_url),
                school.is_private.expect("known"),
                number(school.age_range_from),
                number(school.age_range_to),
                number(school.ofsted_rating.map(i16::from)),
                place.lat().degrees(),
                place.lng().degrees(),
            )
            .expect("text");
        }
        sink.send(Cursor::new(rows.into_bytes())).await.expect("sent");
    }
    sink.finish().await.expect("schools that fit");
    begun.elapsed()
}
