//! The program, as another program calls it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Runs `school-finder` with a data folder of its own and no setting from outside.
fn run(data: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_school-finder"))
        .args(arguments)
        .env("XDG_DATA_HOME", data)
        .env("HOME", data)
        .env_remove("DATABASE_URL")
        .env_remove("DB_BACKEND")
        .output()
        .expect("the program runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// The JSON on standard output of a call that is done.
fn json(data: &Path, arguments: &[&str]) -> Value {
    let output = run(data, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON alone on standard output")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

const REGISTER: &str = "URN,LA (name),EstablishmentName,EstablishmentStatus (name),PhaseOfEducation (name),Easting,Northing\r\n\
    110533,Milton Keynes,Hilltop School,Open,Primary,485280,238480\r\n\
    110534,Milton Keynes,Valley School,Open,Secondary,486280,238480\r\n\
    110535,Milton Keynes,Sea School,Perhaps,Secondary,1,1\r\n";

#[test]
fn without_a_database_the_program_uses_a_sample() {
    let data = folder();
    let output = run(data.path(), &["find", "--lat", "52.0406", "--lng=-0.7594", "--within", "5", "--limit", "3"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("this is a sample"));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON alone on standard output");
    let schools = found["schools"].as_array().expect("a list");
    assert_eq!(schools.len(), 3);
    assert_eq!(schools[0]["name"], "Little Acorns Nursery School");
    for key in ["id", "urn", "name", "council", "phase", "lat", "lng", "distance_km"] {
        assert!(schools[0].get(key).is_some(), "{key}");
    }
    let next = found["next"].as_str().expect("a cursor");
    let rest = json(
        data.path(),
        &["find", "--lat", "52.0406", "--lng", "-0.7594", "--within", "5", "--limit", "99", "--after", next],
    );
    assert_eq!(rest["schools"].as_array().map(Vec::len), Some(21));
    assert!(rest["next"].is_null());
    assert_eq!(std::fs::read_dir(data.path()).expect("a folder").count(), 0, "and no file is left behind");
}

#[test]
fn the_register_is_imported_into_the_data_folder_and_read() {
    let data = folder();
    let file = data.path().join("register.csv");
    std::fs::write(&file, REGISTER).expect("a file");
    let (file, rejects) = (file.to_str().expect("UTF-8"), data.path().join("rejects.csv"));
    let output = run(data.path(), &["import", "register", file, "--rejects", rejects.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "inserted 2, updated 0, unchanged 0, rejected 1\n");
    let rejects = std::fs::read_to_string(rejects).expect("the rejects");
    let rejected = "4,110535,\"\"\"Perhaps\"\" is not a status that is known\",rejected";
    assert_eq!(rejects, format!("number,urn,reason,kind\n{rejected}\n"));

    let output = run(data.path(), &["import", "register", file, "--dry-run"]);
    assert_eq!(text(&output.stdout), "inserted 0, updated 0, unchanged 2, rejected 1\n");
    assert!(text(&output.stderr).contains("line 4, URN 110535"), "without a file they are reported");

    let found = json(data.path(), &["find", "--council", "milton keynes", "--phase", "secondary"]);
    assert_eq!(found["schools"][0]["urn"], 110_534);
    assert_eq!(json(data.path(), &["councils"])["councils"][0]["schools"], 2);
    assert_eq!(json(data.path(), &["facets"])["phase"]["secondary"], 1);
    assert_eq!(json(data.path(), &["show", "110533"])["schools"][0]["easting"], 485_280);
    let missing = run(data.path(), &["show", "110999"]);
    assert_eq!((missing.status.code(), text(&missing.stdout)), (Some(1), ""));
    let plan = run(data.path(), &["explain", "find", "--lat", "52", "--lng", "-0.7"]);
    assert!(text(&plan.stdout).contains("indexes used: ix_schools_latitude_band"), "{}", text(&plan.stdout));
}

#[test]
fn a_council_of_closed_schools_alone_is_found() {
    let data = folder();
    let file = data.path().join("register.csv");
    std::fs::write(&file, REGISTER.replace("Open,", "Closed,").replace("Milton Keynes", "Old Town")).expect("a file");
    let imported = run(data.path(), &["import", "register", file.to_str().expect("UTF-8")]);
    assert_eq!(imported.status.code(), Some(0), "{}", text(&imported.stderr));
    let found = json(data.path(), &["find", "--council", "old town", "--status", "closed"]);
    assert_eq!(found["schools"].as_array().map(Vec::len), Some(2));
    let none = run(data.path(), &["find", "--council", "old town"]);
    assert!(text(&none.stderr).contains("no school of this status is in a council called \"old town\""), "{none:?}");
}

#[test]
fn a_dry_run_or_a_failed_import_leaves_no_database_behind() {
    let data = folder();
    let file = data.path().join("register.csv");
    std::fs::write(&file, REGISTER).expect("a file");
    let dry = run(data.path(), &["import", "register", file.to_str().expect("UTF-8"), "--dry-run"]);
    assert_eq!(text(&dry.stdout), "inserted 2, updated 0, unchanged 0, rejected 1\n");
    let still_sample = || text(&run(data.path(), &["find"]).stderr).contains("this is a sample");
    assert!(still_sample());
    std::fs::write(&file, &REGISTER[..REGISTER.len() - 5]).expect("a file");
    let cut = run(data.path(), &["import", "register", file.to_str().expect("UTF-8")]);
    assert_eq!(cut.status.code(), Some(1));
    assert!(text(&cut.stderr).contains("cut off in line 4"), "{}", text(&cut.stderr));
    assert!(still_sample());
}

#[test]
fn geojson_has_longitude_first_and_null_where_unknown() {
    let found = json(folder().path(), &["find", "--name", "brackenford forest", "--format", "geojson"]);
    assert_eq!(found["type"], "FeatureCollection");
    assert!(found["features"][0]["geometry"].is_null());
    let found = json(folder().path(), &["show", "9990001", "--format", "geojson"]);
    assert_eq!(found["features"][0]["geometry"]["coordinates"], serde_json::json!([-0.7562, 52.0431]));
    assert!(found["features"][0]["properties"].get("lat").is_none());
    assert_eq!(found["features"][0]["properties"]["name"], "Millpond Primary School");
}

#[test]
fn csv_and_table_have_the_same_schools() {
    let csv = run(folder().path(), &["find", "--phase", "nursery", "--format", "csv"]);
    let lines: Vec<&str> = text(&csv.stdout).lines().collect();
    assert!(lines[0].starts_with("id,urn,name,council,status,phase,type,"));
    assert!(
        lines[1].contains("Brackenford Forest Nursery") && lines[1].ends_with(",,,"),
        "unknown is blank: {}",
        lines[1]
    );
    assert_eq!(lines.len(), 4);
    let table = run(folder().path(), &["find", "--phase", "nursery", "--format", "table"]);
    assert_eq!(text(&table.stdout).lines().count(), 4);
    assert!(text(&table.stdout).contains("Canal Street Nursery School"));
    let facets = run(folder().path(), &["facets", "--format", "csv"]);
    assert!(text(&facets.stdout).contains("\nphase,nursery,3\n"));
}

#[test]
fn csv_texts_that_begin_like_formulas_follow_an_apostrophe() {
    let data = folder();
    let path = |name: &str| data.path().join(name).to_str().expect("UTF-8").to_owned();
    let (register, rejects) = (path("register.csv"), path("rejects.csv"));
    let rows = REGISTER.replace("Hilltop School", "=HYPERLINK(A1)").replace("Valley School", "-5");
    let rows = rows.replace("Milton Keynes", "@Keynes").replace("110535", "+110535x");
    std::fs::write(&register, rows).expect("a file");
    let csv = |arguments: &[&str]| {
        let output = run(data.path(), &[arguments, &["--format", "csv"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout).to_owned()
    };
    let import = ["import", "register", &register, "--rejects", &rejects];
    for (raw, name, council, urn) in [
        (&[][..], ",'=HYPERLINK(A1),", "'@Keynes,", ",'+110535x,"),
        (&["--raw"], ",=HYPERLINK(A1),", "@Keynes,", ",+110535x,"),
    ] {
        assert_eq!(run(data.path(), &[&import[..], raw].concat()).status.code(), Some(0));
        let rejects = std::fs::read_to_string(&rejects).expect("the rejects");
        assert!(rejects.contains(urn), "{rejects}");
        for command in [&["find", "--lat", "52.0", "--lng", "-0.7"][..], &["show", "110533"]] {
            let printed = csv(&[command, raw].concat());
            assert!(printed.contains(name) && printed.contains(&format!(",{council}")), "{printed}");
            assert!(printed.contains(",-0.7"), "a number has no apostrophe: {printed}");
        }
        assert!(csv(&[&["find"][..], raw].concat()).contains(",-5,"), "nor has a text that is a number");
        assert!(csv(&[&["councils"][..], raw].concat()).contains(&format!("\n{council}2,")));
        assert!(csv(&[&["facets"][..], raw].concat()).contains(&format!("\ncouncil,{council}2\n")));
    }
}

#[test]
fn invalid_usage_exits_with_2_and_a_failure_with_1() {
    let data = folder();
    for arguments in [
        &["find", "--lat", "52"][..],
        &["find", "--lat", "95", "--lng", "0"],
        &["find", "--lat", "nan", "--lng", "0"],
        &["find", "--lat", "52", "--lng", "0", "--within", "-1"],
        &["find", "--lat", "52", "--lng", "0", "--within", "0"],
        &["find", "--within", "5"],
        &["find", "--limit", "1001"],
        &["find", "--limit", "-1"],
        &["find", "--phase", "college"],
        &["find", "--status", "Open"],
        &["find", "--max-rating", "5"],
        &["find", "--sort", "distance"],
        &["find", "--state", "--private"],
        &["find", "--after", "nonsense"],
        &["find", "--name", "'"],
        &["show", "0"],
        &["show", "abc"],
        &["councils", "--format", "geojson"],
        &["find", "--database", "mysql://localhost/x"],
        &["find", "--database", "sqlite:"],
        &["nonsense"],
        &[],
    ] {
        let output = run(data.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
    for arguments in [
        &["find", "--database", "nowhere/none.db"][..],
        &["import", "register", "nowhere.csv"],
        &["migrate", "status"],
        &["migrate", "up", "--database", "nowhere/none.db"],
    ] {
        let output = run(data.path(), arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr).lines().count(), 1, "one sentence: {}", text(&output.stderr));
    }
    assert_eq!(run(data.path(), &["find", "--limit", "0"]).status.code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_failed_write_is_a_failure_and_no_panic() {
    let data = folder();
    let file = data.path().join("register.csv");
    std::fs::write(&file, REGISTER).expect("a register");
    let full = || std::fs::File::options().write(true).open("/dev/full").expect("a device that is always full");
    let import = |output: Stdio, errors: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_school-finder"));
        command.args(["--database", "new.db", "import", "register", "register.csv"]).current_dir(data.path());
        command.stdout(output).stderr(errors).output().expect("the program runs")
    };
    // It does what it should without a word.
    assert_eq!(import(Stdio::piped(), full().into()).status.code(), Some(0));
    let output = import(full().into(), Stdio::piped());
    assert_eq!(output.status.code(), Some(1));
    let reported = text(&output.stderr).lines().last().expect("a sentence");
    assert_eq!(reported, "school-finder: No space left on device (os error 28)");
    assert_eq!(import(full().into(), full().into()).status.code(), Some(1));
}

#[test]
fn catchments_are_imported_and_found() {
    let data = folder();
    let path = |name: &str| data.path().join(name).to_str().expect("UTF-8").to_owned();
    let (register, outlines, rejects) = (path("register.csv"), path("catchments.geojson"), path("rejects.csv"));
    std::fs::write(&register, REGISTER).expect("a file");
    std::fs::write(
        &outlines,
        r#"{"type":"FeatureCollection","features":[
            {"type":"Feature","properties":{"school":110533},"geometry":
                {"type":"Polygon","coordinates":[[[-0.8,52],[-0.7,52],[-0.7,52.1],[-0.8,52.1],[-0.8,52]]]}},
            {"type":"Feature","properties":{"school":7},"geometry":
                {"type":"Polygon","coordinates":[[[-0.8,52],[-0.7,52],[-0.7,52.1],[-0.8,52]]]}}]}"#,
    )
    .expect("a file");
    let missing = run(data.path(), &["import", "catchments", &outlines]);
    assert_eq!(missing.status.code(), Some(1), "catchments need schools");
    assert!(text(&missing.stderr).contains("no such file"), "{}", text(&missing.stderr));
    assert!(run(data.path(), &["import", "register", &register]).status.success());
    let import = ["import", "catchments", &outlines, "--key", "school"];
    let dry = run(data.path(), &[&import[..], &["--dry-run"]].concat());
    assert_eq!(text(&dry.stdout), "inserted 1, updated 0, unchanged 0, rejected 1\n");
    assert!(text(&dry.stderr).contains("feature 2, URN 7: no school has URN 7"), "{}", text(&dry.stderr));
    let done = run(data.path(), &[&import[..], &["--rejects", &rejects]].concat());
    assert_eq!(text(&done.stdout), "inserted 1, updated 0, unchanged 0, rejected 1\n", "{}", text(&done.stderr));
    assert!(
        std::fs::read_to_string(rejects).expect("the rejects").starts_with("number,urn,reason,kind\n2,7,no school")
    );

    let home = ["--lat", "52.04", "--lng", "-0.76"];
    let found = json(data.path(), &[&["catchment"][..], &home].concat());
    assert_eq!(found["schools"].as_array().map(Vec::len), Some(1));
    assert_eq!((&found["schools"][0]["urn"], &found["schools"][0]["evidence"]), (&110_533.into(), &"polygon".into()));
    assert!(found["schools"][0]["distance_km"].is_number());
    for (format, expected) in [("table", "evidence"), ("csv", ",evidence\n"), ("geojson", "\"evidence\": \"polygon\"")]
    {
        let output = run(data.path(), &[&["catchment"][..], &home, &["--format", format]].concat());
        assert!(text(&output.stdout).contains(expected), "{}", text(&output.stdout));
    }
    let explained = run(data.path(), &[&["explain", "catchment"][..], &home].concat());
    assert!(text(&explained.stdout).contains("indexes used: primary key, schools_catchment"));
    assert_eq!(run(data.path(), &["catchment"]).status.code(), Some(2), "a point is needed");
}

#[cfg(feature = "polars")]
#[test]
fn a_batch_refuses_homes_that_look_swapped() {
    let data = folder();
    let path = |name: &str| data.path().join(name).to_str().expect("UTF-8").to_owned();
    std::fs::write(path("homes.csv"), "lat,lng\n52.0385,-0.756\n-0.756,52.0385\n").expect("a file");
    let refused = run(data.path(), &["batch", "nearest", &path("homes.csv"), &path("nearest.parquet")]);
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(said.contains("line 3: ") && said.contains("lat 52.0385, lng -0.756 is in it"), "{said}");
    assert!(!data.path().join("nearest.parquet").exists());
}

#[test]
fn outlines_by_name_and_in_parts_are_imported_on_request() {
    let data = folder();
    let path = |name: &str| data.path().join(name).to_str().expect("UTF-8").to_owned();
    let (register, outlines, rejects) = (path("register.csv"), path("catchments.geojson"), path("rejects.csv"));
    std::fs::write(&register, REGISTER).expect("a file");
    let feature = |name: &str| {
        format!(
            r#"{{"type":"Feature","properties":{{"SCHOOL":"{name}"}},"geometry":{{"type":"Polygon",
                "coordinates":[[[485000,238000],[486000,238000],[486000,239000],[485000,239000]]]}}}}"#
        )
    };
    let file = |names: &[&str]| {
        let features = names.iter().map(|name| feature(name)).collect::<Vec<_>>().join(",");
        let file = format!(r#"{{"type":"FeatureCollection","exceededTransferLimit":true,"features":[{features}]}}"#);
        std::fs::write(&outlines, file).expect("a file");
    };
    assert!(run(data.path(), &["import", "register", &register]).status.success());
    let import =
        |more: &[&str]| run(data.path(), &[&["import", "catchments", &outlines, "--key", "school"], more].concat());
    file(&["HILLTOP SCHOOL", "Moor School"]);
    let refused = import(&[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("import it as it is with --partial"), "{}", text(&refused.stderr));
    let done = import(&["--partial", "--council", "milton keynes"]);
    assert_eq!(text(&done.stdout), "inserted 1, updated 0, unchanged 0, rejected 1\n", "{}", text(&done.stderr));
    for said in [
        "it is imported though incomplete: its exceededTransferLimit is true",
        "\"school\" holds names of schools: 1 of 2 are in the database",
        "its coordinates are metres of the National Grid (EPSG:27700), converted to degrees by OSTN15",
        "feature 1, URN 110533: closed 1 open ring",
        "feature 2, \"Moor School\": no school of milton keynes is called \"Moor School\"",
    ] {
        assert!(text(&done.stderr).contains(said), "{said}: {}", text(&done.stderr));
    }
    // Of a file without a usable feature, the reasons are in the file of rejects all the same.
    file(&["Moor School"]);
    let none = import(&["--partial", "--key-is", "laestab", "--rejects", &rejects]);
    assert_eq!((none.status.code(), text(&none.stdout)), (Some(1), ""));
    assert!(text(&none.stderr).contains("not one of 1 feature could be used"), "{}", text(&none.stderr));
    assert!(std::fs::read_to_string(rejects).expect("the rejects").contains("1,Moor School,"));
    assert_eq!(import(&["--key-is", "postcode"]).status.code(), Some(2));
}

#[test]
fn migrations_are_run_listed_checked_and_reverted() {
    let data = folder();
    let up = run(data.path(), &["migrate", "up"]);
    let all = text(&up.stdout).lines().count();
    assert!(all > 4, "{}", text(&up.stderr));
    assert_eq!(run(data.path(), &["migrate", "check"]).status.code(), Some(0));
    let redo = run(data.path(), &["migrate", "redo"]);
    assert_eq!(text(&redo.stdout).lines().count(), 1, "{}", text(&redo.stderr));
    let lossy = run(data.path(), &["migrate", "down", "--steps", "100"]);
    assert_eq!(lossy.status.code(), Some(1));
    assert!(text(&lossy.stderr).contains("loses every school's town: add --accept-loss"));
    let down = run(data.path(), &["migrate", "down", "--steps", "2"]);
    assert_eq!(text(&down.stdout).lines().count(), 2);
    let status = run(data.path(), &["migrate", "status"]);
    let marks: String = text(&status.stdout).lines().filter_map(|line| line.chars().nth(1)).collect();
    assert_eq!(marks, format!("{}  ", "x".repeat(all - 2)));
    let find = run(data.path(), &["find"]);
    assert_eq!(find.status.code(), Some(1));
    assert!(text(&find.stderr).contains("2 pending migration(s): run `school-finder migrate up`"));
    assert_eq!(run(data.path(), &["migrate", "check"]).status.code(), Some(1));
}

#[test]
fn the_database_is_chosen_by_option_then_environment() {
    let data = folder();
    let database = data.path().join("other.db");
    let url = format!("sqlite:{}", database.display());
    assert_eq!(run(data.path(), &["migrate", "up", "--database", &url]).status.code(), Some(0));
    let with = |settings: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_school-finder"));
        command.env("XDG_DATA_HOME", data.path()).env_remove("DATABASE_URL").env_remove("DB_BACKEND");
        command.env_remove("DATABASE_READ_URL").arg("find").envs(settings.iter().copied());
        command.output().expect("the program runs")
    };
    let found = with(&[("DATABASE_URL", &url)]);
    assert!(found.status.success() && text(&found.stderr).is_empty(), "an empty database, and no sample");
    assert_eq!(with(&[("DATABASE_URL", &url), ("DB_BACKEND", "sqlite")]).status.code(), Some(0));
    for backend in ["", "oracle", "SQLite"] {
        let refused = with(&[("DATABASE_URL", &url), ("DB_BACKEND", backend)]);
        assert_eq!(refused.status.code(), Some(2), "{backend:?} is not passed over: {}", text(&refused.stderr));
    }
    let replicas = ("DATABASE_READ_URL", "postgres://finder@db.example/schools");
    let refused = with(&[("DATABASE_URL", &url), replicas]);
    assert!(text(&refused.stderr).contains("DATABASE_READ_URL is for replicas of"), "{}", text(&refused.stderr));
    let refused = with(&[replicas]);
    assert!(text(&refused.stderr).contains("DATABASE_URL is not set"), "{}", text(&refused.stderr));
    let mut command = Command::new(env!("CARGO_BIN_EXE_school-finder"));
    command.args(["find", "--database", &url]).envs([("DATABASE_URL", "oracle:x"), replicas]);
    let found = command.output().expect("the program runs");
    assert!(found.status.success(), "the option overrides both: {}", text(&found.stderr));
}

/// The same commands on the same register, with nothing changed but the database.
#[cfg(all(feature = "sqlite", feature = "postgres"))]
#[tokio::test]
async fn both_backends_print_the_same_bytes() {
    use school_finder_db::config::Backend;
    use school_finder_db::testing::TestDatabase;

    let data = folder();
    let file = data.path().join("register.csv");
    std::fs::write(&file, REGISTER).expect("a file");
    let server = TestDatabase::new(Backend::Postgres).await.expect("a database");
    let shown = server.config().to_string();
    let name = shown.rsplit_once('/').expect("a database").1;
    let base = std::env::var("TEST_DATABASE_URL").expect("the server");
    let postgres = format!("{}/{name}", base.rsplit_once('/').expect("a database").0);
    let sqlite = format!("sqlite:{}", data.path().join("schools.db").display());
    assert_eq!(run(data.path(), &["migrate", "up", "--database", &sqlite]).status.code(), Some(0));

    for arguments in [
        &["import", "register", file.to_str().expect("UTF-8")][..],
        &["find", "--lat", "52.0406", "--lng", "-0.7594", "--within", "5", "--limit", "1"],
        &["find", "--lat", "52.0406", "--lng", "-0.7594", "--format", "csv"],
        &["find", "--name", "hilltop", "--format", "geojson"],
        &["find", "--council", "milton keynes", "--sort", "rating", "--format", "table"],
        &["show", "110533"],
        &["councils"],
        &["facets", "--phase", "secondary"],
        &["migrate", "status"],
        &["migrate", "check"],
    ] {
        let of = |url: &str| {
            let output = run(data.path(), &[arguments, &["--database", url]].concat());
            assert!(output.status.success(), "{arguments:?} on {name}: {}", text(&output.stderr));
            output.stdout
        };
        assert_eq!(text(&of(&postgres)), text(&of(&sqlite)), "{arguments:?}");
    }
}

#[test]
fn no_output_replaces_what_the_command_reads() {
    let data = folder();
    let path = |name: &str| data.path().join(name).to_str().expect("UTF-8").to_owned();
    let (register, database) = (path("register.csv"), path("schools.db"));
    std::fs::write(&register, REGISTER).expect("a file");
    let import = ["import", "register", register.as_str(), "--database", database.as_str()];
    assert_eq!(run(data.path(), &import).status.code(), Some(0));
    std::fs::hard_link(&register, path("linked.csv")).expect("a link");
    std::os::unix::fs::symlink(&database, path("linked.db")).expect("a link");
    let stored = std::fs::read(&database).expect("a database");
    for (output, reason) in [
        ("register.csv", "is the file that is read"),
        ("./register.csv", "is the file that is read"),
        ("linked.csv", "is the file that is read"),
        ("schools.db", "is part of the database"),
        ("linked.db", "is part of the database"),
        ("schools.db-wal", "is part of the database"),
    ] {
        let refused = run(data.path(), &[&import[..], &["--rejects", &path(output)]].concat());
        assert_eq!(refused.status.code(), Some(2), "{output}: {}", text(&refused.stderr));
        assert!(text(&refused.stderr).contains(reason), "{output}: {}", text(&refused.stderr));
        assert_eq!(std::fs::read_to_string(&register).expect("the register"), REGISTER, "{output}");
        assert_eq!(std::fs::read(&database).expect("the database"), stored, "{output}");
    }
    // A list of rejects is complete or not there at all.
    std::fs::write(path("short.csv"), &REGISTER[..REGISTER.len() / 2]).expect("a file");
    let (short, rejects) = (path("short.csv"), path("rejects.csv"));
    let failed = run(data.path(), &["import", "register", &short, "--database", &database, "--rejects", &rejects]);
    assert_ne!(failed.status.code(), Some(0));
    let names = std::fs::read_dir(data.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let left: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with("rejects")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[cfg(feature = "polars")]
#[test]
fn phases_are_filled_in_and_searches_are_written_as_parquet() {
    let data = folder();
    let register = data.path().join("register.csv");
    let rows = "URN,LA (name),EstablishmentName,EstablishmentStatus (name),PhaseOfEducation (name),StatutoryLowAge,StatutoryHighAge,Easting,Northing\r\n\
        110533,Milton Keynes,Junior,Open,,7,11,485280,238480\r\n\
        110534,Milton Keynes,Special,Open,Not applicable,11,16,486280,238480\r\n\
        110535,Milton Keynes,Unknown,Open,,,,485380,238480\r\n";
    std::fs::write(&register, rows).expect("a file");
    let file = register.to_str().expect("UTF-8");
    assert_eq!(run(data.path(), &["import", "register", file]).status.code(), Some(0));
    let dry = run(data.path(), &["backfill", "phase", "--dry-run"]);
    assert_eq!(text(&dry.stdout), "primary 1\nfilled 1, left without a phase 1\n", "{}", text(&dry.stderr));
    assert!(text(&dry.stderr).contains("nothing was written"));
    assert_eq!(json(data.path(), &["find", "--name", "junior"])["schools"][0]["phase"], Value::Null);
    let filled = run(data.path(), &["backfill", "phase"]);
    assert_eq!(text(&filled.stdout), text(&dry.stdout));
    assert_eq!(json(data.path(), &["find", "--name", "junior"])["schools"][0]["phase"], "primary");
    let again = run(data.path(), &["backfill", "phase"]);
    assert_eq!(text(&again.stdout), "filled 0, left without a phase 1\n");
    assert!(
        text(&again.stderr).contains("1 school(s) have \"not applicable\" of the register"),
        "{}",
        text(&again.stderr)
    );
    let others = run(data.path(), &["backfill", "phase", "--not-applicable"]);
    assert_eq!(text(&others.stdout), "secondary 1\nfilled 1, left without a phase 1\n");

    let parquet = data.path().join("schools.parquet");
    let written = run(data.path(), &["find", "--phase", "primary", "--parquet", parquet.to_str().expect("UTF-8")]);
    assert!(written.status.success() && written.stdout.is_empty(), "{}", text(&written.stderr));
    assert_eq!(std::fs::read(&parquet).expect("a file").get(..4), Some(b"PAR1".as_slice()));
    let nowhere = data.path().join("nowhere/schools.parquet");
    let refused = run(data.path(), &["find", "--parquet", nowhere.to_str().expect("UTF-8")]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("cannot write"));
}

#[cfg(feature = "polars")]
#[test]
fn batches_are_written_and_a_bad_file_changes_nothing() {
    let data = folder();
    let register = data.path().join("register.csv");
    std::fs::write(&register, REGISTER).expect("a file");
    assert_eq!(run(data.path(), &["import", "register", register.to_str().expect("UTF-8")]).status.code(), Some(0));
    let (homes, answers) = (data.path().join("homes.csv"), data.path().join("answers.parquet"));
    let (from, to) = (homes.to_str().expect("UTF-8"), answers.to_str().expect("UTF-8"));
    std::fs::write(&homes, "\u{feff}name,LAT, lng\r\nHome,52.0406,-0.7594\r\n\"Far, away\",57.1,-2.1\r\n")
        .expect("a file");
    for (command, said) in [("nearest", "2 homes answered"), ("catchment", "2 homes answered")] {
        let done = run(data.path(), &["batch", command, from, to]);
        assert!(done.status.success() && done.stdout.is_empty(), "{}", text(&done.stderr));
        assert!(text(&done.stderr).contains(said), "{}", text(&done.stderr));
        assert_eq!(std::fs::read(&answers).expect("a file").get(..4), Some(b"PAR1".as_slice()));
    }
    // An unreadable line is reported with its number, and the file that was there stays.
    let before = std::fs::read(&answers).expect("a file");
    for (content, code, reason) in [
        ("lat,lng\n52,0\nx,0\n", 2, "line 3: \"x\" is not a number of degrees"),
        ("lat,lng\n52,0\n52,NaN\n", 2, "line 3: lng NaN is not on the earth"),
        ("lat,lng\n52,0\n95,0\n", 2, "line 3: lat 95 is not on the earth"),
        ("lat,lng\n52,0\n52\n", 2, "line: 3"),
        ("lat,lon\n52,0\n", 2, "there is no column lng"),
        ("", 2, "there is no column lat"),
    ] {
        std::fs::write(&homes, content).expect("a file");
        let refused = run(data.path(), &["batch", "nearest", from, to]);
        assert_eq!(refused.status.code(), Some(code), "{content:?}: {}", text(&refused.stderr));
        assert!(text(&refused.stderr).contains(reason), "{content:?}: {}", text(&refused.stderr));
        assert_eq!(std::fs::read(&answers).expect("a file"), before);
    }
    let files: Vec<_> =
        std::fs::read_dir(data.path()).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    assert!(files.iter().all(|path| path.extension().is_none_or(|end| end != "part")), "{files:?}");
    let nowhere = run(data.path(), &["batch", "nearest", "nowhere.csv", to]);
    assert_eq!(nowhere.status.code(), Some(1));
    // A plan is run only by name.
    let find = ["explain", "find", "--lat", "52", "--lng", "-0.7"];
    assert!(!text(&run(data.path(), &find).stdout).contains("\nrun: "));
    assert!(text(&run(data.path(), &[&find[..], &["--analyze"]].concat()).stdout).contains("\nrun: "));
}

/// All parts of a batch by the program, on a database: as CSV and as Parquet.
#[cfg(all(feature = "polars", feature = "sqlite"))]
async fn parts_of_a_batch_on(url: &str, generation: &str) {
    use polars::prelude::{DataFrame, ParquetReader, SerReader};

    let data = folder();
    let path = |name: &str| data.path().join(name).to_str().expect("UTF-8").to_owned();
    let mut homes = "ref,lat,lng,id\n".to_owned();
    for home in 0..50 {
        homes += &format!("R{home},52.{:02},-0.{:02},\"=a, {home}\"\n", home % 20, 70 + home % 13);
    }
    std::fs::write(path("homes.csv"), &homes).expect("a file");
    let written = |to: &str, more: &[&str]| {
        let (from, to) = (path("homes.csv"), path(to));
        let done =
            run(data.path(), &[&["--database", url, "batch", "nearest", &from, &to, "--count", "2"], more].concat());
        assert!(done.status.success(), "{}", text(&done.stderr));
        std::fs::read(to).expect("a file")
    };
    let lines = |bytes: Vec<u8>| {
        let csv = String::from_utf8(bytes).expect("UTF-8");
        let (header, rows) = csv.split_once('\n').expect("a header");
        assert_eq!(header, "home,id,rank,school_id,urn,distance_km,evidence,generation");
        rows.to_owned()
    };
    let read = |bytes: Vec<u8>| -> DataFrame {
        let mut reader = ParquetReader::new(std::io::Cursor::new(bytes));
        let metadata = reader.get_metadata().expect("metadata").key_value_metadata.clone().unwrap_or_default();
        let found = metadata.iter().find(|pair| pair.key == "generation").and_then(|pair| pair.value.as_deref());
        assert_eq!(found.unwrap_or_default(), generation);
        reader.finish().expect("Parquet")
    };
    let (csv, parquet) = (lines(written("whole.csv", &["--raw"])), read(written("whole.parquet", &[])));
    assert_eq!(csv.lines().count(), 100);
    let first = csv.lines().next().expect("a row");
    assert!(first.starts_with("0,\"=a, 0\",1,") && first.ends_with(&format!(",,{generation}")), "{first}");
    assert!(lines(written("whole.csv", &[])).starts_with("0,\"'=a, 0\",1,"), "no formula for a spreadsheet");
    assert_eq!(parquet.height(), 100);
    for of in [1, 4] {
        let (mut rows, mut frame) = (String::new(), None::<DataFrame>);
        for number in 1..=of {
            let part = format!("{number}/{of}");
            rows += &lines(written("part.csv", &["--raw", "--part", &part]));
            let bytes = written("part.parquet", &["--part", &part]);
            if number == of {
                assert_eq!(written("again.parquet", &["--part", &part]), bytes);
            }
            match &mut frame {
                None => frame = Some(read(bytes)),
                Some(frame) => drop(frame.vstack_mut(&read(bytes)).expect("the same columns")),
            }
        }
        assert_eq!(rows, csv, "{of} parts");
        assert!(frame.expect("a part").equals_missing(&parquet), "{of} parts");
    }
    let ids = lines(written("ref.csv", &["--id", "REF", "--part", "2/50"]));
    assert!(ids.starts_with("1,R1,1,"), "{ids}");
    // A row that cannot be used fails its own part alone.
    std::fs::write(path("homes.csv"), homes.replace("52.00", "north")).expect("a file");
    written("part.csv", &["--part", "2/50"]);
    let before = std::fs::read(path("part.csv")).expect("a file");
    for (more, reason) in [
        (["--part", "1/50"], "line 2: \"north\" is not a number of degrees"),
        (["--part", "0/50"], "part must be such as 3/16"),
        (["--part", "51/50"], "part must be such as 3/16"),
        (["--id", "uprn"], "there is no column uprn"),
    ] {
        let (from, to) = (path("homes.csv"), path("part.csv"));
        let refused = run(data.path(), &[&["--database", url, "batch", "nearest", &from, &to], &more[..]].concat());
        assert_eq!(refused.status.code(), Some(2), "{more:?}: {}", text(&refused.stderr));
        assert!(text(&refused.stderr).contains(reason), "{more:?}: {}", text(&refused.stderr));
        assert_eq!(std::fs::read(path("part.csv")).expect("a file"), before);
    }
}

#[cfg(all(feature = "polars", feature = "sqlite"))]
#[tokio::test]
async fn parts_of_a_batch_are_the_whole() {
    use school_finder_db::config::Backend;
    use school_finder_db::testing::TestDatabase;

    use crate::support::raw::url_of;

    for backend in [
        Backend::Sqlite,
        #[cfg(feature = "postgres")]
        Backend::Postgres,
    ] {
        let database = TestDatabase::new(backend).await.expect("a database");
        database.repository().insert_schools(school_finder_db::sample::schools()).await.expect("schools that fit");
        let url = url_of(&database).await;
        parts_of_a_batch_on(&url, "").await;
        #[cfg(unix)]
        if backend == Backend::Sqlite {
            let shipped = folder();
            let to = shipped.path().to_str().expect("UTF-8");
            assert!(run(shipped.path(), &["--database", &url, "ship", to]).status.success());
            assert!(run(shipped.path(), &["--database", &url, "ship", to]).status.success());
            parts_of_a_batch_on(&format!("sqlite:{to}?follow=true"), "2").await;
        }
    }
}

#[test]
fn an_import_of_nothing_fails_and_leaves_no_database() {
    let data = folder();
    let file = data.path().join("register.csv");
    std::fs::write(&file, "URN,EstablishmentName,EstablishmentStatus (name)\nunknown,A,Open\nunknown,B,Open\n")
        .expect("a file");
    let database = data.path().join("new.db");
    let url = format!("sqlite:{}", database.display());
    let output = run(data.path(), &["--database", &url, "import", "register", file.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(1));
    let reported = text(&output.stderr).lines().last().expect("a sentence");
    assert_eq!(reported, "school-finder: not one of 2 rows could be used: nothing was imported");
    assert!(!database.exists(), "no empty database");
}

#[test]
fn what_was_noticed_is_listed_with_the_rejects() {
    let data = folder();
    let path = |name: &str| data.path().join(name).to_str().expect("UTF-8").to_owned();
    let (file, rejects) = (path("register.csv"), path("rejects.csv"));
    let header = "URN,LA (name),EstablishmentName,EstablishmentStatus (name),NumberOfPupils,Motto";
    let import = |rows: &str, more: &[&str]| {
        std::fs::write(&file, format!("{header}\n{rows}")).expect("a file");
        run(data.path(), &[&["import", "register", &file, "--rejects", &rejects], more].concat())
    };
    import("100001,Ash,A,Open,1,\n100002,Ash,B,Open,2,\n", &[]);
    let output = import("100001,Ash,A,Open,many,\nx,Ash,C,Open,3,\n", &["--close-missing", "--force"]);
    assert_eq!(text(&output.stdout), "inserted 0, updated 0, unchanged 1, rejected 1, closed 1\n");
    let expected = "1 school that is open here is not in this file (now closed; --rejects lists them)";
    assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    let listed = std::fs::read_to_string(&rejects).expect("the rejects");
    let expected = "number,urn,reason,kind\n\
        ,,columns that were not read: Motto,file\n\
        ,,no school's location is read: the file lacks the column Easting or Northing,file\n\
        2,100001,\"NumberOfPupils \"\"many\"\" is not a count\",value\n\
        3,x,the URN is not a number of up to seven digits,rejected\n\
        ,100002,B is open here and not in the file: closed,missing_school\n";
    assert_eq!(listed, expected);
}

#[test]
fn a_home_is_read_as_people_write_it() {
    let data = folder();
    let usual = run(data.path(), &["find", "--lat", "52.0385", "--lng", "-0.756", "--within", "4.828032"]);
    assert!(usual.status.success(), "{}", text(&usual.stderr));
    for home in [
        ["--lat", "52,0385", "--lng", "-0,756", "--within", "4,828032"],
        ["--lat", "52.0385", "--lon", "-0.756", "--within", "3mi"],
        ["--lat=52.0385", "--long=-0.756", "--within=3 miles", "--limit=20", "--sort=distance", "--unrated=include"],
        ["--lat", "52.0385", "--lng", "-0.756", "--within", "4828.032 m"],
    ] {
        let output = run(data.path(), &[&["find"], &home[..]].concat());
        let found = |output: &[u8]| serde_json::from_slice::<Value>(output).expect("JSON")["schools"].clone();
        assert_eq!(found(&output.stdout), found(&usual.stdout), "{home:?}: {}", text(&output.stderr));
    }
    let swapped = run(data.path(), &["find", "--lat", "-0.756", "--lng", "52.0385"]);
    assert_eq!(swapped.status.code(), Some(2));
    assert!(text(&swapped.stderr).contains("lat 52.0385, lng -0.756 is in it"), "{}", text(&swapped.stderr));
}
