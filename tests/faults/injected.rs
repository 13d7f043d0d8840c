//! Every system call that an import makes on its files fails once. What comes of it is one sentence and a whole
//! database.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use school_finder_db::config::Backend;

use crate::support::{Place, integrity, program, register, say, with_ending};

/// The calls that SQLite makes on a database's files, and the errors that each may give.
const CALLS: &[(&str, &[&str])] = &[
    ("pwrite64", &["EIO", "ENOSPC"]),
    ("pread64", &["EIO"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("fdatasync", &["EIO", "ENOSPC"]),
    ("ftruncate", &["EIO", "ENOSPC"]),
    ("fallocate", &["ENOSPC"]),
    ("openat", &["EIO", "EACCES", "EMFILE"]),
    ("unlink", &["EIO", "EACCES"]),
    ("fcntl", &["EIO", "ENOLCK"]),
    ("newfstatat", &["EIO"]),
    ("fstat", &["EIO"]),
    ("statx", &["EIO"]),
    ("mmap", &["ENOMEM"]),
    ("close", &["EIO"]),
];

const SCHOOLS: usize = 300;

/// A run of the program beneath strace, which sees the calls on these files alone.
fn traced(trace: &Path, files: &[&Path], options: &[String], url: &str, register: &Path) -> Command {
    let program = program(url, &["import", "register", register.to_str().expect("UTF-8")]);
    let mut command = Command::new("strace");
    command.args(["-f", "--seccomp-bpf", "-o"]).arg(trace);
    for file in files {
        command.arg("-P").arg(file);
    }
    command.args(options).arg(program.get_program()).args(program.get_args());
    command
}

async fn rows(path: &Path) -> usize {
    let mut raw = crate::raw::Raw::open(&format!("sqlite:{}", path.display())).await;
    let has_schools = !raw.texts("SELECT name FROM sqlite_master WHERE name = 'schools'").await.is_empty();
    if has_schools { raw.texts("SELECT urn || name FROM schools").await.len() } else { 0 }
}

/// Fails one call after the other, every `step`-th of each kind, each in a run of its own that begins with what `begin`
/// makes.
async fn every_call_fails_once(step: usize, begin: impl AsyncFn() -> Place) {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, trace) = (folder.path().join("register.csv"), folder.path().join("trace"));
    std::fs::write(&file, register(1..=i64::try_from(SCHOOLS).expect("small"), "School")).expect("a register");
    let (mut runs, mut endings) = (0, BTreeMap::<String, usize>::new());
    for (call, errors) in CALLS {
        for error in *errors {
            for at in (1..).step_by(step) {
                let place = begin().await;
                let path = place.path().expect("a file");
                let files = [
                    path.clone(),
                    with_ending(&path, "-wal"),
                    with_ending(&path, "-shm"),
                    with_ending(&path, "-journal"),
                ];
                let files: Vec<&Path> = files.iter().map(AsRef::as_ref).collect();
                let options = [
                    "-e".to_owned(),
                    format!("trace={call}"),
                    "-e".to_owned(),
                    format!("inject={call}:error={error}:when={at}"),
                ];
                let output = traced(&trace, &files, &options, &place.url, &file).output().expect("strace runs");
                let seen = std::fs::read_to_string(&trace).expect("a trace");
                if !seen.contains("(INJECTED)") {
                    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                    break;
                }
                runs += 1;
                let what = format!("{call} number {at}: {error}");
                let reported = String::from_utf8(output.stderr).expect("UTF-8");
                let found = if path.exists() {
                    assert_eq!(integrity(&path).await, "ok", "{what}");
                    rows(&path).await
                } else {
                    0
                };
                if output.status.success() {
                    assert_eq!(found, SCHOOLS, "{what}: {reported}");
                    *endings.entry("done all the same".to_owned()).or_default() += 1;
                } else {
                    assert!(found == 0 || found == SCHOOLS, "{what}: {found} schools, {reported}");
                    assert_eq!(output.status.code(), Some(1), "{what}: {reported}");
                    let sentences: Vec<&str> = reported.lines().filter(|line| !line.starts_with("creating ")).collect();
                    assert!(matches!(sentences[..], [one] if one.starts_with("school-finder: ")), "{what}: {reported}");
                    let sentence = sentences[0].replace(path.to_str().expect("UTF-8"), "FILE");
                    *endings.entry(format!("{sentence} ({found} schools)")).or_default() += 1;
                }
                if *call == "unlink" {
                    // Where a half-made database could not be removed, the program says that this is what to do.
                    crate::support::succeeds(program(&place.url, &["migrate", "up"]));
                }
                let again = program(&place.url, &["import", "register", file.to_str().expect("UTF-8")]);
                crate::support::succeeds(again);
                assert_eq!(rows(&path).await, SCHOOLS, "{what}");
            }
        }
    }
    say(&format!("{runs} system calls failed: {endings:#?}"));
    assert!(runs > 50, "{runs}");
}

#[tokio::test]
async fn an_import_survives_every_failing_system_call() {
    let start = Place::new(Backend::Sqlite).await;
    every_call_fails_once(1, async || start.copy().await).await;
}

#[tokio::test]
async fn an_import_into_a_new_file_survives_failing_calls() {
    every_call_fails_once(9, async || Place::empty(Backend::Sqlite)).await;
}

/// What a commit promises: it is on the disk before the program says that it is done.
#[tokio::test]
async fn an_import_is_synced_before_it_is_reported() {
    let place = Place::new(Backend::Sqlite).await;
    let path = place.path().expect("a file");
    let folder = tempfile::tempdir().expect("a folder");
    let (file, trace) = (folder.path().join("register.csv"), folder.path().join("trace"));
    std::fs::write(&file, register(1..=300, "School")).expect("a register");
    let mut command = Command::new("strace");
    let program = program(&place.url, &["import", "register", file.to_str().expect("UTF-8")]);
    command.args(["-f", "-y", "-e", "trace=fsync,fdatasync,pwrite64,write", "-o"]).arg(&trace);
    command.arg(program.get_program()).args(program.get_args());
    assert!(command.output().expect("strace runs").status.success());
    let seen = std::fs::read_to_string(&trace).expect("a trace");
    let lines: Vec<&str> = seen.lines().collect();
    let log = format!("{}-wal>", path.display());
    let of = |calls: &[&str]| {
        lines.iter().rposition(|line| line.contains(&log) && calls.iter().any(|call| line.contains(call)))
    };
    let written = of(&["pwrite64("]).expect("the log is written");
    let synced = of(&["fsync(", "fdatasync("]).expect("the log is synced");
    let reported = lines.iter().position(|line| line.contains("\"inserted 300,")).expect("the program says so");
    assert!(written < synced && synced < reported, "written {written}, synced {synced}, reported {reported}");
}

/// The file that is imported cannot be read to its end.
#[tokio::test]
async fn a_register_that_cannot_be_read_changes_nothing() {
    let start = Place::new(Backend::Sqlite).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (file, trace) = (folder.path().join("register.csv"), folder.path().join("trace"));
    std::fs::write(&file, register(1..=5_000, "School")).expect("a register");
    for at in 1..=3 {
        let place = start.copy().await;
        let options =
            ["-e".to_owned(), "trace=read".to_owned(), "-e".to_owned(), format!("inject=read:error=EIO:when={at}")];
        let output = traced(&trace, &[&file], &options, &place.url, &file).output().expect("strace runs");
        assert!(std::fs::read_to_string(&trace).expect("a trace").contains("(INJECTED)"), "read {at}");
        assert_eq!(output.status.code(), Some(1));
        let reported = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(
            reported.starts_with("school-finder: the file could not be read: ") && reported.lines().count() == 1,
            "{reported}"
        );
        assert_eq!(rows(&place.path().expect("a file")).await, 0);
    }
}

/// A write that is larger than the cache reaches the log before its end. Where that fails SQLite undoes the whole of it
/// itself, and what is told is why, and not that there was nothing left to undo.
#[tokio::test]
async fn a_large_import_reports_a_failing_log() {
    let place = Place::new(Backend::Sqlite).await;
    let path = place.path().expect("a file");
    let folder = tempfile::tempdir().expect("a folder");
    let (file, trace) = (folder.path().join("register.csv"), folder.path().join("trace"));
    std::fs::write(&file, register(1..=120_000, "School")).expect("a register");
    let options = ["-e", "trace=pwrite64", "-e", "inject=pwrite64:error=EIO:when=10"].map(str::to_owned);
    let log = with_ending(&path, "-wal");
    let output = traced(&trace, &[&log], &options, &place.url, &file).output().expect("strace runs");
    let seen = std::fs::read_to_string(&trace).expect("a trace");
    assert!(seen.contains("(INJECTED)"), "{seen}");
    let reported = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        !output.status.success() && reported.contains("the disk failed (disk I/O error): nothing was written"),
        "{reported}"
    );
    assert_eq!((rows(&path).await, integrity(&path).await.as_str()), (0, "ok"));
}
