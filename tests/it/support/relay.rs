//! A relay between a pool and a server. It forwards everything until a test stops it.

use school_finder_db::Config;
use school_finder_db::testing::TestDatabase;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::raw::url_of;

/// What becomes of the bytes.
#[derive(Clone, Copy)]
enum Flow {
    Passing,
    /// They are passed on until a statement that has this word in its text is sent for the first time.
    FreezesAt(&'static str),
    Frozen,
}

/// A relay to the test server.
pub struct Relay {
    port: u16,
    flow: watch::Sender<Flow>,
}

impl Relay {
    pub async fn to_the_test_server() -> Self {
        let address = server();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let flow = watch::Sender::new(Flow::Passing);
        let all = flow.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (address, flow) = (address.clone(), all.clone());
                tokio::spawn(async move {
                    let far = TcpStream::connect(address).await.expect("the server");
                    pass_on(near, far, &flow).await;
                });
            }
        });
        Self { port, flow }
    }

    /// From now on nothing goes through, in connections that are open and in new ones.
    pub fn freeze(&self) {
        self.flow.send_replace(Flow::Frozen);
    }

    /// Freezes as soon as a statement that has this word in its text is sent. One that the connection has prepared
    /// before is sent without its text.
    pub fn freeze_at(&self, word: &'static str) {
        self.flow.send_replace(Flow::FreezesAt(word));
    }

    /// The way to a test database through this relay.
    pub async fn config(&self, database: &TestDatabase) -> Config {
        Config::from_url(&through(&url_of(database).await, self.port)).expect("a URL")
    }
}

/// Passes bytes on until one end hangs up, or for ever nothing at all.
async fn pass_on(mut near: TcpStream, mut far: TcpStream, flow: &watch::Sender<Flow>) {
    let (mut request, mut response) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut changes = flow.subscribe();
    loop {
        // Both ends stay open, and nothing comes of either.
        let frozen = async { drop(changes.wait_for(|flow| matches!(flow, Flow::Frozen)).await) };
        let passed = tokio::select! {
            biased;
            () = frozen => std::future::pending().await,
            count = near.read(&mut request) => {
                let sent = &request[..count.unwrap_or(0)];
                // Copied first: nothing may be sent while it is borrowed.
                let now = *flow.borrow();
                if let Flow::FreezesAt(word) = now
                    && sent.windows(word.len()).any(|part| part == word.as_bytes())
                {
                    flow.send_replace(Flow::Frozen);
                    continue;
                }
                !sent.is_empty() && far.write_all(sent).await.is_ok()
            }
            count = far.read(&mut response) => {
                let sent = &response[..count.unwrap_or(0)];
                !sent.is_empty() && near.write_all(sent).await.is_ok()
            }
        };
        if !passed {
            return;
        }
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
