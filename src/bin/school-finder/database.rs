//! The database that a command uses.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use school_finder_db::config::{PoolMode, Target};
use school_finder_db::{Config, SchoolRepository, SchoolSearch, connect, create, migrate, sample};

use crate::Failure;
use crate::args::Options;

/// The database to use, and whether it is the default one.
pub struct Choice {
    pub config: Config,
    pub is_default: bool,
}

/// Returns `--database`, else `DATABASE_URL` with `DB_BACKEND` and `DATABASE_READ_URL`, else a file in the user's data
/// folder. A program makes one call, so it needs no pool.
pub fn choose(options: &Options) -> Result<Choice, Failure> {
    let choice = named(options)?;
    for warning in choice.config.warnings() {
        eprintln!("school-finder: warning: {warning}");
    }
    Ok(choice)
}

fn named(options: &Options) -> Result<Choice, Failure> {
    let is_set = ["DATABASE_URL", "DATABASE_READ_URL"].iter().any(|name| std::env::var_os(name).is_some())
        || std::env::var_os("DB_BACKEND").is_some_and(|backend| backend != "sqlite");
    let (config, is_default) = match options.database.as_deref() {
        Some(url) => (Config::from_url(url)?, false),
        None if is_set => (Config::from_env()?, false),
        None => (Config::sqlite_file(default_file()?), true),
    };
    Ok(Choice { config: config.with_mode(PoolMode::PerCall), is_default })
}

/// Opens the database to read. Where none is named and the default one is missing, it is the sample, and says so.
pub async fn open(options: &Options) -> Result<Arc<dyn SchoolRepository>, Failure> {
    let Choice { config, is_default } = choose(options)?;
    if !is_default || file(&config).is_none_or(|path| path.exists()) {
        return Ok(connect(&config).await?);
    }
    eprintln!(
        "There is no database yet, so this is a sample: Brackenford, a town of invented schools.\n\
         For the real ones: school-finder import register edubasealldata.csv"
    );
    let finder = connect(&Config::in_memory()).await?;
    sample::fill(finder.as_ref()).await?;
    Ok(finder)
}

/// Opens the database to write to, which must exist.
pub async fn existing(options: &Options) -> Result<Arc<dyn SchoolRepository>, Failure> {
    Ok(connect(&choose(options)?.config).await?)
}

/// Opens the database to import into, and creates a missing file, whose path is returned. A dry run uses a database in
/// memory instead. An existing database is not migrated.
pub async fn open_or_create(
    options: &Options,
    dry_run: bool,
) -> Result<(Arc<dyn SchoolRepository>, Option<PathBuf>), Failure> {
    let choice = choose(options)?;
    let config = &choice.config;
    let Some(path) = file(config).filter(|path| !path.exists()) else { return Ok((connect(config).await?, None)) };
    if dry_run {
        return Ok((connect(&Config::in_memory()).await?, None));
    }
    prepare(&choice)?;
    eprintln!("creating {config}");
    let created = create(config).await;
    if created.is_err() {
        remove_unmigrated(config, path).await;
    }
    Ok((created?, Some(path.clone())))
}

/// Removes the file of a database that could not be created, unless another program has created it meanwhile.
async fn remove_unmigrated(config: &Config, path: &Path) {
    let mut status = migrate::status(config).await;
    if status.is_err() {
        // A disk that failed once may work again.
        status = migrate::status(config).await;
    }
    if status.is_ok_and(|status| status.iter().all(|migration| !migration.applied)) {
        remove(path);
    }
}

/// Removes the file that was created for a failed import, so that no empty database remains; unless another program has
/// stored schools in it meanwhile.
pub async fn remove_created(finder: Arc<dyn SchoolRepository>, created: Option<PathBuf>) {
    let Some(path) = created else { return };
    if finder.facets(&SchoolSearch::open().any_status()).await.is_ok_and(|facets| facets.total == 0) {
        drop(finder);
        remove(&path);
    }
}

/// Returns the files of the database to use: none for a server or a database in memory.
pub fn files(options: &Options) -> Result<Vec<PathBuf>, Failure> {
    let config = named(options)?.config;
    if let Target::SqliteGenerations { folder, .. } = &config.target {
        let entries = std::fs::read_dir(folder).map_err(Failure::file("read", folder))?;
        return Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect());
    }
    Ok(file(&config).map_or_else(Vec::new, |path| with_side_files(path)))
}

fn with_side_files(path: &Path) -> Vec<PathBuf> {
    let with = |ending| {
        let mut file = path.as_os_str().to_owned();
        file.push(ending);
        PathBuf::from(file)
    };
    ["", "-wal", "-shm", "-journal"].map(with).to_vec()
}

fn remove(path: &Path) {
    for file in with_side_files(path) {
        // A missing file needs no removal; one that cannot be removed is reported by the next command that opens it.
        let _ = std::fs::remove_file(file);
    }
}

/// Creates the data folder where the default database is to be created.
pub fn prepare(Choice { config, is_default }: &Choice) -> Result<(), Failure> {
    match file(config).and_then(|path| path.parent()) {
        Some(folder) if *is_default => std::fs::create_dir_all(folder).map_err(Failure::file("create", folder)),
        _ => Ok(()),
    }
}

fn file(config: &Config) -> Option<&PathBuf> {
    match &config.target {
        Target::SqliteFile { path, .. } => Some(path),
        _ => None,
    }
}

fn default_file() -> Result<PathBuf, Failure> {
    let folder = dirs::data_dir()
        .ok_or_else(|| Failure::Usage("your system names no data folder: say --database sqlite:PATH".to_owned()))?;
    Ok(folder.join("school-finder").join("schools.db"))
}
