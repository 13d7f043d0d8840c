//! The connections of a repository.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool::Runtime;
use deadpool::managed::{Hook, HookError, Metrics, PoolError, QueueMode, TimeoutType};
use diesel::ConnectionError;
use diesel::result::Error::QueryBuilderError;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, PoolError as ConnectError, PoolableConnection, RecyclingMethod,
};
use diesel_async::{AnsiTransactionManager, AsyncPgConnection, SimpleAsyncConnection, TransactionManager};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use tokio::sync::Mutex;

use super::calls::pauses;
use super::guard::{CallKind, CallState, guarded, no_response};
use super::health::{health_on_conn, warn_of_language};
use super::set_up::{NO_RESPONSE, SetUp, within};
use super::transactions::end;
use super::{errors, pooler};
use crate::config::{Config, PoolConfig};
use crate::error::{Error, Result, wrong_pool};
use crate::repository::unit_of_work::{InTurn, Slot};
use crate::repository::{Health, PoolStatus};
use crate::request::WriteMode;

/// How long after a call its connection is reused without a check.
const TRUSTED: Duration = Duration::from_millis(500);

/// How long a connection beyond the minimum may be idle.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// The minimum timeout for the check of an idle connection, even where calls must not wait for a connection.
const MIN_CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// The timeout for the check of a connection to a host that failed a moment ago. All connections to a frozen server
/// would take the longer one, one after the other.
const SHORT_CHECK_TIMEOUT: Duration = Duration::from_millis(250);

/// The interval at which idle connections are closed. The timer of a call's response timeout nearly never fires, but
/// one that becomes the next to fire wakes the runtime's driver, which takes as long as a tenth of a query. A nearer
/// timer prevents that.
const CLOSE_INTERVAL: Duration = Duration::from_secs(1);

/// The host of a read without a response is probed after one to two of this many parts of the connect timeout. The
/// probe takes up to the connect timeout, so a read leaves a frozen host after at most one and a half of it.
const PROBE_PARTS: u32 = 4;

/// The pauses before attempts to reach a reader that reads have left: before the first, and before each later one.
const RETRY_PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// The connections of a repository.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool<AsyncPgConnection>,
    acquire_timeout: Duration,
    pub(super) slow_query: Duration,
    set_up: Arc<SetUp>,
    health_check: Arc<Mutex<()>>,
    unit_of_work_timeout: Duration,
    /// Whether these are connections of the reader, whose calls may go to the writer.
    is_reader: bool,
    /// The connection of a unit of work; `None` for those of the pool.
    unit: Option<Arc<Slot<UnitConnection>>>,
}

impl Connections {
    /// Returns the connections of a pool, which opens none before a call needs it.
    pub(super) fn lazy(config: &Config) -> Result<Self> {
        let set_up = Arc::new(SetUp::new(config)?);
        for warning in config.warnings() {
            tracing::warn!(server = %config, "{warning}");
        }
        let PoolConfig { max_size, keep, acquire_timeout, .. } = config.pool;
        let checks = Arc::clone(&set_up);
        let pool = Pool::builder(manager(&set_up, false))
            .max_size(usize::try_from(max_size.max(1)).unwrap_or(usize::MAX))
            .pre_recycle(Hook::async_fn(move |connection, metrics| {
                let (set_up, metrics) = (Arc::clone(&checks), *metrics);
                let timeout = acquire_timeout.min(set_up.connect_timeout).max(MIN_CHECK_TIMEOUT);
                async move { check_idle(&set_up, connection, &metrics, timeout).await }.boxed()
            }))
            .runtime(Runtime::Tokio1)
            // The one used last has a warm server process: in turn, they took one caller 1.6 times as long.
            .queue_mode(QueueMode::Lifo)
            .wait_timeout(Some(acquire_timeout))
            // Connecting has its own timeouts.
            .create_timeout(None)
            .recycle_timeout(Some(acquire_timeout))
            .build()
            .map_err(|error| Error::Unavailable { reason: error.to_string() })?;
        tokio::spawn(close_idle(pool.weak(), Arc::clone(&set_up), usize::try_from(keep).unwrap_or(usize::MAX)));
        Ok(Self::new(pool, acquire_timeout, set_up, config))
    }

