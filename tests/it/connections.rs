//! Addresses of databases: every form that docs/connections.md lists, and what comes of them on a server.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use school_finder_db::config::Target;
use school_finder_db::error::ConnectError;
use school_finder_db::{Config, Error, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::raw::{Raw, url_of};
use crate::support::relay::server;
use crate::support::server::{database, open};

/// The cells of each row of the document's tables that begins with an address.
fn rows() -> Vec<Vec<String>> {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/connections.md")).expect("a document");
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    let first = |line: &&str| line.strip_prefix("| `").and_then(|rest| rest.split('`').next()).map(str::to_owned);
    let is_row = |line: &&str| first(line).is_some_and(|address| address.contains([':', '=', '.', '/']));
    text.lines().filter(is_row).map(cells).collect()
}

#[test]
fn every_documented_form_is_read_as_it_says() {
    let rows = rows();
    assert!(rows.len() > 40, "{}", rows.len());
    for cells in rows {
        let code = |cell: &str| cell.trim_matches('`').to_owned();
        let address = code(&cells[0]);
        match (Config::from_url(&address), cells[1].strip_prefix("refused: ")) {
            (Ok(config), None) => {
                assert_eq!(config.to_string(), code(&cells[1]), "{address}");
                if let Target::Postgres(server) = &config.target {
                    assert_eq!(server.tls().mode.to_string(), code(&cells[2]), "{address}");
                }
            }
            (Err(error), Some(reason)) => assert!(error.to_string().contains(&code(reason)), "{address}: {error}"),
            (result, _) => panic!("{address}: {result:?}"),
        }
    }
}

/// Runs the program with a home of its own and only these variables of libpq.
fn run(home: &Path, address: &str, set: &[(&str, &str)]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_school-finder"));
    program.args(["--database", address, "councils", "--format", "csv"]).env_clear();
    program.env("HOME", home).envs(set.iter().copied()).output().expect("the program runs")
}

/// The test server's parts: user, password, host and port.
fn parts() -> (String, String, String, String) {
    let url = std::env::var("TEST_DATABASE_URL").expect("the server");
    let (login, _) = url.split_once("://").expect("a URL").1.rsplit_once('@').expect("a login");
    let (user, password) = login.split_once(':').expect("a password");
    let (host, port) = server();
    (user.to_owned(), password.to_owned(), host, port.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_address_leaves_out_comes_from_elsewhere() {
    let database = database().await;
    let url = url_of(&database).await;
    let name = url.rsplit_once('/').expect("a database").1.to_owned();
    let (user, password, host, port) = parts();
    let home = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: String, mode: u32| {
        let path = home.path().join(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("rights");
        path.display().to_string()
    };
    let line = format!("{host}:*:{name}:{user}:{password}\n");
    let (file, open) = (write("pass", line.clone(), 0o600), write("open", line.clone(), 0o644));
    let service = format!("[schools]\nhost={host}\nport={port}\nuser={user}\ndbname={name}\npassword={password}\n");
    let services = write("services", service, 0o644);
    let (secret, address) = (("PGPASSWORD", password.as_str()), format!("postgres://{user}@{host}:{port}/{name}"));
    let where_it_is = [("PGHOST", &*host), ("PGPORT", &*port), ("PGUSER", &*user), ("PGDATABASE", &*name), secret];

    let succeeds = |address: &str, set: &[(&str, &str)]| {
        let output = run(home.path(), address, set);
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && out.starts_with("council,"), "{address}: {error}");
        error.into_owned()
    };
    assert_eq!(succeeds(&address, &[secret]), "");
    succeeds(&address, &[("PGPASSFILE", &file)]);
    succeeds(&format!("{address}?passfile={file}"), &[("PGPASSFILE", "/nowhere")]);
    succeeds("postgres://", &where_it_is);
    succeeds("postgres:///", &where_it_is);
    succeeds("connect_timeout=9", &where_it_is);
    succeeds(&format!("postgres://{user}:{password}@nowhere.invalid/{name}?host={host}&port={port}"), &[]);
    succeeds(
        &format!("postgres://{user}:{password}@nowhere.invalid:{port}/{name}?hostaddr={host}&sslmode=disable"),
        &[],
    );
    succeeds(&format!("host={host} port={port} user={user} password='{password}' dbname={name}"), &[]);
    succeeds(&format!("postgres://{user}:{password}@127.0.0.1:1,{host}:{port}/{name}"), &[]);
    succeeds("postgres://?service=schools", &[("PGSERVICEFILE", &services)]);
    succeeds("postgres://", &[("PGSERVICEFILE", &services), ("PGSERVICE", "schools")]);
    let weak = succeeds(&format!("{address}?sslmode=prefer"), &[secret]);
    assert!(weak.contains("warning: sslmode=prefer"), "{weak}");

    let fails = |address: &str, set: &[(&str, &str)]| {
        let output = run(home.path(), address, set);
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(!output.status.success() && !error.contains(&password), "{address}: {error}");
        error
    };
    assert!(fails(&address, &[]).contains("the database server asks for a password: put it"));
    let refused = fails(&address, &[("PGPASSFILE", &open)]);
    assert!(refused.contains("can be read by other users") && refused.contains("asks for a password"), "{refused}");
    assert!(fails("postgres://?service=others", &[("PGSERVICEFILE", &services)]).contains("is in no service file"));
    // The password file of the home.
    write(".pgpass", line, 0o600);
    succeeds(&address, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_is_never_unreachable() {
    let database = database().await;
    let url = url_of(&database).await;
    let (user, _, host, port) = parts();
    let login = url.rsplit_once('/').expect("a database").0;
    let refused = async |url: &str| match Config::from_url(url) {
        Ok(config) => connect(&config).await.map(drop).expect_err(url),
        Err(error) => error,
    };
    let wrong = refused(&format!("postgres://{user}:wrong@{host}:{port}/postgres")).await;
    assert!(matches!(wrong, Error::Connect(ConnectError::LoginRefused { .. })), "{wrong:?}");
    assert!(!wrong.is_retryable() && wrong.name() == "LoginRefused");
    let missing = refused(&format!("{login}/no_such_database")).await;
    assert!(matches!(missing, Error::Connect(ConnectError::UnknownDatabase { .. })), "{missing:?}");
    let nobody = refused(&format!("postgres://no_such_role:x@{host}:{port}/postgres")).await;
    assert!(matches!(nobody, Error::Connect(ConnectError::LoginRefused { .. })), "{nobody:?}");
    let parameter = refused(&format!("{login}/postgres?options=-c%20no_such_setting%3D1")).await;
    assert!(matches!(parameter, Error::Connect(ConnectError::Rejected { .. })), "{parameter:?}");
    assert_eq!(parameter.to_string().matches("refused the connection").count(), 1);

    for (code, message, name, is_retryable) in [
        ("53300", "sorry, too many clients already", "ServerFull", true),
        ("57P03", "the database system is starting up", "ServerNotReady", true),
        ("08P01", "unsupported startup parameter: options", "StartupParameter", false),
        ("28000", "no pg_hba.conf entry for host", "LoginRefused", false),
        ("28000", "connection requires a valid client certificate", "LoginRefused", false),
        ("XX000", "something else", "Rejected", false),
    ] {
        let fields = format!("SFATAL\0VFATAL\0C{code}\0M{message}\0\0");
        let mut answer = vec![b'E'];
        answer.extend(u32::try_from(fields.len() + 4).expect("short").to_be_bytes());
        answer.extend(fields.as_bytes());
        let error = refused(&format!("postgres://finder@127.0.0.1:{}/d", answering(answer).await)).await;
        assert_eq!((error.name(), error.is_retryable()), (name, is_retryable), "{error}");
        assert_eq!(error.to_string().matches(message).count(), 1, "{error}");
    }
    for answer in
        ["HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "J\0\0\0\x0a8.0.36\0"]
    {
        let port = answering(answer.as_bytes().to_vec()).await;
        let error = refused(&format!("postgres://finder@127.0.0.1:{port}/d")).await;
        assert!(matches!(error, Error::Connect(ConnectError::NotPostgres { .. })), "{answer}: {error:?}");
        assert!(error.to_string().contains(&port.to_string()), "{error}");
        let error = refused(&format!("postgres://finder@127.0.0.1:{port}/d?sslmode=verify-full")).await;
        assert!(matches!(error, Error::Connect(ConnectError::Tls { .. }) | Error::InvalidSetting { .. }), "{error:?}");
        assert!(error.to_string().contains("port") || matches!(error, Error::InvalidSetting { .. }), "{error}");
    }
    // Nobody is there, or somebody who says nothing.
    let closed = refused(&format!("postgres://finder@127.0.0.1:{}/d", answering(Vec::new()).await)).await;
    assert!(matches!(closed, Error::Unavailable { .. }), "{closed:?}");
    let sockets = refused("postgres://finder@/d?port=1").await.to_string();
    assert!(sockets.contains("/run/postgresql:1") && sockets.contains("/tmp:1"), "{sockets}");
}

/// Answers every connection with these bytes, and closes it. Gives its port.
async fn answering(answer: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut request = [0; 8];
            let _ = near.read_exact(&mut request).await;
            let _ = near.write_all(&answer).await;
            let _ = near.shutdown().await;
            // What is left unread would reset the connection before the answer is read.
            let _ = near.read_to_end(&mut Vec::new()).await;
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_says_nothing_does_not_hold_up_the_next() {
    let database = database().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let silent = (silent.local_addr().expect("an address").port(), silent);
    let (host, port) = server();
    let url =
        url_of(&database).await.replace(&format!("{host}:{port}"), &format!("127.0.0.1:{},{host}:{port}", silent.0));
    let begun = Instant::now();
    connect(&Config::from_url(&format!("{url}?connect_timeout=1")).expect("a URL")).await.expect("the second host");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let writable = format!("{url}?connect_timeout=1&target_session_attrs=read-write&load_balance_hosts=random");
    connect(&Config::from_url(&writable).expect("a URL")).await.expect("one that can be written");
    let standby = Config::from_url(&format!("{url}?connect_timeout=1&target_session_attrs=read-only")).expect("a URL");
    let standby = connect(&standby).await.map(drop).expect_err("it is no standby");
    assert!(standby.to_string().contains("it is a primary"), "{standby}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_fetched_for_each_connection() {
    let database = database().await;
    let url = url_of(&database).await;
    let (_, password, ..) = parts();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let config = Config::from_url(&url.replace(&format!(":{password}@"), "@")).expect("a URL");
    let config = config.with_password(move || {
        let (call, password) = (counted.fetch_add(1, Ordering::Relaxed), password.clone());
        async move { if call < 2 { Ok(password) } else { Err("the token has expired".into()) } }
    });
    let repository = connect(&config).await.expect("a first connection");
    assert_eq!(repository.councils().await.expect("a second connection"), []);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    // A third one is for the check of the health. Its error keeps its type, and says its sentence once.
    let expired = repository.health().await.map(drop).expect_err("the token has expired");
    assert_eq!(expired.to_string(), "no password for the database server: the token has expired");
    // So does one that comes by way of the pool.
    let unit = repository.begin().await.expect("the pool's connection");
    let error = repository.councils().await.map(drop).expect_err("the pool needs a second connection");
    drop(unit);
    assert_eq!(error.to_string(), "no password for the database server: the token has expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_the_address_win_over_the_programs_own() {
    let database = database().await;
    let url = format!("{}?options=-c%20statement_timeout%3D1234ms", url_of(&database).await);
    let repository = open(&Config::from_url(&url).expect("a URL")).await;
    let shown = repository.with_connection(async |connection: &mut _| {
        let query = diesel::dsl::sql::<diesel::sql_types::Text>("SELECT current_setting('statement_timeout')");
        Ok(diesel_async::RunQueryDsl::get_result::<String>(query, connection).await?)
    });
    assert_eq!(shown.await.expect("a setting"), "1234ms");
}

/// A migrated SQLite file.
async fn file(folder: &Path) -> String {
    let path = folder.join("schools.db").display().to_string();
    school_finder_db::migrate::up(&Config::from_url(&path).expect("a path")).await.expect("a schema");
    path
}

#[tokio::test]
async fn the_mode_of_a_file_is_obeyed() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("missing.db").display().to_string();
    let config = |path: &str, query: &str| Config::from_url(&format!("sqlite:{path}?{query}")).expect("a URL");
    for query in ["mode=rwc", "mode=rw", "mode=ro", "immutable=1"] {
        let error = connect(&config(&missing, query)).await.map(drop).expect_err("no file");
        assert!(matches!(error, Error::CannotOpen { .. }), "{query}: {error:?}");
    }
    for query in ["mode=rw", "mode=ro"] {
        let error = school_finder_db::create(&config(&missing, query)).await.map(drop).expect_err("no file");
        assert!(error.to_string().contains("the mode in its URL does not create it"), "{error}");
    }
    assert!(!Path::new(&missing).exists());
    school_finder_db::create(&config(&missing, "mode=rwc")).await.expect("a new file");

    let path = file(folder.path()).await;
    for query in ["mode=ro", "immutable=1"] {
        let repository = connect(&config(&path, query)).await.expect("a file");
        assert_eq!(repository.councils().await.expect("a result"), []);
        let error = repository.insert_schools(vec![crate::support::school(1)]).await.expect_err("read only");
        assert!(matches!(error, Error::ReadOnly), "{query}: {error:?}");
        let down = school_finder_db::migrate::Migrator::new(&config(&path, query)).accept_loss().down(1).await;
        assert!(matches!(down, Err(Error::ReadOnly)), "{query}: {down:?}");
    }
    // While a program has it open, what was written last is in the log beside it.
    let writer = connect(&config(&path, "mode=rw")).await.expect("a file");
    writer.insert_schools(vec![crate::support::school(1)]).await.expect("written");
    let error = connect(&config(&path, "immutable=1")).await.map(drop).expect_err("there is a log");
    assert!(error.to_string().contains("-wal"), "{error}");
    let reader = connect(&config(&path, "mode=ro")).await.expect("a file");
    let all = school_finder_db::SchoolSearch::open().any_status();
    assert_eq!(reader.facets(&all).await.expect("counts").total, 1);
}

#[tokio::test]
async fn a_read_only_file_is_served_or_says_why_not() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path()).await;
    let set = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("rights");
    // Root may write everything, so another user runs it.
    let run = |arguments: &[&str]| {
        let program = env!("CARGO_BIN_EXE_school-finder");
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
        let mut command = if is_root { Command::new("setpriv") } else { Command::new(program) };
        if is_root {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", program]);
        }
        let output =
            command.args(["councils", "--format", "csv", "--database"]).args(arguments).output().expect("it runs");
        (output.status.success(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    // A file that may only be read, in a folder in which SQLite can make the files of WAL mode.
    set(folder.path(), 0o777);
    set(Path::new(&path), 0o444);
    assert!(run(&[&path]).0, "{}", run(&[&path]).1);
    // In WAL mode, in a folder in which it cannot.
    set(Path::new(&path), 0o644);
    Raw::open(&format!("sqlite:{path}")).await.texts("PRAGMA journal_mode = WAL").await;
    set(folder.path(), 0o555);
    let (is_served, why) = run(&[&path]);
    assert!(!is_served && why.contains("WAL mode") && why.contains("immutable=1"), "{why}");
    assert!(run(&[&format!("{path}?immutable=1")]).0, "{}", run(&[&format!("{path}?immutable=1")]).1);
    // Not in WAL mode, it needs no other file.
    set(folder.path(), 0o777);
    set(Path::new(&path), 0o666);
    Raw::open(&format!("sqlite:{path}")).await.texts("PRAGMA journal_mode = DELETE").await;
    set(folder.path(), 0o555);
    for mode in [0o444, 0o666] {
        set(Path::new(&path), mode);
        assert!(run(&[&path]).0, "{mode:o}: {}", run(&[&path]).1);
    }
    set(folder.path(), 0o755);
}
