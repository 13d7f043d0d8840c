//! A relay between a pool and its server, to stand for the line between them.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// They are passed on.
    Passing,
    /// Nothing more comes of them on the connections that there are, now or later, and new ones get no answer.
    Frozen,
    /// A COMMIT is passed on, and then the line is cut before any reply.
    CutAfterCommit,
    /// The line is cut in place of passing a COMMIT on.
    CutBeforeCommit,
}

pub struct Relay {
    url: String,
    flow: Arc<watch::Sender<Flow>>,
    cut: watch::Sender<u64>,
}

impl Relay {
    /// A relay to the server of this URL, over TCP.
    pub async fn start(url: &str) -> Self {
        let settings: tokio_postgres::Config = url.parse().expect("a URL");
        let [tokio_postgres::config::Host::Tcp(host), ..] = settings.get_hosts() else { panic!("a server over TCP") };
        let far = (host.clone(), settings.get_ports().first().copied().unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (user, name) = (settings.get_user().expect("a user"), settings.get_dbname().expect("a database"));
        let password = String::from_utf8_lossy(settings.get_password().unwrap_or_default()).into_owned();
        let url = format!("postgres://{user}:{password}@127.0.0.1:{port}/{name}");
        let (flow, cut) = (Arc::new(watch::Sender::new(Flow::Passing)), watch::Sender::new(0));
        let (flow_of_all, cuts) = (Arc::clone(&flow), cut.subscribe());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (far, flow, mut cuts) = (far.clone(), flow_of_all.subscribe(), cuts.clone());
                tokio::spawn(async move {
                    let far = TcpStream::connect(far).await.expect("the server");
                    cuts.mark_unchanged();
                    tokio::select! {
                        () = relay(near, far, flow) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { url, flow, cut }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn set(&self, flow: Flow) {
        self.flow.send_replace(flow);
    }

    /// Cuts all connections that there are.
    pub fn cut(&self) {
        self.cut.send_modify(|cut| *cut += 1);
    }
}

/// Passes bytes on until one end hangs up or the line is cut.
async fn relay(mut near: TcpStream, mut far: TcpStream, flow: watch::Receiver<Flow>) {
    let (mut request, mut response) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let (from_near, count) = tokio::select! {
            count = near.read(&mut request) => (true, count.unwrap_or(0)),
            count = far.read(&mut response) => (false, count.unwrap_or(0)),
        };
        let now = *flow.borrow();
        if count == 0 {
            return;
        }
        let is_commit = from_near && request[..count].windows(6).any(|word| word == b"COMMIT");
        match now {
            // Both ends stay open, and nothing comes of either, however long: a line does not come back to life.
            Flow::Frozen => return std::future::pending().await,
            Flow::CutBeforeCommit if is_commit => return,
            _ => {}
        }
        let passed =
            if from_near { far.write_all(&request[..count]).await } else { near.write_all(&response[..count]).await };
        if passed.is_err() {
            return;
        }
        if now == Flow::CutAfterCommit && is_commit {
            // The server has done it when it answers.
            let _ = far.read(&mut response).await;
            return;
        }
    }
}
