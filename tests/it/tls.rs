//! TLS to the server: what each `sslmode` checks of certificates that are good, of another authority, of another name,
//! expired or self-signed. Before the test server stands one end of TLS, which passes on what it decrypts.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use school_finder_db::config::Backend;
use school_finder_db::error::ConnectError;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Config, Error, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ALL_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion};

use crate::support::raw::{Raw, url_of};
use crate::support::relay::server;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// What a certificate says: its names, until the end of this year.
fn params(names: &[&str], last_year: i32) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("parameters");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(last_year, 12, 31);
    params
}

/// A certificate of this authority, and its key.
fn signed(authority: &Authority, params: &CertificateParams) -> (Certificate, KeyPair) {
    let key = KeyPair::generate().expect("a key");
    (params.signed_by(&key, authority).expect("a certificate"), key)
}

/// A self-signed certificate as `openssl req -x509` makes it: it is an authority too.
fn self_signed(mut params: CertificateParams) -> (Certificate, KeyPair) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    (params.self_signed(&key).expect("a certificate"), key)
}

/// A server that has this certificate, and asks for one of this authority where it is given.
fn serving(
    (certificate, key): &(Certificate, KeyPair),
    versions: &[&'static SupportedProtocolVersion],
    clients: Option<&Authority>,
) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions).expect("protocols");
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der().clone()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            config.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).expect("a server"))
}

/// A server's certificate of this authority, for this name, until the end of this year.
fn certified(authority: &Authority, name: &str, last_year: i32) -> Arc<ServerConfig> {
    serving(&signed(authority, &params(&[name], last_year)), ALL_VERSIONS, None)
}

/// Takes one connection after another as Postgres does: asked for TLS (a message of 8 bytes), it agrees with `S`, or
/// declines with `N`. One that does not ask is passed on as it is. Gives its port.
async fn serve(tls: Option<Arc<ServerConfig>>) -> u16 {
    const ASKS_FOR_TLS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let mut first = [0; 8];
                near.read_exact(&mut first).await?;
                let mut far = TcpStream::connect(server()).await?;
                if first != ASKS_FOR_TLS {
                    far.write_all(&first).await?;
                } else if let Some(tls) = tls {
                    near.write_all(b"S").await?;
                    match TlsAcceptor::from(tls).accept(near).into_fallible().await {
                        Ok(mut near) => return tokio::io::copy_bidirectional(&mut near, &mut far).await.map(drop),
                        // Closed at once, with something unread, the connection would be reset before its alert is
                        // read.
                        Err((_, mut near)) => return near.read_to_end(&mut Vec::new()).await.map(drop),
                    }
                } else {
                    near.write_all(b"N").await?;
                }
                tokio::io::copy_bidirectional(&mut near, &mut far).await.map(drop)
            });
        }
    });
    port
}

fn config_at(host: &str, url: &str, port: u16, parameters: &str) -> Config {
    let (login, rest) = url.rsplit_once('@').expect("a user");
    let (_, database) = rest.split_once('/').expect("a database");
    Config::from_url(&format!("{login}@{host}:{port}/{database}?{parameters}")).expect("a URL")
}

fn config(url: &str, port: u16, parameters: &str) -> Config {
    config_at("localhost", url, port, parameters)
}

