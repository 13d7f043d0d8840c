//! Slow, silent and many callers, on real sockets.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use school_finder_db::connect;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use web_service::{Limits, router, serve};

use crate::{Site, on_every_backend};

on_every_backend! {
    silent_connections_end,
    headers_have_to_arrive_in_time,
    bodies_have_to_arrive_in_time,
    responses_have_to_be_read_in_time,
    connections_are_limited,
    queries_are_limited,
    many_clients_are_never_refused,
    requests_in_flight_end_before_it_stops,
    slow_callers_do_not_keep_it_from_stopping,
}

const SHORT: Duration = Duration::from_millis(300);
/// Long enough for a busy machine.
const LONG: Duration = Duration::from_secs(20);

const REQUEST: &str = "GET /api/schools?limit=1 HTTP/1.1\r\nhost: here\r\n\r\n";

/// A service that listens.
struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<usize>,
}

impl Server {
    async fn start(site: &Site, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let finder = connect(site.database.config()).await.expect("the same database");
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(serve(listener, router(finder, &limits), limits, async {
            stopped.await.expect("a signal");
        }));
        Self { address, stop, ended }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("a connection")
    }

    /// Stops it, and returns the number of connections that were open at its end.
    async fn stop(self) -> usize {
        self.stop.send(()).expect("it runs");
        timeout(LONG, self.ended).await.expect("an end").expect("no panic")
    }
}

/// Sends some bytes.
async fn send(client: &mut TcpStream, text: &str) {
    client.write_all(text.as_bytes()).await.expect("bytes sent");
}

/// Returns all that arrives until the service closes the connection.
async fn until_closed(client: &mut TcpStream) -> String {
    let mut all = Vec::new();
    // A connection that is reset is closed too.
    let _ = timeout(LONG, client.read_to_end(&mut all)).await.expect("the connection stays open");
    String::from_utf8_lossy(&all).into_owned()
}

/// Sends a request and returns its status and headers. The body is read and dropped.
async fn ask(client: &mut TcpStream, request: &str) -> String {
    send(client, request).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(LONG, client.read_u8()).await.expect("a response").expect("a byte"));
    }
    let head = String::from_utf8(head).expect("a head").to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.expect("a length").parse().expect("a number")];
    client.read_exact(&mut body).await.expect("a body");
    head
}

async fn silent_connections_end(site: &Site) {
    let server = Server::start(site, Limits { header_timeout: SHORT, ..Limits::default() }).await;
    let mut never = server.connect().await;
    let mut once = server.connect().await;
    assert!(ask(&mut once, REQUEST).await.starts_with("http/1.1 200"));
    assert_eq!(until_closed(&mut never).await, "");
    assert_eq!(until_closed(&mut once).await, "", "kept alive without end");
    assert_eq!(server.stop().await, 0);
}

async fn headers_have_to_arrive_in_time(site: &Site) {
    let server = Server::start(site, Limits { header_timeout: SHORT, ..Limits::default() }).await;
    let mut client = server.connect().await;
    let begun = Instant::now();
    send(&mut client, "GET /api/schools HTTP/1.1\r\nhost: here\r\n").await;
    // A header now and then does not make it longer.
    sleep(SHORT / 2).await;
    send(&mut client, "x-more: 1\r\n").await;
    let answer = until_closed(&mut client).await;
    assert!(!answer.contains(" 200 "), "{answer}");
    assert!(begun.elapsed() >= SHORT, "{:?}", begun.elapsed());
}

async fn bodies_have_to_arrive_in_time(site: &Site) {
    let server = Server::start(site, Limits { body_timeout: SHORT, ..Limits::default() }).await;
    let mut client = server.connect().await;
    send(&mut client, "GET /api/schools?limit=1 HTTP/1.1\r\nhost: here\r\ncontent-length: 100\r\n\r\nhalf").await;
    // It is answered, since no route reads a body, and its rest is not waited for.
    assert!(until_closed(&mut client).await.starts_with("HTTP/1.1 200"));
}

