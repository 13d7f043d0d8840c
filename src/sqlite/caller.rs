//! Whether the future that waits for a read still exists. Diesel has no safe way to interrupt SQLite, so a read checks
//! this before it begins and between its queries.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use crate::error::{Error, Result};

thread_local! {
    /// The caller of the read that this thread runs; `None` for work that runs to its end.
    static CALLER: RefCell<Option<Weak<()>>> = const { RefCell::new(None) };
}

/// Runs a read on a thread, for the caller that holds `caller`.
pub(super) fn run_for<T>(caller: &Weak<()>, read: impl FnOnce() -> Result<T>) -> Result<T> {
    /// Restores the thread's state, also where the read panics.
    struct Restore(Option<Weak<()>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CALLER.set(self.0.take());
        }
    }
    let _restore = Restore(CALLER.replace(Some(Weak::clone(caller))));
    require_caller()?;
    read()
}

/// Returns an error, which nobody receives, where the caller of the current read was dropped.
pub(super) fn require_caller() -> Result<()> {
    CALLER.with_borrow(|caller| match caller {
        Some(caller) if caller.strong_count() == 0 => Err(Error::Timeout),
        _ => Ok(()),
    })
}

/// Returns what a future holds for as long as it waits for a read.
pub(super) fn caller() -> Arc<()> {
    Arc::new(())
}
