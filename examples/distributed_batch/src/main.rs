//! The nearest schools, or those that serve a home, for many homes on several machines, scheduled by Apache DataFusion
//! Ballista. `run` starts all of it on one machine.

mod function;

use std::error::Error;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use ballista::prelude::{SessionConfigExt as _, SessionContextExt as _};
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::utils::{default_config_producer, default_session_builder};
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::start_server;
use clap::{Parser, ValueEnum};
use datafusion::arrow::array::AsArray as _;
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::execution::{FunctionRegistry as _, SessionState};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::metadata::KeyValue;
use datafusion::prelude::{CsvReadOptions, ParquetReadOptions, SessionConfig, SessionContext};
use function::{Schools, functions, generation};
use futures_util::StreamExt as _;
use school_finder_db::{Config, connect};

#[derive(Parser)]
#[command(about = "The schools of many homes, on several machines")]
enum Role {
    /// Plans queries, and gives their tasks to the executors.
    Scheduler {
        /// The address of this machine by which the others reach it. There is no password: use a private network.
        #[arg(long, value_name = "IP", default_value_t = Ipv4Addr::LOCALHOST)]
        host: Ipv4Addr,
        #[arg(long, default_value_t = 50050)]
        port: u16,
        /// After this many seconds without a heartbeat, an executor's tasks go to another one.
        #[arg(long, value_name = "SECONDS", default_value_t = 180)]
        executor_timeout: u64,
        /// How many executors there have to be before /readyz returns 200.
        #[arg(long, value_name = "N", default_value_t = 1)]
        executors: usize,
    },
    /// Reads the schools of the newest generation, and runs tasks.
    Executor {
        /// The folder that `school-finder ship` wrote to, or a copy of it.
        #[arg(long, value_name = "DIR")]
        schools: PathBuf,
        #[arg(long, default_value = "127.0.0.1:50050")]
        scheduler: String,
        /// The port for results. The next number is that for tasks.
        #[arg(long, default_value_t = 50051)]
        port: u16,
        /// The address of this machine, as that of the scheduler.
        #[arg(long, value_name = "IP", default_value_t = Ipv4Addr::LOCALHOST)]
        host: Ipv4Addr,
        /// How many tasks to run at once.
        #[arg(long, default_value_t = 2)]
        tasks: usize,
        /// The folder for results. They are removed an hour after their query, and those of a killed executor in a day.
        #[arg(long, value_name = "DIR")]
        work: PathBuf,
        /// Send a heartbeat each so many seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        heartbeat: u64,
    },
    /// Writes the schools of the homes as Parquet.
    Client {
        search: Search,
        /// A CSV file with the columns id, lat and lng, at a path that the scheduler and each executor read too.
        homes: PathBuf,
        /// The file to write: id, rank, school_id, urn, distance_km, evidence, in no order of the homes.
        results: PathBuf,
        /// The folder of shipped schools, which names the generation.
        #[arg(long, value_name = "DIR")]
        schools: PathBuf,
        #[arg(long, default_value = "127.0.0.1:50050")]
        scheduler: String,
        /// How many tasks to cut the homes into.
        #[arg(long, default_value_t = 16)]
        tasks: usize,
    },
    /// Compares results with those of `school-finder batch` in CSV.
    Compare { results: PathBuf, batch: PathBuf },
}

#[derive(Clone, Copy, ValueEnum)]
enum Search {
    Nearest,
    Serving,
}

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Role::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("distributed_batch: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(role: Role) -> Result<()> {
    match role {
        Role::Scheduler { host, port, executor_timeout, executors } => {
            let config = SchedulerConfig {
                bind_host: host.to_string(),
                external_host: host.to_string(),
                bind_port: port,
                executor_timeout_seconds: executor_timeout,
                expire_dead_executor_interval_seconds: executor_timeout.div_ceil(4),
                min_ready_executors: executors,
                finished_job_data_clean_up_interval_seconds: 3_600,
                override_config_producer: Some(Arc::new(default_config_producer)),
                override_session_builder: Some(Arc::new(scheduler_state)),
                ..SchedulerConfig::default()
            };
            let cluster = BallistaCluster::new_from_config(&config).await?;
            Ok(start_server(cluster, (host, port).into(), Arc::new(config)).await?)
        }
        Role::Executor { schools, scheduler, port, host, tasks, work, heartbeat } => {
            let schools = Schools::load(connect(&Config::following(schools)).await?.as_ref()).await?;
            let mut registry = BallistaFunctionRegistry::default();
            for function in functions(Some(&schools)) {
                registry.scalar_functions.insert(function.name().to_owned(), Arc::new(function));
            }
            let (scheduler_host, scheduler_port) = scheduler.rsplit_once(':').ok_or("--scheduler is HOST:PORT")?;
            let tasks_port = port.checked_add(1).ok_or("--port is at most 65534")?;
            // Ballista ends without an error where it cannot listen.
            for port in [port, tasks_port] {
                TcpListener::bind((host, port)).map_err(|error| format!("port {port}: {error}"))?;
            }
            std::fs::create_dir_all(&work)?;
            let config = ExecutorProcessConfig {
                scheduler_host: scheduler_host.to_owned(),
                scheduler_port: scheduler_port.parse()?,
                scheduler_connect_timeout_seconds: 10,
                bind_host: host.to_string(),
                external_host: Some(host.to_string()),
                port,
                grpc_port: tasks_port,
                vcores: tasks,
                work_dir: Some(work.display().to_string()),
                executor_heartbeat_interval_seconds: heartbeat,
                job_data_ttl_seconds: 86_400,
                job_data_clean_up_interval_seconds: 3_600,
                override_function_registry: Some(Arc::new(registry)),
                ..ExecutorProcessConfig::default()
            };
            Ok(start_executor_process(Arc::new(config)).await?)
        }
        Role::Client { search, homes, results, schools, scheduler, tasks } => {
            let generation = generation(connect(&Config::following(schools)).await?.as_ref()).await?;
            let config = SessionConfig::new_with_ballista().with_target_partitions(tasks);
            let state = default_session_builder(config)?;
            let session = SessionContext::remote_with_state(&format!("df://{scheduler}"), state).await?;
            functions(None).into_iter().for_each(|function| session.register_udf(function));
            client(&session, search, &homes, &results, generation).await
        }
        Role::Compare { results, batch } => compare(&results, &batch).await,
    }
}