    /// Returns the connections of a reader's pool.
    pub(super) fn of_reader(config: &Config) -> Result<Self> {
        Ok(Self { is_reader: config.pool.reads_on_writer > 0, ..Self::lazy(config)? })
    }

    /// Connects, and checks that the database has this build's schema. Writes nothing.
    pub(super) fn check(&self) -> BoxFuture<'_, Result<()>> {
        async {
            let mut connection = self.set_up.connect().await?;
            check(&self.set_up, &mut connection).await
        }
        .boxed()
    }

    /// Takes the connections of a pool that exists.
    pub(super) fn of_pool(pool: Pool<AsyncPgConnection>, config: &Config) -> Result<Self> {
        let set_up = Arc::new(SetUp::new(config)?);
        let acquire_timeout = pool.timeouts().wait.unwrap_or(Duration::MAX);
        Ok(Self::new(pool, acquire_timeout, set_up, config))
    }

    /// Checks a connection of the pool as [`check`](Self::check) does, and that [`manager`] made it.
    pub(super) fn check_pooled(&self) -> BoxFuture<'_, Result<()>> {
        async {
            let mut first = self.check_out(CallKind::Read).await?;
            let call = Arc::clone(&first.call);
            let connection = first.get()?;
            let checked = self.guarded(&call, check(&self.set_up, connection)).await;
            if !call.has_events() {
                return Err(wrong_pool("was built without the connections of `postgres::manager`"));
            }
            self.check_in(&checked, first);
            checked
        }
        .boxed()
    }

    fn new(pool: Pool<AsyncPgConnection>, acquire_timeout: Duration, set_up: Arc<SetUp>, config: &Config) -> Self {
        let PoolConfig { unit_of_work_timeout, slow_query, .. } = config.pool;
        Self {
            pool,
            acquire_timeout,
            slow_query,
            set_up,
            health_check: Arc::default(),
            unit_of_work_timeout,
            is_reader: false,
            unit: None,
        }
    }

    /// Checks a connection out for one call. One that was idle for a while is checked first.
    pub(super) async fn check_out(&self, kind: CallKind) -> Result<CheckedOut> {
        if let Some(unit) = &self.unit {
            let (mut connection, in_turn) = unit.check_out().await?;
            let call = CallState::in_transaction(kind);
            return Ok(CheckedOut { connection: connection.0.take(), in_turn: Some(in_turn), call });
        }
        if self.is_reader && self.set_up.all_have_failed() {
            return Err(Error::Unavailable { reason: NO_RESPONSE.to_owned() });
        }
        // One timeout covers all attempts: each lost idle connection takes time to detect. It is longer than that for a
        // busy pool, which is another error.
        let timeout = match self.is_reader {
            true => {
                let busy = self.acquire_timeout.saturating_add(SHORT_CHECK_TIMEOUT);
                busy.max(self.connect_timeout().saturating_add(self.connect_timeout() / 2))
            }
            false => self.acquire_timeout.saturating_add(self.set_up.connect_limit()),
        };
        let connection = match tokio::time::timeout(timeout, self.pool.get()).await {
            Ok(connection) => connection.map_err(|error| self.cannot_acquire(error))?,
            Err(_) => {
                self.pool.retain(|_, _| false);
                return Err(Error::Unavailable { reason: NO_RESPONSE.to_owned() });
            }
        };
        Ok(CheckedOut { connection: Some(connection), in_turn: None, call: CallState::new(kind) })
    }

    fn cannot_acquire(&self, error: PoolError<ConnectError>) -> Error {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => {
                Error::PoolTimeout { waited_ms: u64::try_from(self.acquire_timeout.as_millis()).unwrap_or(u64::MAX) }
            }
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                Error::Unavailable { reason: NO_RESPONSE.to_owned() }
            }
            PoolError::Backend(ConnectError::ConnectionError(ConnectionError::CouldntSetupConfiguration(
                QueryBuilderError(error),
            ))) => match error.downcast::<Error>() {
                Ok(error) => *error,
                Err(other) => Error::Unavailable { reason: other.to_string() },
            },
            PoolError::Backend(ConnectError::QueryError(error)) => errors::classify(error.into()),
            other => Error::Unavailable { reason: other.to_string() },
        }
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        self.set_up.connect_timeout
    }

    /// Runs the work of a call under its guard. On the reader, the call ends with `Unavailable` once its host responds
    /// neither to the call nor to a new connection. A slow query on a host that responds goes on.
    pub(super) async fn guarded<T>(&self, call: &Arc<CallState>, work: impl Future<Output = Result<T>>) -> Result<T> {
        let frozen = async {
            if self.is_reader {
                self.frozen(call).await;
            } else {
                std::future::pending().await
            }
        };
        match select(pin!(guarded(call, self.set_up.response_timeout, work)), pin!(frozen)).await {
            Either::Left((result, _)) => result,
            Either::Right(((), _)) => Err(Error::Unavailable { reason: NO_RESPONSE.to_owned() }),
        }
    }

    /// Completes when a call's host responds neither to it nor to a new connection.
    async fn frozen(&self, call: &CallState) {
        loop {
            no_response(call, Some(self.connect_timeout() / PROBE_PARTS)).await;
            if let Some(origin) = call.origin()
                && !self.set_up.responds(origin.host).await
            {
                return;
            }
        }
    }

    /// Returns a future that completes once a connection can be made again. It does not keep the pool alive.
    pub(super) fn until_reachable(&self) -> impl Future<Output = ()> + Send + use<> {
        let set_up = Arc::clone(&self.set_up);
        async move {
            let [mut pause, next] = RETRY_PAUSES;
            loop {
                tokio::time::sleep(pause).await;
                if set_up.connect().await.is_ok() {
                    return;
                }
                pause = next;
            }
        }
    }

    /// Checks a connection in, unless the result shows that it cannot be used again. Then the idle connections are
    /// closed too, and those in use before they are used again: most likely the server was restarted, or the schema
    /// changed under all of them.
    pub(super) fn check_in<T>(&self, result: &Result<T>, mut checked_out: CheckedOut) {
        if result.as_ref().is_err_and(errors::ends_connection) {
            if let (Err(Error::Unavailable { .. }), Some(origin)) = (result, checked_out.call.origin()) {
                self.set_up.record(origin.host, Some(Instant::now()));
            }
            if let Some(connection) = checked_out.connection.take() {
                // A schema that changes again outdates those made since the last change as well.
                let created = match result {
                    Err(Error::SchemaChanged) => Instant::now(),
                    _ => Object::metrics(&connection).created,
                };
                // Before it leaves the pool: then a waiting call may take another one.
                self.set_up.record_loss(created);
                drop(Object::take(connection));
            }
            self.pool.retain(|_, metrics| self.set_up.expired(metrics.created).is_none());
        }
        if let Some(in_turn) = checked_out.in_turn.take()
            && let Some(mut connection) = checked_out.connection.take()
        {
            // Diesel reports a transaction whose savepoint could not be rolled back.
            let status = AnsiTransactionManager::transaction_manager_status_mut(&mut *connection);
            if status.transaction_depth().is_ok_and(|depth| depth.is_some()) {
                in_turn.check_in(UnitConnection(Some(connection)));
            } else {
                drop(Object::take(connection));
            }
        }
    }

    /// Returns the number of retries of a write that collided with others, and the pauses before them. A unit of work
    /// is repeated as a whole, by its owner.
    pub(super) fn retries(&self) -> impl Iterator<Item = Duration> + use<> {
        let retries = if self.unit.is_some() { 0 } else { usize::MAX };
        pauses().take(retries)
    }

    /// Returns whether these are the connections of a unit of work.
    pub(super) fn is_unit(&self) -> bool {
        self.unit.is_some()
    }

    /// Begins a transaction, and returns the connections of a unit of work.
    pub(super) async fn begin_unit(&self) -> Result<(Self, Duration)> {
        if self.is_unit() {
            return Err(Error::UnitOfWorkOpen);
        }
        let mut checked_out = self.check_out(CallKind::Write).await?;
        let call = Arc::clone(&checked_out.call);
        let connection = checked_out.get()?;
        let begin = async { Ok(AnsiTransactionManager::begin_transaction(connection).await?) };
        let begun = self.guarded(&call, begin).await;
        match (&begun, checked_out.connection.take()) {
            (Ok(()), Some(connection)) => Ok((
                Self { unit: Some(Slot::new(UnitConnection(Some(connection)))), ..self.clone() },
                self.unit_of_work_timeout,
            )),
            (_, connection) => {
                checked_out.connection = connection;
                self.check_in(&begun, checked_out);
                Err(begun.err().unwrap_or(Error::ConnectionLost))
            }
        }
    }

    /// Commits or rolls back a unit of work.
    pub(super) async fn finish_unit(&self, mode: WriteMode) -> Result<()> {
        let Some(unit) = &self.unit else { return Ok(()) };
        let mut checked_out = self.check_out(CallKind::Write).await?;
        let call = Arc::clone(&checked_out.call);
        let connection = checked_out.get()?;
        let finished = self.guarded(&call, end(connection, mode, async |_| Ok(()))).await;
        unit.end(match (&finished, mode) {
            (Ok(()), WriteMode::Commit) => "it was committed",
            _ => "it was rolled back",
        });
        checked_out.in_turn = None;
        self.check_in(&finished, checked_out);
        finished
    }

    /// Rolls back a unit of work that has not ended.
    pub(super) fn end_unit(&self, reason: &'static str) {
        if let Some(unit) = &self.unit {
            unit.end(reason);
        }
    }

    /// Returns whether the database can be used, by a new connection.
    pub(super) fn health(&self) -> BoxFuture<'_, Result<Health>> {
        // One check at a time, however many callers there are: they may be untrusted, and the server's connections are
        // limited. The time spent waiting counts towards the timeout.
        let check = async {
            let _guard = self.health_check.lock().await;
            health(&self.set_up).await
        };
        within(self.set_up.connect_limit().saturating_add(self.set_up.connect_timeout), check).boxed()
    }

    /// Returns the number of connections.
    pub(super) fn status(&self) -> PoolStatus {
        let deadpool::Status { max_size, size, available, waiting } = self.pool.status();
        let count = |connections| u32::try_from(connections).unwrap_or(u32::MAX);
        PoolStatus { max: count(max_size), open: count(size), idle: count(available), waiting: count(waiting) }
    }
}

