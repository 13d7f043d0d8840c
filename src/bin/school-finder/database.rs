//! Which database a command uses.

use std::path::PathBuf;
use std::sync::Arc;

use school_finder_db::config::{PoolMode, Target};
use school_finder_db::{Config, SchoolRepository, connect, create, sample};

use crate::Failure;

/// The database that is named, and whether anybody named it.
pub struct Choice {
    pub config: Config,
    pub is_default: bool,
}

/// `--database`, else `DATABASE_URL` with `DB_BACKEND`, else a file in the user's data folder. A program makes one call,
/// so it needs no pool.
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
    finder.insert_schools(sample::schools()).await?;
    Ok(finder)
}

/// Opens the database to write, and creates it where there is none. One that is there is not migrated in silence.
pub async fn open_or_create(named: Option<&str>) -> Result<Arc<dyn SchoolRepository>, Failure> {
    let Choice { config, is_default } = choose(named)?;
    match file(&config) {
        Some(path) if !path.exists() => {
            if is_default {
                make_folder(path)?;
            }
            eprintln!("creating {config}");
            Ok(create(&config).await?)
        }
        _ => Ok(connect(&config).await?),
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

fn make_folder(path: &std::path::Path) -> Result<(), Failure> {
    let Some(folder) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(|error| Failure::File { action: "create", path: folder.to_owned(), error })
}

fn default_file() -> Result<PathBuf, Failure> {
    let folder = dirs::data_dir()
        .ok_or_else(|| Failure::Usage("your system names no data folder: say --database sqlite:PATH".to_owned()))?;
    Ok(folder.join("school-finder").join("schools.db"))
}
