//! How much one caller may take of the service, and for how long.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time;

use super::problem::Problem;

/// The limits of a service. [`Limits::default`] has those of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest time until the headers of a request have arrived. It begins when the connection opens or the
    /// response before it ends, so it limits silence as well.
    pub header_timeout: Duration,
    /// The longest pause within the body of a request.
    pub body_timeout: Duration,
    /// The longest pause of a caller that reads a response.
    pub write_timeout: Duration,
    /// The longest duration of a request, and of each part of a response that is streamed.
    pub request_timeout: Duration,
    /// The most connections that are open. Further ones wait in the queue of the system.
    pub max_connections: usize,
    /// The most requests of the interface that are in flight. Further ones are refused with the status 503. They are
    /// more than the pool has connections, so some wait for one. This bounds how many do.
    pub max_queries: usize,
    /// The longest wait for requests in flight when the service stops.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(20),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(15),
            // Below the 1,024 open files that a process usually may have.
            max_connections: 512,
            // 64 clients that wait for each response have at most 64 requests in flight: this is twice as many.
            max_queries: 128,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Limits the queries of a response that is streamed: the layers for requests no longer apply after its headers.
#[derive(Debug, Clone)]
pub struct Turns {
    free: Arc<Semaphore>,
    timeout: Duration,
}

impl Turns {
    /// Returns turns that share the permits of `free` with the requests in flight.
    pub fn new(free: Arc<Semaphore>, limits: &Limits) -> Self {
        Self { free, timeout: limits.request_timeout }
    }

    /// Waits for a permit, and does the work. The request timeout covers both together.
    pub async fn take<T>(&self, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
        let work = async {
            let _permit = self.free.acquire().await.map_err(|error| Problem::unfinished(&error))?;
            work.await
        };
        time::timeout(self.timeout, work).await.map_err(|error| Problem::unfinished(&error))?
    }
}
