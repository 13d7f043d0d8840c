//! Which server runs a read: the reader, or the writer in its place.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel::sql_types::{BigInt, Nullable};
use diesel_async::AsyncPgConnection;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::AbortHandle;

use super::PostgresRepository;
use super::guard::CallKind;
use super::pool::{CheckedOut, Connections};
use super::run::{ConstantQuery, RunQueryDsl};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::repository::Point;

/// How long a read waits for a replica to reach its position, before it goes to the writer.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// The pauses between two queries for a replica's position: the first, and the longest.
const WAITS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(10)];

/// How often a new replica is checked again while it has not received the newest migrations.
const SCHEMA_INTERVAL: Duration = Duration::from_millis(100);

/// The connections to the replicas, and the limit of the reads that the writer serves in their place.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) connections: Connections,
    on_writer: Semaphore,
    acquire_timeout: Duration,
    /// The task that tries a reader that could not be used. Until it ends, reads go to the writer directly: a frozen
    /// server would otherwise cost each of them its timeout.
    retry: Mutex<Option<AbortHandle>>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(retry) = self.retry().take() {
            retry.abort();
        }
    }
}

impl Reader {
    /// Opens no connection yet.
    pub(super) fn new(config: &Config, acquire_timeout: Duration) -> Result<Self> {
        let on_writer = Semaphore::new(usize::try_from(config.pool.reads_on_writer).unwrap_or(usize::MAX));
        if config.pool.reads_on_writer == 0 {
            on_writer.close();
        }
        Ok(Self { connections: Connections::of_reader(config)?, on_writer, acquire_timeout, retry: Mutex::default() })
    }

    /// Checks that this build can use the writer or the reader. A server that cannot be reached is left for later,
    /// if the other can be used.
    pub(super) async fn check(&self, writer: BoxFuture<'_, Result<()>>) -> Result<()> {
        let (on_writer, on_reader) = join(writer, self.check_reader()).await;
        match (on_writer, on_reader) {
            (Err(error), Err(_)) => Err(error),
            (Err(error), _) | (_, Err(error)) if !error.is_retryable() => Err(error),
            (Err(error), Ok(())) => {
                tracing::warn!(%error, "the writer cannot be used now: only reads are served");
                Ok(())
            }
            (Ok(()), Err(error)) => {
                self.pause(&error);
                Ok(())
            }
            (Ok(()), Ok(())) => Ok(()),
        }
    }

    /// Checks the reader. A replica receives migrations a moment after the writer.
    async fn check_reader(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            match self.connections.check().await {
                Err(Error::SchemaMissing | Error::SchemaPending { .. })
                    if begun.elapsed() < self.connections.connect_timeout() =>
                {
                    tokio::time::sleep(SCHEMA_INTERVAL).await;
                }
                result => return result,
            }
        }
    }

    fn retry(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        // No code panics while it holds the lock.
        self.retry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_paused(&self) -> bool {
        is_running(self.retry().as_ref())
    }

    /// Sends reads to the writer until one task has reached the reader again.
    fn pause(&self, error: &Error) {
        let mut retry = self.retry();
        if is_running(retry.as_ref()) {
            return;
        }
        tracing::warn!(%error, "the reader cannot be used now: the writer serves reads, up to reads_on_writer");
        let reachable = self.connections.until_reachable();
        let task = tokio::spawn(async {
            reachable.await;
            tracing::info!("the reader can be used again");
        });
        *retry = Some(task.abort_handle());
    }

    /// Checks a connection out that has reached a position; `None` where the writer has to serve the read.
    async fn check_out(&self, at_least: Option<Point>) -> Result<Option<CheckedOut>> {
        if self.is_paused() {
            return Ok(None);
        }
        let mut checked_out = self.connections.check_out(CallKind::Read).await?;
        if let Some(point) = at_least {
            let call = Arc::clone(&checked_out.call);
            let wait = wait_for(checked_out.get()?, point);
            let reached = self.connections.guarded(&call, wait).await;
            if !matches!(reached, Ok(true)) {
                self.connections.check_in(&reached, checked_out);
                return reached.map(|_| None);
            }
        }
        Ok(Some(checked_out))
    }

    /// Waits until the writer may serve a read that the reader could not serve. `cause` is the reader's error.
    async fn wait_for_writer(&self, cause: Option<Error>) -> Result<SemaphorePermit<'_>> {
        match tokio::time::timeout(self.acquire_timeout, self.on_writer.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(cause.unwrap_or_else(|| Error::Unavailable {
                reason: "the reader cannot serve this read, and reads_on_writer is 0".to_owned(),
            })),
            Err(_) => {
                let waited_ms = u64::try_from(self.acquire_timeout.as_millis()).unwrap_or(u64::MAX);
                Err(cause.unwrap_or(Error::PoolTimeout { waited_ms }))
            }
        }
    }
}

fn is_running(task: Option<&AbortHandle>) -> bool {
    task.is_some_and(|task| !task.is_finished())
}

type Pauses = Box<dyn Iterator<Item = Duration> + Send>;

