//! A primary and streaming replicas of one test.

use school_finder_db::{Config, migrate};

use crate::raw::Raw;
use crate::servers::cluster::{Cluster, Stop};
use crate::support::until;

/// The database of the tests.
pub const DATABASE: &str = "schools";

/// Servers that hold the same data. The first begins as the primary, and the others follow it.
pub struct Group {
    pub servers: Vec<Cluster>,
}

impl Group {
    /// Starts a primary with this build's schema, and this many replicas of it.
    pub async fn start(replicas: usize) -> Self {
        let primary = Cluster::start();
        primary.database().await;
        let mut group = Self { servers: vec![primary] };
        for _ in 0..replicas {
            let replica = Cluster::replica_of(&group.servers[0]);
            group.servers.push(replica);
        }
        group.caught_up(0).await;
        group
    }

    /// Returns the address of some of the servers, in this order, with the parameters of a URL.
    pub fn url(&self, servers: &[usize], parameters: &str) -> String {
        self.url_of(DATABASE, servers, parameters)
    }

    pub fn url_of(&self, database: &str, servers: &[usize], parameters: &str) -> String {
        let hosts: Vec<String> = servers.iter().map(|at| format!("127.0.0.1:{}", self.servers[*at].port())).collect();
        format!("postgres://postgres:faults@{}/{database}?{parameters}", hosts.join(","))
    }

    /// Returns a plain connection to the database on one of the servers.
    pub async fn raw(&self, at: usize) -> Raw {
        Raw::open(&self.servers[at].url(DATABASE)).await
    }

    /// Sets a setting of a server, which it reloads at once.
    pub async fn set(&self, at: usize, setting: &str, value: &str) {
        let mut raw = self.raw(at).await;
        raw.execute(&format!("ALTER SYSTEM SET {setting} = '{value}'")).await;
        raw.execute("SELECT pg_reload_conf()").await;
        // It reaches the server's processes a moment later.
        until("the setting is in force", async || {
            let unit = format!("SELECT (setting = '{value}' OR current_setting(name) = '{value}')::text");
            self.raw(at).await.texts(&format!("{unit} FROM pg_settings WHERE name = '{setting}'")).await == ["true"]
        })
        .await;
    }

    /// Waits until every running replica has what the server with this number has.
    pub async fn caught_up(&self, primary: usize) {
        let end = self.raw(primary).await.texts("SELECT pg_current_wal_flush_lsn()::text").await.remove(0);
        let replayed = format!("SELECT (pg_last_wal_replay_lsn() >= '{end}')::text");
        for (at, _) in self.servers.iter().enumerate().filter(|(at, server)| *at != primary && server.is_running()) {
            until("a replica has it", async || self.raw(at).await.texts(&replayed).await == ["true"]).await;
        }
    }

    /// Makes a replica the primary, and lets the other running replicas follow it.
    pub async fn promote(&self, at: usize) {
        self.raw(at).await.execute("SELECT pg_promote(true, 30)").await;
        for (other, server) in self.servers.iter().enumerate() {
            if other != at && server.is_running() {
                self.set(other, "primary_conninfo", &self.servers[at].replication_address()).await;
            }
        }
    }

    /// Lets a stopped server follow another one.
    pub fn follow(&mut self, at: usize, primary: usize) {
        let address = self.servers[primary].replication_address();
        self.servers[at].follow(&address);
    }

    /// Stops and starts a server's processes: they accept connections, and never respond.
    pub fn freeze(&self, at: usize) {
        self.servers[at].signal_all("STOP");
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self, at: usize) {
        self.servers[at].signal_all("CONT");
    }

    /// Returns the processes of a server that serve connections of this `application_name`.
    pub async fn connections(&self, at: usize, application: &str) -> Vec<String> {
        let of = format!("FROM pg_stat_activity WHERE application_name = '{application}' ORDER BY pid");
        self.raw(at).await.texts(&format!("SELECT pid::text {of}")).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_follow_restart_and_promote() {
    let begun = std::time::Instant::now();
    let mut group = Group::start(2).await;
    crate::support::say(&format!("a primary and two replicas in {:?}", begun.elapsed()));
    let recovery = async |group: &Group, at| group.raw(at).await.texts("SELECT pg_is_in_recovery()::text").await;
    assert_eq!(recovery(&group, 0).await, ["false"]);
    assert_eq!((recovery(&group, 1).await, recovery(&group, 2).await), (vec!["true".into()], vec!["true".into()]));
    group.servers[0].stop(Stop::Fast);
    group.promote(1).await;
    group.follow(0, 1);
    group.raw(1).await.execute("CREATE TABLE after_promotion ()").await;
    group.caught_up(1).await;
    assert_eq!(recovery(&group, 0).await, ["true"]);
    group.servers[2].stop(Stop::Kill);
    group.servers[2].restart();
    group.caught_up(1).await;
    migrate::status(&Config::from_url(&group.url(&[2], "")).expect("a URL")).await.expect("the schema is there");
}
