//! Connections: every one is ready, and none comes back broken.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::sync::mpsc::{Receiver, Sender, channel};

use school_finder_db::Result;
use school_finder_db::models::NewSchool;
use tokio::runtime::{Builder, Runtime};

use crate::support::school;

/// A runtime to be dropped while another goes on.
fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// The first schools by number, of which one holds up whoever reads them. The receiver hears when it is reached; the
/// sender lets go, also when it is dropped.
fn schools_that_wait(
    count: i64,
    held: i64,
) -> (impl Iterator<Item = Result<NewSchool>> + Send, Receiver<()>, Sender<()>) {
    let (notify, reached) = channel();
    let (go, wait) = channel();
    let schools = (1..=count).map(move |number| {
        if number == held {
            notify.send(()).expect("somebody listens");
            let _ = wait.recv();
        }
        Ok(school(number))
    });
    (schools, reached, go)
}