/// Writes a file that only its owner can read, into a folder whose name needs escapes.
fn write(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    std::fs::write(&file, text).expect("a file");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("rights");
    file.display().to_string().replace(' ', "%20")
}

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("a folder").tempdir().expect("a folder")
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_server_that_proves_its_name_is_trusted() {
    let database = TestDatabase::new(Backend::Postgres).await.expect("a database");
    let url = url_of(&database).await;
    let folder = folder();
    let (ours, other) = (authority("ours"), authority("another"));
    let trusted = format!("sslmode=verify-full&sslrootcert={}", write(folder.path(), "authority.pem", &ours.pem()));

    let good = config(&url, serve(Some(certified(&ours, "localhost", 2099))).await, &trusted);
    let repository = connect(&good).await.expect("a server that is what it says");
    assert_eq!(repository.councils().await.expect("a result"), []);

    for (name, tls, reason) in [
        ("another authority", Some(certified(&other, "localhost", 2099)), "sslrootcert"),
        ("another name", Some(certified(&ours, "db.example", 2099)), "not valid for name \"localhost\""),
        ("expired", Some(certified(&ours, "localhost", 2021)), "expired"),
        ("none", None, "it offers none"),
    ] {
        let port = serve(tls).await;
        let error = connect(&config(&url, port, &trusted)).await.map(drop).expect_err(name);
        assert!(matches!(error, Error::Connect(ConnectError::Tls { .. })), "{name}: {error:?}");
        assert!(error.to_string().contains(reason), "{name}: {error}");
        assert!(!error.is_retryable());
    }

    // The system trusts none of these authorities.
    let port = serve(Some(certified(&ours, "localhost", 2099))).await;
    let error = connect(&config(&url, port, "sslmode=verify-full")).await.map(drop).expect_err("an unknown authority");
    assert!(error.to_string().contains("sslrootcert"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_tls_verify_names_and_addresses() {
    let database = TestDatabase::new(Backend::Postgres).await.expect("a database");
    let url = url_of(&database).await;
    let folder = folder();
    let ours = authority("ours");
    let trusted = format!("sslrootcert={}", write(folder.path(), "authority.pem", &ours.pem()));
    let certificate = signed(&ours, &params(&["localhost", "127.0.0.1"], 2099));
    for (own, other) in [(&TLS12, "TLSv1.3"), (&TLS13, "TLSv1.2")] {
        let port = serve(Some(serving(&certificate, &[own], None))).await;
        for host in ["localhost", "127.0.0.1", "db.example"] {
            let parameters = format!("sslmode=verify-full&hostaddr=127.0.0.1&{trusted}");
            let connected = connect(&config_at(host, &url, port, &parameters)).await;
            assert_eq!(connected.is_ok(), host != "db.example", "{host}: {:?}", connected.map(drop));
        }
        let older =
            format!("sslmode=verify-full&ssl_min_protocol_version={other}&ssl_max_protocol_version={other}&{trusted}");
        let error = connect(&config(&url, port, &older)).await.map(drop).expect_err("no version in common");
        assert!(error.to_string().contains("TLS 1.2 or 1.3"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_self_signed_certificate_is_trusted_by_its_name_and_dates() {
    let database = TestDatabase::new(Backend::Postgres).await.expect("a database");
    let url = url_of(&database).await;
    let folder = folder();
    let mut common = params(&[], 2099);
    common.distinguished_name.push(DnType::CommonName, "localhost");
    let mut both = params(&["db.example"], 2099);
    both.distinguished_name.push(DnType::CommonName, "localhost");
    let mut future = params(&["localhost"], 2099);
    future.not_before = date_time_ymd(2098, 1, 1);
    for (name, params, reason) in [
        ("good", params(&["localhost"], 2099), None),
        // As PostgreSQL's manual makes it.
        ("common name", common, None),
        ("another name", both, Some("not valid for name")),
        ("expired", params(&["localhost"], 2021), Some("expired")),
        ("not yet", future, Some("not valid yet")),
    ] {
        let certificate = self_signed(params);
        let trusted =
            format!("sslmode=verify-full&sslrootcert={}", write(folder.path(), "own.pem", &certificate.0.pem()));
        let port = serve(Some(serving(&certificate, ALL_VERSIONS, None))).await;
        match (connect(&config(&url, port, &trusted)).await.map(drop), reason) {
            (Ok(()), None) => {}
            (Err(error), Some(reason)) => assert!(error.to_string().contains(reason), "{name}: {error}"),
            (result, _) => panic!("{name}: {result:?}"),
        }
    }
    // One of the same name that is not the named one.
    let named = self_signed(params(&["localhost"], 2099));
    let trusted = format!("sslmode=verify-ca&sslrootcert={}", write(folder.path(), "own.pem", &named.0.pem()));
    let port = serve(Some(serving(&self_signed(params(&["localhost"], 2099)), ALL_VERSIONS, None))).await;
    let error = connect(&config(&url, port, &trusted)).await.map(drop).expect_err("an impostor");
    assert!(matches!(error, Error::Connect(ConnectError::Tls { .. })), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sslmode_checks_what_it_says() {
    let database = TestDatabase::new(Backend::Postgres).await.expect("a database");
    let url = url_of(&database).await;
    let folder = folder();
    let (ours, other) = (authority("ours"), authority("another"));
    let root = format!("&sslrootcert={}", write(folder.path(), "authority.pem", &ours.pem()));
    let plain = serve(None).await;
    let good = serve(Some(certified(&ours, "localhost", 2099))).await;
    let other_name = serve(Some(certified(&ours, "db.example", 2099))).await;
    let unknown = serve(Some(certified(&other, "localhost", 2099))).await;
    for (mode, root, expected) in [
        ("disable", "", [true, true, true, true]),
        ("allow", "", [true, true, true, true]),
        ("prefer", "", [true, true, true, true]),
        ("require", "", [false, true, true, true]),
        ("require", root.as_str(), [false, true, true, false]),
        ("verify-ca", root.as_str(), [false, true, true, false]),
        ("verify-full", root.as_str(), [false, true, false, false]),
    ] {
        for (port, expected) in [plain, good, other_name, unknown].into_iter().zip(expected) {
            let config = config(&url, port, &format!("sslmode={mode}{root}"));
            let connected = connect(&config).await.map(drop);
            assert_eq!(connected.is_ok(), expected, "{mode} {root}: {connected:?}");
            // Which of them leave something out is said.
            assert_eq!(config.warnings().is_empty(), ["disable", "verify-full"].contains(&mode), "{mode}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_certificate_is_sent() {
    let database = TestDatabase::new(Backend::Postgres).await.expect("a database");
    let url = url_of(&database).await;
    let folder = folder();
    let ours = authority("ours");
    let own = signed(&ours, &params(&["finder"], 2099));
    let certificate = write(folder.path(), "own.pem", &own.0.pem());
    let key = write(folder.path(), "own.key", &own.1.serialize_pem());
    let root = write(folder.path(), "authority.pem", &ours.pem());
    let (trusted, identity) =
        (format!("sslmode=verify-full&sslrootcert={root}"), format!("&sslcert={certificate}&sslkey="));
    for version in [&TLS12, &TLS13] {
        let server = serving(&signed(&ours, &params(&["localhost"], 2099)), &[version], Some(&ours));
        let port = serve(Some(server)).await;
        connect(&config(&url, port, &format!("{trusted}{identity}{key}"))).await.expect("a client with a certificate");
        let error = connect(&config(&url, port, &trusted)).await.map(drop).expect_err("a client without one");
        assert!(error.to_string().contains("sslcert"), "{version:?}: {error}");
    }
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let shared = write(folder.path(), "shared.key", &own.1.serialize_pem());
    let path = folder.path().join("shared.key");
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("rights");
    for (key, reason) in [
        (write(folder.path(), "encrypted.key", encrypted), "is encrypted"),
        (shared, "other users"),
        (
            write(folder.path(), "other.key", &KeyPair::generate().expect("a key").serialize_pem()),
            "not the key of sslcert",
        ),
        ("/nowhere.key".to_owned(), "cannot be read"),
    ] {
        let error = connect(&config(&url, 1, &format!("{trusted}{identity}{key}"))).await.map(drop).expect_err(reason);
        assert!(matches!(error, Error::InvalidSetting { setting: "sslkey", .. }), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

/// The server of scripts/cluster has a certificate as PostgreSQL's manual makes it, and a role that logs in by SCRAM.
#[tokio::test(flavor = "multi_thread")]
async fn channel_binding_is_required_where_it_is_asked_for() {
    let database = TestDatabase::new(Backend::Postgres).await.expect("a database");
    let Some(folder) = std::env::var_os("TEST_POSTGRES_SOCKET") else {
        return eprintln!("LEFT OUT: only the server of scripts/cluster has a role for this");
    };
    let mut raw = Raw::open(&url_of(&database).await).await;
    raw.execute(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'school_finder_test_scram') THEN
             CREATE ROLE school_finder_test_scram LOGIN SUPERUSER PASSWORD 'scram'; END IF; END $$",
    )
    .await;
    let (_, port) = server();
    let name = database.config().to_string();
    let name = name.rsplit_once('/').expect("a database").1;
    let root = Path::new(&folder).join("server.crt").display().to_string();
    let at = |role: &str, parameters: &str| {
        let url = format!("postgres://{role}@localhost:{port}/{name}?channel_binding=require&{parameters}");
        Config::from_url(&url).expect("a URL")
    };
    let verified = format!("sslmode=verify-full&sslrootcert={root}");
    for tls in [&verified, "sslmode=require"] {
        connect(&at("school_finder_test_scram:scram", tls)).await.expect("a role that logs in by SCRAM");
    }
    // A password in the clear, and SCRAM without TLS, bind nothing.
    let url = std::env::var("TEST_DATABASE_URL").expect("the server");
    let (login, _) = url.split_once("://").expect("a URL").1.rsplit_once('@').expect("a login");
    for config in [at(login, &verified), at("school_finder_test_scram:scram", "sslmode=disable")] {
        let error = connect(&config).await.map(drop).expect_err("nothing is bound");
        assert!(matches!(error, Error::Connect(ConnectError::LoginRefused { .. })), "{error:?}");
        assert!(error.to_string().contains("channel_binding=require"), "{error}");
    }
}
