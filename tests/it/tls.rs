//! TLS to the server: a certificate that is good, of another authority, of another name, expired, and none at all.
//! Before the test server stands one end of TLS, which passes on what it decrypts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use school_finder_db::config::Backend;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Config, Error, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::support::raw::url_of;
use crate::support::relay::server;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// A server's certificate of this authority, for this name, until the end of this year.
fn certified(authority: &Authority, name: &str, last_year: i32) -> Arc<ServerConfig> {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(last_year, 12, 31);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("protocols")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key);
    Arc::new(config.expect("a server"))
}

/// Takes one connection after another as Postgres does: asked for TLS (a message of 8 bytes), it agrees with `S`, or
/// declines with `N`. Gives its port.
async fn serve(tls: Option<Arc<ServerConfig>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                near.read_exact(&mut [0; 8]).await?;
                let Some(tls) = tls else { return near.write_all(b"N").await };
                near.write_all(b"S").await?;
                let mut near = TlsAcceptor::from(tls).accept(near).await?;
                let mut far = TcpStream::connect(server()).await?;
                tokio::io::copy_bidirectional(&mut near, &mut far).await.map(drop)
            });
        }
    });
    port
}

fn config(url: &str, port: u16, parameters: &str) -> Config {
    let (login, rest) = url.rsplit_once('@').expect("a user");
    let (_, database) = rest.split_once('/').expect("a database");
    Config::from_url(&format!("{login}@localhost:{port}/{database}?{parameters}")).expect("a URL")
}

fn write(authority: &Authority, folder: &Path) -> PathBuf {
    let file = folder.join("authority.pem");
    std::fs::write(&file, authority.pem()).expect("a file");
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_server_that_proves_its_name_is_trusted() {
    let database = TestDatabase::new(Backend::Postgres).await.expect("a database");
    let url = url_of(&database).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (ours, other) = (authority("ours"), authority("another"));
    let trusted = format!("sslmode=verify-full&sslrootcert={}", write(&ours, folder.path()).display());

    let good = config(&url, serve(Some(certified(&ours, "localhost", 2099))).await, &trusted);
    let repository = connect(&good).await.expect("a server that is what it says");
    assert_eq!(repository.councils().await.expect("a result"), []);

    for (name, tls, reason) in [
        ("another authority", Some(certified(&other, "localhost", 2099)), "UnknownIssuer"),
        ("another name", Some(certified(&ours, "db.example", 2099)), "not valid for name \"localhost\""),
        ("expired", Some(certified(&ours, "localhost", 2021)), "certificate expired"),
        ("none", None, "does not support TLS"),
    ] {
        let port = serve(tls).await;
        let error = connect(&config(&url, port, &trusted)).await.expect_err(name);
        assert!(matches!(error, Error::Unavailable { .. }), "{name}: {error:?}");
        assert!(error.to_string().contains(reason), "{name}: {error}");
    }

    // The system trusts none of these authorities.
    let port = serve(Some(certified(&ours, "localhost", 2099))).await;
    let error = connect(&config(&url, port, "sslmode=verify-full")).await.expect_err("an unknown authority");
    assert!(matches!(error, Error::Unavailable { .. } | Error::InvalidSetting { .. }), "{error:?}");
}
