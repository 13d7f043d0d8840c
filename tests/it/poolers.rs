//! A real pgbouncer between the crate and its server. A newer one than the distribution's is tried where it comes first
//! in `PATH`.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::future::join_all;
use school_finder_db::error::ConnectError;
use school_finder_db::migrate::{self, Migrator};
use school_finder_db::request::WriteMode;
use school_finder_db::{Config, Error, Result, SchoolSearch, connect, sample};

use crate::support::raw::{Raw, url_of};
use crate::support::relay::server;
use crate::support::school;
use crate::support::server::{database, url_as};

/// A pgbouncer in front of the test server, which logs in there as one role whoever asks.
struct Pooler {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Pooler {
    async fn start(login: &str, settings: &str) -> Self {
        let program =
            std::env::var_os("TEST_PGBOUNCER").expect("TEST_PGBOUNCER names the program; scripts/cluster sets it");
        let folder = tempfile::Builder::new().prefix("pooler.").tempdir_in("/tmp").expect("a folder");
        let (host, to) = server();
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let (user, password) = login.split_once(':').expect("a password");
        let text = format!(
            "[databases]\n* = host={host} port={to} user={user} password={password}\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n{settings}\n"
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, text).expect("a file");
        // It does not run as root.
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
        let mut command = Command::new("setpriv");
        command.arg("--pdeathsig=KILL");
        if is_root {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
            let open = |path: &Path, mode| {
                std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("rights");
            };
            open(folder.path(), 0o755);
            open(&file, 0o644);
        }
        command.arg("--").arg(program).arg("-q").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("pgbouncer starts");
        let pooler = Self { process, port, _folder: folder };
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return pooler;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("pgbouncer does not listen");
    }

