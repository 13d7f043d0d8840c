//! A Postgres cluster of one test, to be stopped and killed.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use school_finder_db::{Config, migrate};

use crate::raw::Raw;
use crate::support::is_root;

pub struct Cluster {
    folder: tempfile::TempDir,
    port: u16,
    postmaster: Option<Child>,
}

/// How a server is stopped.
#[derive(Debug, Clone, Copy)]
pub enum Stop {
    /// Calls are broken off and connections closed.
    Fast,
    /// At once, without a checkpoint.
    Immediate,
    /// `kill -9` of the server's first process.
    Kill,
}

impl Cluster {
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("faults.").tempdir_in("/tmp").expect("a folder");
        let mut cluster = Self { folder, port: free_port(), postmaster: None };
        std::fs::write(cluster.folder.path().join("password"), "faults\n").expect("a file");
        cluster.give(cluster.folder.path());
        let mut initdb = cluster.command("initdb");
        initdb.arg("--pgdata").arg(cluster.data()).args([
            "--username=postgres",
            "--auth-local=trust",
            "--auth-host=password",
        ]);
        initdb.arg("--pwfile").arg(cluster.folder.path().join("password"));
        initdb.args(["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]);
        let output = initdb.output().expect("initdb runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        cluster.restart();
        cluster
    }

    /// A streaming replica of a running server.
    pub fn replica_of(primary: &Self) -> Self {
        let folder = tempfile::Builder::new().prefix("faults.").tempdir_in("/tmp").expect("a folder");
        let mut replica = Self { folder, port: free_port(), postmaster: None };
        replica.give(replica.folder.path());
        let mut backup = replica.command("pg_basebackup");
        backup.arg("--pgdata").arg(replica.data()).args(["--dbname", &primary.replication_address()]);
        backup.args(["--checkpoint=fast", "--wal-method=stream", "--no-sync", "--write-recovery-conf"]);
        let output = backup.output().expect("pg_basebackup runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        replica.restart();
        replica
    }

    /// Where its replicas connect to: its socket, which asks for no password.
    pub fn replication_address(&self) -> String {
        format!("host={} port={} user=postgres", self.folder.path().display(), self.port)
    }

    /// Starts a stopped server as a replica.
    pub fn follow(&mut self, replication_address: &str) {
        let data = self.data();
        let mut settings = std::fs::File::options().append(true).open(data.join("postgresql.auto.conf"));
        let line = format!("primary_conninfo = '{replication_address}'\n");
        std::io::Write::write_all(settings.as_mut().expect("settings"), line.as_bytes()).expect("a setting");
        std::fs::write(data.join("standby.signal"), "").expect("a file");
        self.give(&data);
        self.restart();
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn is_running(&self) -> bool {
        self.postmaster.is_some()
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres:faults@127.0.0.1:{}/{database}", self.port)
    }

    /// A database with this build's schema.
    pub async fn database(&self) -> String {
        Raw::open(&self.url("postgres")).await.execute("CREATE DATABASE schools").await;
        let url = self.url("schools");
        migrate::up(&Config::from_url(&url).expect("a URL")).await.expect("a schema");
        url
    }

    /// Lets the server's user write into a folder.
    pub fn give(&self, folder: &Path) {
        if is_root() {
            let status = Command::new("chown").args(["-R", "postgres:"]).arg(folder).status().expect("chown runs");
            assert!(status.success(), "there is a user postgres");
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).expect("its own");
        }
    }

    pub fn stop(&mut self, how: Stop) {
        let postmaster = self.postmaster.as_ref().expect("a running server").id().to_string();
        match how {
            Stop::Fast => self.signal_process(&postmaster, "INT"),
            Stop::Immediate => self.signal_process(&postmaster, "QUIT"),
            // Its processes end by themselves when it is gone, and one may answer a query before.
            Stop::Kill => self.signal_all("KILL"),
        }
        self.postmaster.take().expect("a running server").wait().expect("its end");
    }

    pub fn signal_process(&self, pid: &str, signal: &str) {
        let status = Command::new("kill").args([&format!("-{signal}"), pid]).status().expect("kill runs");
        assert!(status.success(), "process {pid}");
    }

    /// Sends a signal to all processes of the server.
    pub fn signal_all(&self, signal: &str) {
        let postmaster = self.postmaster.as_ref().expect("a running server").id().to_string();
        let children = Command::new("pgrep").args(["--parent", &postmaster]).output().expect("pgrep runs");
        let children = String::from_utf8(children.stdout).expect("numbers");
        for pid in std::iter::once(postmaster.as_str()).chain(children.lines()) {
            // One of them may just have ended.
            let _ = Command::new("kill").args([&format!("-{signal}"), pid]).stderr(Stdio::null()).status();
        }
    }

    /// Starts the server, where it was before.
    pub fn restart(&mut self) {
        let begun = Instant::now();
        loop {
            // After a kill, others of its processes may still hold its memory.
            let log =
                std::fs::File::options().append(true).create(true).open(self.folder.path().join("log")).expect("a log");
            // It ends with this thread, where that is killed and cannot stop it.
            let mut server = self.command("setpriv");
            server
                .args(["--pdeathsig=QUIT", "--"])
                .arg(programs().join("postgres"))
                .arg("-D")
                .arg(self.data())
                .args(["-p", &self.port.to_string()]);
            for setting in [
                "listen_addresses=127.0.0.1",
                "fsync=off",
                "full_page_writes=off",
                "shared_buffers=32MB",
                "max_connections=40",
                "restart_after_crash=on",
                "jit=off",
                "autovacuum=off",
            ] {
                server.args(["-c", setting]);
            }
            server.args(["-k", self.folder.path().to_str().expect("UTF-8")]);
            let mut child = server.stderr(log).stdout(Stdio::null()).spawn().expect("the server starts");
            while child.try_wait().expect("its state").is_none() {
                let mut ready = self.command("pg_isready");
                ready.args(["--quiet", "--port", &self.port.to_string(), "--host"]).arg(self.folder.path());
                if ready.status().expect("pg_isready runs").success() {
                    self.postmaster = Some(child);
                    return;
                }
                assert!(begun.elapsed() < Duration::from_secs(30), "the server starts in time");
                std::thread::sleep(Duration::from_millis(50));
            }
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "{}",
                std::fs::read_to_string(self.folder.path().join("log")).expect("a log")
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// One of the server's programs, or `setpriv`, as the user that may run the server.
    fn command(&self, program: &str) -> Command {
        let program = if program == "setpriv" { PathBuf::from(program) } else { programs().join(program) };
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.postmaster.is_some() {
            // A frozen one obeys once it goes on.
            self.signal_all("CONT");
            self.stop(Stop::Immediate);
        }
    }
}

/// Where the server's programs are.
fn programs() -> PathBuf {
    std::env::var_os("TEST_POSTGRES_BIN").expect("TEST_POSTGRES_BIN names the folder; scripts/cluster sets it").into()
}

/// Below 32768, where the system hands out ports for outgoing connections.
fn free_port() -> u16 {
    let begin = u16::try_from(std::process::id() % 6_000).expect("small");
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
    std::iter::repeat_with(|| 21_000 + (begin + NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) % 11_000)
        .take(1_000)
        .find(free)
        .expect("a free port")
}
