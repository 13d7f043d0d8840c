//! The database that a command uses.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use school_finder_db::config::{PoolMode, Target};
use school_finder_db::{Config, SchoolRepository, SchoolSearch, connect, create, migrate, sample};

use crate::Failure;

/// The database that is named, and whether anybody named it.
pub struct Choice {
    pub config: Config,
    pub is_default: bool,
}

/// `--database`, else `DATABASE_URL` with `DB_BACKEND`, else a file in the user's data folder. A program makes one
/// call, so it needs no pool.
pub fn choose(named: Option<&str>) -> Result<Choice, Failure> {
    let (config, is_default) = match named {
        Some(url) => (Config::from_url(url)?, false),
        None if std::env::var_os("DATABASE_URL").is_some() => (Config::from_env()?, false),
        None if std::env::var_os("DB_BACKEND").is_some_and(|backend| backend != "sqlite") => {
            (Config::from_env()?, false)
        }
        None => (Config::sqlite_file(default_file()?), true),
    };
    Ok(Choice { config: config.with_mode(PoolMode::PerCall), is_default })
}

/// Opens the database to read. Where none is named and none is there, it is the sample, and says so.
pub async fn open(named: Option<&str>) -> Result<Arc<dyn SchoolRepository>, Failure> {
    let Choice { config, is_default } = choose(named)?;
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

/// A database to import into.
pub struct ImportTarget {
    pub finder: Arc<dyn SchoolRepository>,
    /// The file that was made for this import, if it was.
    pub created: Option<PathBuf>,
}

/// Opens the database to import into, and creates it where there is none; a dry run uses one in memory in its place.
/// One that is there is not migrated in silence.
pub async fn for_import(named: Option<&str>, dry_run: bool) -> Result<ImportTarget, Failure> {
    let choice = choose(named)?;
    let config = &choice.config;
    match file(config) {
        Some(path) if !path.exists() && dry_run => {
            Ok(ImportTarget { finder: connect(&Config::in_memory()).await?, created: None })
        }
        Some(path) if !path.exists() => {
            prepare(&choice)?;
            eprintln!("creating {config}");
            match create(config).await {
                Ok(finder) => Ok(ImportTarget { finder, created: Some(path.clone()) }),
                Err(error) => {
                    remove_unfinished(config, path).await;
                    Err(error.into())
                }
            }
        }
        _ => Ok(ImportTarget { finder: connect(config).await?, created: None }),
    }
}

/// Opens the database to import what belongs to schools that are there already.
pub async fn for_additions(named: Option<&str>) -> Result<ImportTarget, Failure> {
    Ok(ImportTarget { finder: connect(&choose(named)?.config).await?, created: None })
}

/// Removes the file of a database that could not be created, unless another program has created it meanwhile.
async fn remove_unfinished(config: &Config, path: &Path) {
    if migrate::status(config).await.is_ok_and(|status| status.iter().all(|migration| !migration.applied)) {
        remove(path);
    }
}

/// Removes the file of an import that failed, so that no empty database is left in its place; unless another program
/// has stored something in it meanwhile.
pub async fn remove_created(finder: Arc<dyn SchoolRepository>, created: Option<PathBuf>) {
    let Some(path) = created else { return };
    let whatever = SchoolSearch::open().any_status();
    if finder.facets(&whatever).await.is_ok_and(|facets| facets.total == 0) {
        drop(finder);
        remove(&path);
    }
}

/// The files of the database that is named: none of a server or of one in memory.
pub fn files(named: Option<&str>) -> Result<Vec<PathBuf>, Failure> {
    Ok(file(&choose(named)?.config).map_or_else(Vec::new, |path| with_side_files(path)))
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

/// Makes the data folder where the default database is to be created.
pub fn prepare(choice: &Choice) -> Result<(), Failure> {
    match file(&choice.config) {
        Some(path) if choice.is_default => make_folder(path),
        _ => Ok(()),
    }
}

fn file(config: &Config) -> Option<&PathBuf> {
    match &config.target {
        Target::SqliteFile(path) => Some(path),
        _ => None,
    }
}

fn make_folder(path: &Path) -> Result<(), Failure> {
    let Some(folder) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(|error| Failure::File { action: "create", path: folder.to_owned(), error })
}

fn default_file() -> Result<PathBuf, Failure> {
    let folder = dirs::data_dir()
        .ok_or_else(|| Failure::Usage("your system names no data folder: say --database sqlite:PATH".to_owned()))?;
    Ok(folder.join("school-finder").join("schools.db"))
}