async fn responses_have_to_be_read_in_time(site: &Site) {
    let limits = Limits { write_timeout: SHORT, max_connections: 1, ..Limits::default() };
    let server = Server::start(site, limits).await;
    let mut greedy = server.connect().await;
    // More than the buffers of two sockets hold.
    let requests = "GET /leaflet/leaflet.js HTTP/1.1\r\nhost: here\r\n\r\n".repeat(300);
    send(&mut greedy, &requests).await;
    let mut next = server.connect().await;
    assert!(ask(&mut next, REQUEST).await.starts_with("http/1.1 200"));
}

async fn connections_are_limited(site: &Site) {
    let server = Server::start(site, Limits { max_connections: 2, ..Limits::default() }).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    ask(&mut first, REQUEST).await;
    ask(&mut second, REQUEST).await;
    let mut third = server.connect().await;
    let waits = tokio::spawn(async move { ask(&mut third, REQUEST).await });
    sleep(SHORT).await;
    assert!(!waits.is_finished(), "a third connection is served");
    drop(first);
    assert!(timeout(LONG, waits).await.expect("its turn").expect("no panic").starts_with("http/1.1 200"));
}

async fn queries_are_limited(site: &Site) {
    let server = Server::start(site, Limits { max_queries: 0, ..Limits::default() }).await;
    let mut client = server.connect().await;
    let refused = ask(&mut client, REQUEST).await;
    assert!(refused.starts_with("http/1.1 503") && refused.contains("\r\nretry-after: 2\r\n"), "{refused}");
    assert!(refused.contains("\r\ncontent-type: application/problem+json\r\n"), "{refused}");
    // The files of the page, the health and the metrics make no such queries.
    for path in ["/", "/health", "/metrics"] {
        let head = ask(&mut client, &format!("GET {path} HTTP/1.1\r\nhost: here\r\n\r\n")).await;
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
    }
}

async fn many_clients_are_never_refused(site: &Site) {
    let server = Server::start(site, Limits::default()).await;
    let mut clients = Vec::new();
    for _ in 0..64 {
        let mut client = server.connect().await;
        clients.push(tokio::spawn(async move {
            for _ in 0..10 {
                let head = ask(&mut client, REQUEST).await;
                assert!(head.starts_with("http/1.1 200"), "{head}");
            }
        }));
    }
    for client in clients {
        client.await.expect("no refusal");
    }
    assert_eq!(server.stop().await, 0);
}

async fn requests_in_flight_end_before_it_stops(site: &Site) {
    let server = Server::start(site, Limits::default()).await;
    let address = server.address;
    let mut client = server.connect().await;
    ask(&mut client, REQUEST).await;
    send(&mut client, REQUEST).await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(server.stop().await, 0);
    assert!(until_closed(&mut client).await.starts_with("HTTP/1.1 200"));
    assert!(TcpStream::connect(address).await.is_err(), "it listens still");
}

async fn slow_callers_do_not_keep_it_from_stopping(site: &Site) {
    let server = Server::start(site, Limits { drain_timeout: SHORT, ..Limits::default() }).await;
    let _silent = server.connect().await;
    let mut half = server.connect().await;
    send(&mut half, "GET /api/schools HTTP/1.1\r\nhost").await;
    let mut greedy = server.connect().await;
    send(&mut greedy, &"GET /leaflet/leaflet.js HTTP/1.1\r\nhost: here\r\n\r\n".repeat(300)).await;
    sleep(SHORT).await;
    let begun = Instant::now();
    let open = server.stop().await;
    assert!(begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
    assert!((1..=3).contains(&open), "{open}");
    assert!(until_closed(&mut half).await.is_empty());
}

/// The default limits are those that a service needs.
#[test]
fn no_wait_is_without_end() {
    let limits = Limits::default();
    for wait in [limits.header_timeout, limits.body_timeout, limits.write_timeout, limits.request_timeout] {
        assert!(wait <= Duration::from_secs(30), "{wait:?}");
    }
    assert!(limits.drain_timeout <= Duration::from_secs(10));
}
