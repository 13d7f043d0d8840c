//! What `diesel migration run`, `revert` and `redo` do, by the library that the tool consists of.

use std::path::{Path, PathBuf};

use diesel::Connection;
use diesel_migrations::{FileBasedMigrations, MigrationHarness};

/// A folder of migrations, of this crate or of a service.
pub struct Folder {
    path: PathBuf,
    _own: Option<tempfile::TempDir>,
}

#[derive(Debug, Clone, Copy)]
pub enum Step {
    Run,
    RunNext,
    Revert,
    Redo,
}

impl Folder {
    /// A folder on disk.
    pub fn at(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), _own: None }
    }

    /// A folder of a service, with these names, `up.sql` and `down.sql`.
    pub fn of_service(migrations: &[(&str, &str, &str)]) -> Self {
        let own = tempfile::tempdir().expect("a folder");
        let folder = Self { path: own.path().to_owned(), _own: Some(own) };
        migrations.iter().for_each(|(name, up, down)| folder.add(name, up, down));
        folder
    }

    /// A copy of a folder, to which migrations can be added.
    pub fn copied_from(path: &Path) -> Self {
        let folder = Self::of_service(&[]);
        for entry in std::fs::read_dir(path).expect("migrations") {
            let migration = entry.expect("an entry").path();
            if !migration.is_dir() {
                continue;
            }
            let copy = folder.path.join(migration.file_name().expect("a name"));
            std::fs::create_dir(&copy).expect("a folder");
            for file in std::fs::read_dir(&migration).expect("files") {
                let file = file.expect("a file").path();
                std::fs::copy(&file, copy.join(file.file_name().expect("a name"))).expect("copied");
            }
        }
        folder
    }

    pub fn add(&self, name: &str, up: &str, down: &str) {
        let migration = self.path.join(name);
        std::fs::create_dir(&migration).expect("a folder");
        std::fs::write(migration.join("up.sql"), up).expect("written");
        std::fs::write(migration.join("down.sql"), down).expect("written");
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes a step on a database, and returns its error as the tool prints it.
    pub async fn step(&self, url: &str, step: Step) -> Result<(), String> {
        let (url, path) = (url.to_owned(), self.path.clone());
        let run = move || {
            #[cfg(feature = "sqlite")]
            if let Some(file) = url.strip_prefix("sqlite:") {
                return take(&mut diesel::SqliteConnection::establish(file).expect("the database"), &path, step);
            }
            #[cfg(feature = "postgres")]
            if url.starts_with("postgres:") {
                use diesel_async::AsyncPgConnection;
                use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
                type Blocking = AsyncConnectionWrapper<AsyncPgConnection>;
                return take(&mut Blocking::establish(&url).expect("the database"), &path, step);
            }
            panic!("{url} is of no backend")
        };
        tokio::task::spawn_blocking(run).await.expect("no panic")
    }
}

fn take<DB: diesel::backend::Backend>(
    connection: &mut impl MigrationHarness<DB>,
    path: &Path,
    step: Step,
) -> Result<(), String> {
    let folder = || FileBasedMigrations::from_path(path).expect("migrations");
    let done = match step {
        Step::Run => connection.run_pending_migrations(folder()).map(drop),
        Step::RunNext => connection.run_next_migration(folder()).map(drop),
        Step::Revert => connection.revert_last_migration(folder()).map(drop),
        Step::Redo => connection
            .revert_last_migration(folder())
            .map(drop)
            .and_then(|()| connection.run_next_migration(folder()).map(drop)),
    };
    done.map_err(|error| error.to_string())
}