/// A session of the scheduler, which plans with the names and types of both functions.
fn scheduler_state(config: SessionConfig) -> datafusion::error::Result<SessionState> {
    let mut state = default_session_builder(config)?;
    for function in functions(None) {
        state.register_udf(Arc::new(function))?;
    }
    Ok(state)
}

/// Writes what the executors find. The file is complete or not there: a query that fails is run again as a whole.
async fn client(
    session: &SessionContext,
    search: Search,
    homes: &Path,
    results: &Path,
    generation: String,
) -> Result<()> {
    let mut header = String::new();
    BufReader::new(File::open(homes)?).read_line(&mut header)?;
    if header.trim_end() != "id,lat,lng" {
        return Err(format!("{}: the header is not id,lat,lng", homes.display()).into());
    }
    let column = |name, data_type| Field::new(name, data_type, false);
    let schema = Schema::new(vec![
        column("id", DataType::Utf8),
        column("lat", DataType::Float64),
        column("lng", DataType::Float64),
    ]);
    let path = std::path::absolute(homes)?.display().to_string();
    session.register_csv("homes", path, CsvReadOptions::new().schema(&schema)).await?;
    let function = match search {
        Search::Nearest => "nearest",
        Search::Serving => "serving",
    };
    let query = format!(
        "SELECT id, school['rank'] AS rank, school['school_id'] AS school_id, school['urn'] AS urn,
                school['distance_km'] AS distance_km, school['evidence'] AS evidence
         FROM (SELECT id, unnest({function}(lat, lng, '{generation}')) AS school FROM homes)"
    );
    let partial = results.with_added_extension("partial");
    let written = write(session, &query, &partial, generation).await;
    match &written {
        Ok(_) => std::fs::rename(partial, results)?,
        // It may not be there.
        Err(_) => drop(std::fs::remove_file(partial)),
    }
    println!("{} rows in {}", written?, results.display());
    Ok(())
}

/// Writes the rows of a query as Parquet, and returns their number.
async fn write(session: &SessionContext, query: &str, to: &Path, generation: String) -> Result<usize> {
    let mut batches = session.sql(query).await?.execute_stream().await?;
    let mut writer = ArrowWriter::try_new(File::create(to)?, batches.schema(), None)?;
    writer.append_key_value_metadata(KeyValue::new("generation".to_owned(), generation));
    let mut rows = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        rows += batch.num_rows();
        writer.write(&batch)?;
    }
    writer.into_inner()?.sync_all()?;
    Ok(rows)
}

/// Fails unless both have the same rows, each once, and at least one.
async fn compare(results: &Path, batch: &Path) -> Result<()> {
    let session = SessionContext::new();
    session.register_parquet("results", results.display().to_string(), ParquetReadOptions::default()).await?;
    let columns = [
        ("home", DataType::Int64),
        ("id", DataType::Utf8),
        ("rank", DataType::UInt32),
        ("school_id", DataType::Int64),
        ("urn", DataType::Int64),
        ("distance_km", DataType::Float64),
        ("evidence", DataType::Utf8),
        ("generation", DataType::Utf8),
    ];
    let schema = Schema::new(columns.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec());
    session.register_csv("batch", batch.display().to_string(), CsvReadOptions::new().schema(&schema)).await?;
    let query = "
        SELECT (SELECT count(*) FROM results) AS results, (SELECT count(*) FROM batch) AS batch, (
            SELECT count(*) FROM results r FULL JOIN batch b ON r.id = b.id AND r.rank = b.rank
            WHERE (r.school_id IS DISTINCT FROM b.school_id) OR (r.urn IS DISTINCT FROM b.urn)
               OR (r.distance_km IS DISTINCT FROM b.distance_km) OR (r.evidence IS DISTINCT FROM b.evidence)
        ) AS different";
    let counts = session.sql(query).await?.collect().await?;
    let count = |column| counts[0].column(column).as_primitive::<Int64Type>().value(0);
    let (results, batch, different) = (count(0), count(1), count(2));
    println!("{results} rows, {batch} of one process, {different} differ");
    match results > 0 && results == batch && different == 0 {
        true => Ok(()),
        false => Err("the results are not those of one process".into()),
    }
}
