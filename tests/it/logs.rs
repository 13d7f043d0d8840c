//! What a service's logs hold: a span for each call, a warning for a slow one; never a password, and never a row or a
//! home at INFO.
//!
//! A subscriber is a process's own, so that these tests run [`writes_logs_with_a_password`] in another.

use std::process::{Command, Stdio};
use std::time::Duration;

use school_finder_db::config::Backend;
use school_finder_db::explain::{ExplainMode, ExplainedQuery};
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Config, SchoolSearch, connect, sample};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::support::km;

fn backends() -> Vec<Backend> {
    vec![
        #[cfg(feature = "sqlite")]
        Backend::Sqlite,
        #[cfg(feature = "postgres")]
        Backend::Postgres,
    ]
}

/// What a process writes that does a bit of everything, with logging at this level.
fn traces(level: &str) -> String {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "logs::writes_logs_with_a_password", "--ignored", "--nocapture"])
        .env("SCHOOL_FINDER_LOG", level)
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
    text
}

#[tokio::test]
#[ignore = "run by the others in this file, in a process of its own"]
async fn writes_logs_with_a_password() {
    let level: tracing_subscriber::filter::LevelFilter =
        std::env::var("SCHOOL_FINDER_LOG").expect("a level").parse().expect("a level");
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(level)
        .with_span_events(FmtSpan::CLOSE)
        // A time has digits that may be those of a place.
        .without_time()
        .with_writer(std::io::stderr)
        .init();
    for backend in backends() {
        let database = TestDatabase::new(backend).await.expect("a database");
        let mut config = database.config().clone();
        config.pool.slow_query = Duration::ZERO;
        let repository = connect(&config).await.expect("the database");
        repository.insert_schools(sample::schools()).await.expect("schools that fit");
        let search = SchoolSearch::near(sample::home()).within(km(5.0));
        repository.find_schools(&search).await.expect("schools");
        repository.insert_schools(sample::schools()).await.expect_err("they are there already");
        repository.explain(ExplainedQuery::Find, &search, ExplainMode::Analyze).await.expect("a plan");
        repository.locate("ZZ1 4QX").await.expect("a postcode of the sample");
        repository.locate("ZZ1 4QY").await.expect_err("a postcode that nobody has");
        repository.health().await.expect("a database that can be used");
        println!("{config} {config:?} {repository:?} {:?}", repository.pool_status());
    }
    for url in [
        "postgres://finder:s3cr3t%21@127.0.0.1:1/schools",
        "postgres://finder:s3cr3t%21@no.such.host.invalid/schools",
        "postgres://finder:s3cr3t%21@127.0.0.1:port/schools",
        "postgres://finder:s3cr3t!@[::1/schools",
        "mysql://finder:s3cr3t!@localhost/schools",
    ] {
        let outcome = match Config::from_url(url) {
            Ok(config) => connect(&config).await.map(drop),
            Err(error) => Err(error),
        };
        let error = outcome.expect_err("nobody is there");
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            println!("{error} {error:?}");
            cause = error.source();
        }
        let panicked = tokio::task::spawn_blocking(move || panic!("{error} {error:?}"));
        panicked.await.expect_err("it panics");
    }
    #[cfg(feature = "postgres")]
    if let Ok(url) = std::env::var("TEST_DATABASE_URL")
        && let Some((login, rest)) = url.rsplit_once('@')
        && let Some((user, _)) = login.rsplit_once(':')
    {
        let wrong = Config::from_url(&format!("{user}:s3cr3t%21@{rest}")).expect("a URL");
        let error = connect(&wrong).await.expect_err("not the password");
        println!("{error} {error:?}");
    }
}

#[test]
fn a_password_is_in_no_log() {
    let traces = traces("trace");
    assert!(traces.contains("\"message\":\"close\""), "nothing was traced");
    #[cfg(feature = "postgres")]
    assert!(traces.contains("\"level\":\"DEBUG\""), "the driver was not traced");
    let mut secrets = vec!["s3cr3t".to_owned()];
    // The password that does work.
    if let Ok(url) = std::env::var("TEST_DATABASE_URL")
        && let Some(login) = url.rsplit_once('@').and_then(|(login, _)| login.split_once("://"))
        && let Some((_, password)) = login.1.split_once(':')
    {
        secrets.push(password.to_owned());
    }
    for secret in secrets {
        let found = traces.lines().find(|line| line.contains(&secret));
        assert_eq!(found, None);
    }
}

#[test]
fn each_call_is_a_span_and_a_slow_one_a_warning() {
    let traces = traces("info");
    let lines = || traces.lines().filter(|line| line.starts_with('{'));
    let count = |parts: &[&str]| lines().filter(|line| parts.iter().all(|part| line.contains(part))).count();
    for backend in backends() {
        let system = match backend.as_str() {
            "postgres" => "\"db.system.name\":\"postgresql\"",
            _ => "\"db.system.name\":\"sqlite\"",
        };
        let found = ["\"db.operation.name\":\"find_schools\"", "\"db.response.returned_rows\":20", "\"duration_ms\":"];
        assert_eq!(count(&[system, found[0], found[1], found[2], "\"message\":\"close\""]), 1, "{traces}");
        let failed = "\"error.type\":\"DuplicateUrn\"";
        assert_eq!(count(&[system, "\"db.operation.name\":\"insert_schools\"", failed, "close"]), 1, "{traces}");
        assert_eq!(count(&[system, "WARN", "slow query", found[0], "\"rows\":20"]), 1, "{traces}");
        assert_eq!(count(&[system, "\"db.operation.name\":\"locate_all\"", "close"]), 2, "{traces}");
        for method in ["explain", "health"] {
            assert_eq!(count(&[system, &format!("\"db.operation.name\":\"{method}\""), "close"]), 1, "{traces}");
        }
    }
    // Neither what is stored nor where somebody lives.
    for private in ["Old Mill", "Brackenford", "52.0406", "-0.7594", "ZZ1", "4QX"] {
        assert_eq!(lines().find(|line| line.contains(private)), None);
    }
}
