//! School Finder as a web service: a JSON and GeoJSON interface and a map, on the backend that the environment names.
//!
//! ```sh
//! cargo run --bin web_service                                   # an invented town, on SQLite in memory
//! DATABASE_URL=sqlite:schools.db cargo run --bin web_service    # your schools
//! DATABASE_URL=postgres://finder@localhost/schools cargo run --features postgres --bin web_service
//! ```
//!
//! The service prints the map's address. `PORT` sets the port (8080; 0 for any free one) and `RUST_LOG` the log filter.
//! `-- --sample` fills the database in `DATABASE_URL` with the invented town, if it is empty.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Arc;

use school_finder_db::{Config, Error, SchoolRepository, SchoolSearch, connect, create, sample};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal;
use web_service::{Limits, router, serve};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let served = Runtime::new().map_err(Failure::from).and_then(|runtime| {
        let result = runtime.block_on(run());
        // A query that the drain did not wait for does not keep the process alive.
        runtime.shutdown_background();
        result
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("web_service: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    web_service::start_log().map_err(|error| format!("RUST_LOG: {error}"))?;

    let port = match std::env::var("PORT") {
        Ok(port) => port.parse().map_err(|_| format!("PORT is {port:?}: give a number from 0 to 65535"))?,
        Err(_) => 8080,
    };
    let finder = finder().await?;
    // Only this machine can connect: a proxy in front terminates TLS.
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| format!("port {port}: {error}"))?;
    println!("http://{}/", listener.local_addr()?);
    let limits = Limits::default();
    match serve(listener, router(finder, &limits), limits, shutdown_signal()).await {
        0 => eprintln!("stopped"),
        open => eprintln!("stopped; {open} connections were still open"),
    }
    Ok(())
}

/// Opens the database of the environment, or the sample.
async fn finder() -> Result<Arc<dyn SchoolRepository>, Failure> {
    let is_named =
        ["DATABASE_URL", "DATABASE_READ_URL", "DB_BACKEND"].iter().any(|setting| std::env::var_os(setting).is_some());
    let wants_sample = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--sample") => true,
        Some(other) => return Err(format!("there is no option {other:?}, only --sample").into()),
    };
    if is_named && !wants_sample {
        return Ok(connect(&Config::from_env()?).await?);
    }
    let config = if is_named { Config::from_env()? } else { Config::in_memory() };
    // An existing database of an older build is not migrated implicitly.
    let finder = match connect(&config).await {
        Err(Error::SchemaMissing | Error::CannotOpen { .. }) => create(&config).await?,
        connected => connected?,
    };
    // A replica may not have a sample that has just been written.
    if finder.on_writer().facets(&SchoolSearch::open().any_status()).await?.total == 0 {
        sample::fill(finder.as_ref()).await?;
    }
    if !is_named {
        eprintln!(
            "DATABASE_URL is not set, so this is a sample in memory: Brackenford, a town of invented schools, round\n\
             52.0406, -0.7594."
        );
    }
    Ok(finder)
}

/// Waits for Ctrl-C, or for the signal of a service manager.
async fn shutdown_signal() {
    let interrupted = async {
        // Without a signal handler, this never completes.
        if signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        match signal::unix::signal(signal::unix::SignalKind::terminate()) {
            Ok(mut terminate) => terminate.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        () = interrupted => {}
        _ = terminated => {}
    }
}
