//! What stands between a pool and a server: passes everything on, until it is told not to.

use school_finder_db::Config;
use school_finder_db::testing::TestDatabase;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::raw::url_of;

/// A relay to the test server.
pub struct Relay {
    port: u16,
    freeze: watch::Sender<bool>,
}

impl Relay {
    pub async fn to_the_test_server() -> Self {
        let address = server();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (freeze, frozen) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (address, mut frozen) = (address.clone(), frozen.clone());
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(address).await.expect("the server");
                    tokio::select! {
                        biased;
                        // Both ends stay open, and nothing comes of either.
                        () = async { drop(frozen.wait_for(|frozen| *frozen).await) } => std::future::pending().await,
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    }
                });
            }
        });
        Self { port, freeze }
    }

    /// From now on nothing goes through, in connections that are open and in new ones.
    pub fn freeze(&self) {
        self.freeze.send(true).expect("a relay");
    }

    /// The way to a test database through this relay.
    pub async fn config(&self, database: &TestDatabase) -> Config {
        Config::from_url(&through(&url_of(database).await, self.port)).expect("a URL")
    }
}

/// Where the test server is.
pub fn server() -> (String, u16) {
    let url = std::env::var("TEST_DATABASE_URL").expect("the server");
    let settings: tokio_postgres::Config = url.parse().expect("a URL");
    let [tokio_postgres::config::Host::Tcp(host), ..] = settings.get_hosts() else { panic!("a server over TCP") };
    (host.clone(), settings.get_ports().first().copied().unwrap_or(5432))
}

/// The same URL with another port on this machine.
pub fn through(url: &str, port: u16) -> String {
    let (login, rest) = url.rsplit_once('@').expect("a user");
    let (_, database) = rest.split_once('/').expect("a database");
    format!("{login}@127.0.0.1:{port}/{database}")
}