/// A connection that is checked out for one call. It is closed where the call is dropped in a transaction or began one
/// in plain SQL: in the pool it would hold locks until its next use. It is also closed once it has the maximum number
/// of prepared statements.
pub(super) struct CheckedOut {
    /// `None` once the connection is checked in.
    connection: Option<Object<AsyncPgConnection>>,
    /// Where the connection belongs to a unit of work.
    in_turn: Option<InTurn<UnitConnection>>,
    pub(super) call: Arc<CallState>,
}

impl CheckedOut {
    /// Returns the connection to run queries on.
    pub(super) fn get(&mut self) -> Result<&mut AsyncPgConnection> {
        Ok(self.connection.as_mut().ok_or(Error::ConnectionLost)?)
    }
}

/// The connection of a unit of work. Dropping it closes it, which rolls back: in the pool it would hold locks until its
/// next use.
struct UnitConnection(Option<Object<AsyncPgConnection>>);

impl Drop for UnitConnection {
    fn drop(&mut self) {
        drop(self.0.take().map(Object::take));
    }
}

impl Drop for CheckedOut {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && (self.call.must_close() || PoolableConnection::is_broken(&mut *connection))
        {
            drop(Object::take(connection));
        }
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pooled({:?})", self.pool.status())
    }
}

/// Returns what makes the connections of a pool, and checks each before it is used again unless the pool does.
pub(super) fn manager(set_up: &Arc<SetUp>, checks: bool) -> AsyncDieselConnectionManager<AsyncPgConnection> {
    let mut manager = ManagerConfig::default();
    manager.recycling_method = match checks {
        false => RecyclingMethod::Fast,
        true if !set_up.checks_role() => RecyclingMethod::Verified,
        true => {
            let set_up = Arc::clone(set_up);
            RecyclingMethod::CustomFunction(Box::new(move |connection| {
                let set_up = Arc::clone(&set_up);
                let failed = |error| QueryBuilderError(Box::new(error));
                async move { set_up.check_role(connection).await.map_err(failed) }.boxed()
            }))
        }
    };
    let each = Arc::clone(set_up);
    manager.custom_setup = Box::new(move |_| {
        let set_up = Arc::clone(&each);
        // The error keeps its type on its way through the pool.
        let passed_on = |error| ConnectionError::CouldntSetupConfiguration(QueryBuilderError(Box::new(error)));
        async move { set_up.connect().await.map_err(passed_on) }.boxed()
    });
    AsyncDieselConnectionManager::new_with_config(String::new(), manager)
}