    fn config(&self, database: &str) -> Config {
        Config::from_url(&format!("postgres://any@127.0.0.1:{}/{database}", self.port)).expect("a URL")
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether this pgbouncer can keep prepared statements in transaction mode: from 1.21 on.
fn keeps_statements() -> bool {
    let output = Command::new(std::env::var_os("TEST_PGBOUNCER").expect("pgbouncer")).arg("--version").output();
    let text = String::from_utf8(output.expect("it runs").stdout).expect("UTF-8");
    let version = text.split_whitespace().nth(1).expect("a version");
    let mut parts = version.split('.').map(|part| part.parse::<u32>().expect("a number"));
    (parts.next(), parts.next()) >= (Some(1), Some(21))
}

/// Searches from several tasks at once, each on a connection of its own, and writes.
async fn many_calls(config: &Config) -> Result<()> {
    let repository = connect(config).await?;
    for number in 1..=10 {
        let unit = repository.begin().await?;
        let ids = unit.insert_schools(vec![school(number)]).await?;
        let savepoint = unit.savepoint().await?;
        unit.delete_school(ids[0]).await?;
        unit.rollback_to(&savepoint).await?;
        unit.commit().await?;
        let rows = Box::new((1..=200).map(move |row| Ok(school(number * 1_000 + row))));
        assert_eq!(repository.upsert_schools(rows, WriteMode::DryRun).await?.inserted, 200);
        repository.delete_school(ids[0]).await?;
    }
    let near = SchoolSearch::near(sample::home()).limit(3);
    // More at once than the pooler has connections to the server, so that each is used by many.
    let reads = async || {
        let all =
            tokio::join!(repository.find_schools(&near), repository.find_catchments(&near), repository.councils());
        assert_eq!(all.0?.items.len(), 3);
        assert!(!all.1?.items.is_empty() && !all.2?.is_empty());
        Ok::<(), Error>(())
    };
    for _ in 0..20 {
        join_all((0..4).map(|_| reads())).await.into_iter().collect::<Result<()>>()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_is_used_with_the_settings_of_the_role() {
    if std::env::var_os("TEST_PGBOUNCER").is_none() {
        return eprintln!("LEFT OUT: only scripts/cluster names a pgbouncer");
    }
    let database = database().await;
    let url = url_of(&database).await;
    let name = url.rsplit_once('/').expect("a database").1;
    sample::fill(connect(&Config::from_url(&url).expect("a URL")).await.expect("a database").as_ref())
        .await
        .expect("filled");
    // A role of a service, and PostGIS where it cannot see it.
    let role = format!("school_finder_pooled_{}", std::process::id());
    let mut raw = Raw::open(&url).await;
    raw.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD '{role}'")).await;
    raw.execute("CREATE SCHEMA extensions").await;
    let direct = Config::from_url(&url).expect("a URL");
    Migrator::new(&direct).grant(&role).await.expect("granted");

    for settings in ["", "ignore_startup_parameters = options"] {
        let pooler = Pooler::start(&format!("{role}:{role}"), settings).await;
        let pooled = pooler.config(name);
        many_calls(&pooled).await.expect("session mode");
        // Migrations hold a lock that belongs to a session.
        let refused = migrate::up(&pooled).await.expect_err("a pooler");
        assert!(matches!(refused, Error::Connect(ConnectError::Pooler { .. })), "{refused:?}");
        // What the URL asks for does not arrive.
        let url = format!("{pooled}?options=-c%20statement_timeout%3D1s");
        let refused = connect(&Config::from_url(&url).expect("a URL")).await.map(drop).expect_err("options");
        let names = ["Pooler", "StartupParameter"];
        assert!(names.contains(&refused.name()), "{refused:?}");
        // Nor does a schema.
        let mut elsewhere = pooled.clone();
        elsewhere.pool.schema = Some("extensions".to_owned());
        let refused = connect(&elsewhere).await.map(drop).expect_err("a schema");
        assert!(matches!(refused, Error::Connect(ConnectError::Pooler { .. })), "{refused:?}");
        let error = connect(&pooler.config("no_such_database")).await.map(drop).expect_err("no such database");
        assert!(matches!(error, Error::Connect(ConnectError::UnknownDatabase { .. })), "{error:?}");
    }

    // The settings are the role's own, which arrive through any pooler.
    let service = Config::from_url(&url_as(&role, name)).expect("a URL");
    let statements = Migrator::new(&direct).grant_settings(&role).await.expect("stored");
    assert_eq!(statements, Vec::<String>::new());
    let stored =
        raw.texts(&format!("SELECT unnest(setconfig) FROM pg_db_role_setting WHERE setrole = '{role}'::regrole")).await;
    for setting in ["statement_timeout=30000", "lock_timeout=5000", "plan_cache_mode=force_generic_plan"] {
        assert!(stored.iter().any(|stored| stored == setting), "{stored:?}");
    }
    connect(&service).await.expect("and without one");

    let transactions = "pool_mode = transaction\nignore_startup_parameters = options\ndefault_pool_size = 2";
    let old = Pooler::start(
        &format!("{role}:{role}"),
        &format!("{transactions}{}", if keeps_statements() { "\nmax_prepared_statements = 0" } else { "" }),
    )
    .await;
    let repository = connect(&old.config(name)).await;
    let error = match repository {
        Err(error) => error,
        Ok(_) => many_calls(&old.config(name)).await.expect_err("statements of another connection"),
    };
    assert!(matches!(error, Error::Connect(ConnectError::PreparedStatements { .. })), "{error:?}");
    assert!(error.to_string().contains("max_prepared_statements"), "{error}");
    if keeps_statements() {
        let new =
            Pooler::start(&format!("{role}:{role}"), &format!("{transactions}\nmax_prepared_statements = 200")).await;
        many_calls(&new.config(name)).await.expect("transaction mode");
    } else {
        println!("NOT PROVEN: this pgbouncer is older than 1.21, so that searches in transaction mode were not tried");
    }
    drop(old);
    raw.execute(&format!("DROP OWNED BY {role}")).await;
    drop(database);
    let mut server = Raw::open(&std::env::var("TEST_DATABASE_URL").expect("the server")).await;
    drop(raw);
    let _ = server.try_execute(&format!("DROP ROLE {role}")).await;
}