/// The servers that one read tries, in turn: the reader with its retries, then the writer.
pub(super) struct Route<'a> {
    repository: &'a PostgresRepository,
    reader: Option<&'a Reader>,
    /// Why the reader could not serve the read.
    cause: Option<Error>,
    /// What allows the read on the writer.
    permit: Option<SemaphorePermit<'a>>,
    /// Whether a lost connection was replaced once.
    is_retry: bool,
    /// The pauses before the retries of a read that a standby cancels, and the next of them.
    pauses: Pauses,
    pause: Option<Duration>,
}

impl<'a> Route<'a> {
    pub(super) fn new(repository: &'a PostgresRepository) -> Self {
        Self {
            repository,
            reader: repository.reader.as_deref(),
            cause: None,
            permit: None,
            is_retry: false,
            pauses: Box::new(repository.connections.retries()),
            pause: None,
        }
    }

    /// Checks out a connection to the next server.
    pub(super) fn check_out(&mut self) -> BoxFuture<'_, Result<(&'a Connections, CheckedOut)>> {
        async move {
            while let Some(reader) = self.reader {
                self.wait().await;
                match reader.check_out(self.repository.at_least).await {
                    Ok(Some(checked_out)) => return Ok((&reader.connections, checked_out)),
                    Ok(None) => self.reader = None,
                    Err(error) if self.goes_on(Some(&error)) => {}
                    Err(error) => return Err(error),
                }
            }
            self.wait().await;
            if let (None, Some(reader)) = (&self.permit, &self.repository.reader) {
                self.permit = Some(reader.wait_for_writer(self.cause.take()).await?);
            }
            let connections = &self.repository.connections;
            Ok((connections, connections.check_out(CallKind::Read).await?))
        }
        .boxed()
    }

    /// Returns whether to retry the read, on the connection that is checked out next.
    pub(super) fn goes_on(&mut self, error: Option<&Error>) -> bool {
        let Some(error) = error.filter(|_| !self.repository.connections.is_unit()) else { return false };
        let has_retry = match error {
            Error::ConnectionLost | Error::SchemaChanged => !std::mem::replace(&mut self.is_retry, true),
            Error::RecoveryConflict => {
                self.pause = self.pauses.next();
                self.pause.is_some()
            }
            // A busy pool, or a server that cannot be used, and no error of the query.
            Error::PoolTimeout { .. } => false,
            _ if is_of_server(error) => false,
            _ => return false,
        };
        if has_retry {
            return true;
        }
        let Some(reader) = self.reader else { return false };
        self.leave_reader(reader, error);
        true
    }

    fn leave_reader(&mut self, reader: &Reader, error: &Error) {
        if is_of_server(error) {
            reader.pause(error);
        }
        (self.reader, self.is_retry) = (None, false);
        self.cause = Some(match error {
            Error::PoolTimeout { waited_ms } => Error::PoolTimeout { waited_ms: *waited_ms },
            Error::Unavailable { reason } => Error::Unavailable { reason: reason.clone() },
            _ => Error::Unavailable { reason: error.to_string() },
        });
    }

    /// Waits before a retry.
    async fn wait(&mut self) {
        if let Some(pause) = self.pause.take() {
            tokio::time::sleep(pause).await;
        }
    }
}

/// Returns whether an error is that of a server which cannot be used, and not that of a query.
fn is_of_server(error: &Error) -> bool {
    matches!(error, Error::Unavailable { .. } | Error::NotPrimary | Error::Connect(_))
}

/// Returns the timeline and the place in the log that a server has reached: on a primary what it has flushed, on a
/// replica what it has replayed.
///
/// `pg_current_wal_insert_lsn()` would be wrong: at the end of a page it is past the header of the next, which no
/// replica receives before the next write. Of its timeline a replica shows every role only what its last restart point
/// or flush wrote to its control file, which is late after a promotion, and never early. A role with
/// `pg_read_all_stats` sees that of its receiver at once.
const POINT: &str = "
    SELECT CASE WHEN pg_is_in_recovery() THEN GREATEST(
            (SELECT timeline_id FROM pg_control_checkpoint()),
            (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
            (SELECT received_tli FROM pg_stat_wal_receiver)
        ) ELSE ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::int END::bigint,
        (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END
            - '0/0')::bigint";

/// Returns the point in the history that a server has reached.
pub(super) async fn point_on_conn(connection: &mut AsyncPgConnection) -> Result<Point> {
    let query = ConstantQuery::<(Nullable<BigInt>, Nullable<BigInt>)>::new(POINT);
    let (timeline, lsn): (Option<i64>, Option<i64>) = query.get_result(connection).await?;
    let timeline = timeline.and_then(|timeline| u32::try_from(timeline).ok()).unwrap_or_default();
    Ok(Point::Server { timeline, lsn: lsn.and_then(|lsn| u64::try_from(lsn).ok()).unwrap_or_default() })
}

/// Waits until a server has reached a point; returns `false` if it does not in time, or is on an older timeline.
async fn wait_for(connection: &mut AsyncPgConnection, point: Point) -> Result<bool> {
    let Point::Server { timeline, lsn } = point else { return Ok(true) };
    let begun = Instant::now();
    let [mut pause, longest] = WAITS;
    loop {
        if let Point::Server { timeline: own, lsn: reached } = point_on_conn(connection).await?
            && reached >= lsn
        {
            return Ok(own >= timeline);
        }
        if begun.elapsed() + pause > MAX_WAIT {
            return Ok(false);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}
