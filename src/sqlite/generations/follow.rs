//! Goes on from one generation to the next.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread::Thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::super::pool::Connections;
use super::{Generation, access, all, newest};
use crate::config::{FileAccess, PoolConfig};
use crate::error::{Error, Result};

/// How long a read waits for the generation of its position, and how often it checks meanwhile.
const MAX_WAIT: Duration = Duration::from_millis(100);
const WAIT: Duration = Duration::from_millis(5);

/// How often the link is read. Once a second is cheaper than at each call, and a call never waits for the disk.
const INTERVAL: Duration = Duration::from_secs(1);

/// When a generation that was refused is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// The connections to the newest generation of a folder. A thread replaces them as the link moves. Calls that have
/// begun hold the connections before, which close with the last of them.
pub(in super::super) struct Follower {
    folder: PathBuf,
    access: FileAccess,
    pool: PoolConfig,
    current: Mutex<(Generation, Arc<Connections>)>,
    thread: Thread,
}

/// A generation that was refused, and when it is tried again.
type Refused = Option<(Generation, Instant)>;

impl Follower {
    /// Opens the newest generation, or the one before it where that cannot be used, and starts the thread.
    pub(in super::super) fn open(folder: &Path, immutable: bool, pool: &PoolConfig) -> Result<Arc<Self>> {
        let (access, mut refused) = (access(immutable), None);
        let current = match open_newest(folder, access, pool) {
            Ok(opened) => opened,
            Err((None, error)) => return Err(error),
            Err((Some(newest), error)) => {
                warn_of(&newest, &error);
                refused = Some((newest.clone(), Instant::now() + RETRY_INTERVAL));
                let others = all(folder).unwrap_or_default().into_iter();
                let mut before = others.filter(|generation| generation.number < newest.number);
                // Of two errors, that of the newest says what to mend.
                before.find_map(|generation| generation.opened(access, pool).ok()).ok_or(error)?
            }
        };
        let (sender, receiver) = std::sync::mpsc::channel::<Weak<Self>>();
        let follow = move || {
            if let Ok(follower) = receiver.recv() {
                follow(&follower, refused);
            }
        };
        let thread = std::thread::Builder::new().name("sqlite-follow".to_owned()).spawn(follow);
        let thread = thread.map_err(|error| Error::CannotOpen {
            path: folder.to_owned(),
            reason: format!("the thread that follows it cannot be started: {error}"),
        })?;
        let follower = Arc::new(Self {
            folder: folder.to_owned(),
            access,
            pool: pool.clone(),
            current: Mutex::new(current),
            thread: thread.thread().clone(),
        });
        // The thread waits for it.
        let _ = sender.send(Arc::downgrade(&follower));
        Ok(follower)
    }

    /// Returns the connections to the newest generation that could be opened.
    pub(in super::super) fn connections(&self) -> Arc<Connections> {
        Arc::clone(&self.current.lock().1)
    }

    /// As [`connections`](Self::connections), after a wait for a generation. Where it does not arrive in time, the
    /// newest of the folder serves: nothing else would.
    pub(in super::super) async fn connections_at_least(&self, generation: u64) -> Arc<Connections> {
        let begun = Instant::now();
        loop {
            let (number, connections) = self.generation();
            if number >= generation || begun.elapsed() >= MAX_WAIT {
                return connections;
            }
            // It reads the link at once.
            self.thread.unpark();
            tokio::time::sleep(WAIT).await;
        }
    }

    /// Returns the number of the generation in use, with the connections to it.
    pub(in super::super) fn generation(&self) -> (u64, Arc<Connections>) {
        let current = self.current.lock();
        (current.0.number, Arc::clone(&current.1))
    }

    /// Goes on to the generation that the link leads to, unless it is in use or was refused a moment ago.
    fn refresh(&self, refused: &mut Refused) {
        let known = self.current.lock().0.clone();
        let is_refused = |newest: &Generation| {
            refused.as_ref().is_some_and(|(generation, again)| generation == newest && Instant::now() < *again)
        };
        match newest(&self.folder) {
            Ok(newest) if newest == known => return,
            Ok(newest) if is_refused(&newest) => return,
            // A link that is gone for a moment, or for longer, is no reason to stop.
            Err(error) => return tracing::debug!(%error, "the link to the newest generation cannot be followed"),
            Ok(_) => {}
        }
        match open_newest(&self.folder, self.access, &self.pool) {
            Ok(opened) => {
                tracing::info!(generation = opened.0.number, "the newest generation is in use");
                *refused = None;
                let before = std::mem::replace(&mut *self.current.lock(), opened);
                drop(before);
            }
            Err((Some(newest), error)) => {
                if refused.as_ref().is_none_or(|(generation, _)| *generation != newest) {
                    warn_of(&newest, &error);
                }
                *refused = Some((newest, Instant::now() + RETRY_INTERVAL));
            }
            Err((None, _)) => {}
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // It ends at once.
        self.thread.unpark();
    }
}

/// Follows the link until the repository is dropped.
fn follow(follower: &Weak<Follower>, mut refused: Refused) {
    loop {
        std::thread::park_timeout(INTERVAL);
        let Some(follower) = follower.upgrade() else { return };
        follower.refresh(&mut refused);
    }
}

fn warn_of(generation: &Generation, error: &Error) {
    tracing::warn!(
        path = %generation.path.display(),
        %error,
        "the newest generation cannot be used, and the one before it stays in use"
    );
}

impl Generation {
    fn opened(self, access: FileAccess, pool: &PoolConfig) -> Result<(Self, Arc<Connections>)> {
        self.check()?;
        let connections = Connections::open_file(&self.path, access, pool, true)?;
        Ok((self, Arc::new(connections)))
    }
}

/// Opens the generation that the link leads to. An error comes with the generation, unless there is no link to one.
fn open_newest(
    folder: &Path,
    access: FileAccess,
    pool: &PoolConfig,
) -> Result<(Generation, Arc<Connections>), (Option<Generation>, Error)> {
    loop {
        let generation = newest(folder).map_err(|error| (None, error))?;
        match generation.clone().opened(access, pool) {
            Ok(opened) => return Ok(opened),
            // The link moved on meanwhile, and the file may be removed.
            Err(_) if newest(folder).is_ok_and(|now| now != generation) => {}
            Err(error) => return Err((Some(generation), error)),
        }
    }
}