/// Checks that this build can use the database.
async fn check(set_up: &SetUp, connection: &mut AsyncPgConnection) -> Result<()> {
    let checked = async {
        pooler::check(set_up, connection).await?;
        health_on_conn(connection).await?;
        warn_of_language(connection).await
    };
    within(set_up.connect_timeout, checked).await
}

/// Connects, and checks whether this build can use the database. Each step has the connect timeout.
async fn health(set_up: &SetUp) -> Result<Health> {
    let mut connection = set_up.connect().await?;
    within(set_up.connect_timeout, health_on_conn(&mut connection)).await
}

/// Checks that a connection may be used again: that it is not too old, that none was lost since it was made, that its
/// server still responds where it has been idle for a while, and that its server's role and lag are right. A recently
/// used one is spared the round trip; a closed one is detected without it. The role is also checked on one that is
/// always in use, once in each second of its age. The pool's own timeouts do not apply to a hook, and a frozen server
/// never responds.
async fn check_idle(
    set_up: &SetUp,
    connection: &mut AsyncPgConnection,
    metrics: &Metrics,
    timeout: Duration,
) -> std::result::Result<(), HookError<ConnectError>> {
    let age = metrics.age();
    if let Some(reason) = set_up.expired(metrics.created) {
        return Err(HookError::message(reason));
    }
    let age_at_last_use = metrics.recycled.map_or(Duration::ZERO, |used| used.duration_since(metrics.created));
    let is_due = set_up.checks_role() && age_at_last_use.as_secs() != age.as_secs();
    if metrics.last_used() < TRUSTED && !is_due {
        return Ok(());
    }
    let call = CallState::new(CallKind::Read);
    let check = call.scope(async {
        if set_up.checks_role() {
            set_up.check_role(connection).await
        } else {
            Ok(connection.batch_execute("SELECT 1").await?)
        }
    });
    // Polled after the check, whose statement says which host it was sent to.
    let no_response = async {
        let has_failed = call.origin().is_some_and(|origin| set_up.has_failed(origin.host));
        tokio::time::sleep(if has_failed { SHORT_CHECK_TIMEOUT } else { timeout }).await;
    };
    match select(pin!(check), pin!(no_response)).await {
        Either::Left((checked, _)) => checked.map_err(|error| HookError::message(error.to_string())),
        Either::Right(((), _)) => {
            if let Some(origin) = call.origin() {
                set_up.record(origin.host, Some(Instant::now()));
            }
            Err(HookError::message(NO_RESPONSE))
        }
    }
}

/// Closes idle connections that would not be used again, and those beyond the minimum once they have been idle for a
/// while. Ends with the pool.
async fn close_idle(
    pool: deadpool::managed::WeakPool<AsyncDieselConnectionManager<AsyncPgConnection>>,
    set_up: Arc<SetUp>,
    keep: usize,
) {
    loop {
        tokio::time::sleep(CLOSE_INTERVAL).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut spare = pool.status().size.saturating_sub(keep);
        pool.retain(|_, metrics| {
            let close = set_up.expired(metrics.created).is_some() || (spare > 0 && metrics.last_used() >= MAX_IDLE);
            spare = spare.saturating_sub(usize::from(close));
            !close
        });
    }
}
