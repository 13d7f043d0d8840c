//! The program with postcodes.

use serde_json::Value;

use crate::support::transcript::Session;

const REGISTER: &str = "URN,LA (name),EstablishmentName,EstablishmentStatus (name),PhaseOfEducation (name),\
    Postcode,Easting,Northing\r\n\
    110533,Milton Keynes,Hilltop School,Open,Primary,MK5 6EX,485280,238480\r\n\
    110534,Milton Keynes,Valley School,Open,Secondary,MK6 2AA,486280,238480\r\n";

const POSTCODES: &str = "pcds,doterm,gridind,lat,long\r\nMK9 3EP,,1,52.0406,-0.7594\r\n\
    MK9 3EQ,199606,6,52.0416,-0.7604\r\n\
    BT1 1AA,,1,54.602438,-5.922291\r\n";

fn home() -> Session {
    let session = Session::new();
    std::fs::write(session.folder().join("register.csv"), REGISTER).expect("a file");
    std::fs::write(session.folder().join("nspl.csv"), POSTCODES).expect("a file");
    session.run("school-finder import register register.csv");
    session
}

fn with_postcodes() -> Session {
    let session = home();
    let printed = session.run("school-finder import postcodes nspl.csv");
    assert!(printed.ends_with("inserted 2, updated 0, unchanged 0, rejected 0\n"), "{printed}");
    assert!(printed.contains("1 postcodes of Northern Ireland were left out"), "{printed}");
    session
}

fn json(session: &Session, command: &str) -> Value {
    let printed = session.run(&format!("school-finder {command} 2>/dev/null"));
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{command}: {error}: {printed}"))
}

#[test]
fn a_home_is_located_by_postcode() {
    let session = with_postcodes();
    assert_eq!(
        session.run("school-finder locate 'mk93ep' --format table"),
        "52.040600, -0.759400: the centre of the postcode MK9 3EP, up to 100 m from the home\n"
    );
    let found = json(&session, "locate MK9-3EQ --format json");
    let expected = serde_json::json!({
        "postcode": "MK9 3EQ", "lat": 52.0416, "lng": -0.7604, "source": "terminated_postcode", "uncertainty_m": 2000,
        "terminated_on": "1996-06-01",
    });
    assert_eq!(found, expected);
    let sector = json(&session, "locate 'mk9 3'");
    assert_eq!((&sector["source"], &sector["lat"]), (&Value::from("sector"), &Value::from(52.0406)));
    assert_eq!(
        session.run("school-finder locate MK9 --format csv"),
        "postcode,lat,lng,source,uncertainty_m,terminated_on\nMK9,52.0406,-0.7594,outcode,100,\n"
    );
    let unknown = session.run("school-finder locate 'MK9 3ZZ'; echo \"exit $?\"");
    assert_eq!(
        unknown,
        "school-finder: there is no postcode MK9 3ZZ, but there is MK9 3: check the rest of it\nexit 1\n"
    );
    let refused = session.run("school-finder locate 'Milton Keynes'; echo \"exit $?\"");
    assert!(
        refused.contains("is not a postcode: write one like MK9 3EP") && refused.ends_with("exit 2\n"),
        "{refused}"
    );
}

#[test]
fn every_search_starts_from_a_postcode() {
    let session = with_postcodes();
    let by_postcode = json(&session, "find --postcode 'MK9 3EP' --within 5");
    let by_point = json(&session, "find --lat 52.0406 --lng -0.7594 --within 5");
    assert_eq!(by_postcode["schools"], by_point["schools"]);
    assert_eq!(by_postcode["schools"].as_array().map(Vec::len), Some(2));
    assert_eq!((&by_postcode["home"]["source"], by_point.get("home")), (&Value::from("postcode"), None));
    let features = json(&session, "find --postcode mk93ep --format geojson");
    assert_eq!(features["home"]["uncertainty_m"], 100);
    for command in ["catchment", "reach", "find"] {
        assert_eq!(json(&session, &format!("{command} --postcode mk93ep"))["home"]["postcode"], "MK9 3EP", "{command}");
        let table = session.run(&format!("school-finder {command} --postcode mk93ep --format table"));
        let said = "distances are from the centre of the postcode MK9 3EP, up to 100 m from the home\n";
        assert!(table.contains(said), "{command}: {table}");
    }
    assert_eq!(json(&session, "facets --postcode mk93ep --within 5")["total"], 2);
    assert!(session.run("school-finder explain find --postcode mk93ep").contains("ix_schools_latitude_band"));
    for (arguments, error) in [
        ("--postcode mk93ep --lat 52 --lng -0.7", "cannot be used with"),
        ("--postcode nowhere", "is not a postcode"),
        ("--within 5", "--postcode"),
        ("--lat 52", "--lng"),
    ] {
        let refused = session.run(&format!("school-finder find {arguments}; echo \"exit $?\""));
        assert!(refused.contains(error) && refused.ends_with("exit 2\n"), "{arguments}: {refused}");
    }
    // A page goes on from the cursor.
    let first = json(&session, "find --postcode mk93ep --limit 1");
    let next = first["next"].as_str().expect("a cursor");
    assert_eq!(json(&session, &format!("find --postcode mk93ep --after {next}"))["schools"][0], by_point["schools"][1]);
}

#[test]
fn a_postcode_of_a_school_serves_without_an_import() {
    let session = home();
    let found = json(&session, "find --postcode 'MK5 6EX'");
    assert_eq!(
        (&found["home"]["source"], &found["home"]["uncertainty_m"]),
        (&Value::from("school"), &Value::from(250))
    );
    assert!(found["schools"][0]["distance_km"].as_f64().is_some_and(|km| km < 0.001));
    let unknown = session.run("school-finder find --postcode 'MK9 3EP'; echo \"exit $?\"");
    let error = "school-finder: no postcodes of MK are stored, and no school is in MK9 3EP: import the postcodes with \
                 `school-finder import postcodes FILE`\nexit 1\n";
    assert_eq!(unknown, error);
}

#[test]
fn a_release_is_imported_from_a_folder_and_again() {
    let session = home();
    std::fs::create_dir_all(session.folder().join("release/Data")).expect("a folder");
    std::fs::write(session.folder().join("release/Data/nspl.csv"), POSTCODES).expect("a file");
    std::fs::write(session.folder().join("release/names.csv"), "LAD26CD,LAD26NM\nE06000042,Milton Keynes\n")
        .expect("a file");
    let dry = session.run("school-finder import postcodes release --dry-run 2>/dev/null");
    assert_eq!(dry, "inserted 2, updated 0, unchanged 0, rejected 0\n");
    let all = session.run("school-finder import postcodes release --with-northern-ireland 2>/dev/null");
    assert_eq!(all, "inserted 3, updated 0, unchanged 0, rejected 0\n");
    std::fs::write(session.folder().join("next.csv"), POSTCODES.replace("MK9 3EP", "MK9 3ER")).expect("a file");
    let next = session.run("school-finder import postcodes next.csv 2>/dev/null");
    assert_eq!(next, "inserted 1, updated 0, unchanged 1, rejected 0, withdrawn 1\n");
    assert_eq!(json(&session, "locate BT11AA")["source"], "postcode");
    assert_eq!(json(&session, "locate 'MK9 3EP'")["source"], "withdrawn_postcode");
    let none = session.run("school-finder import postcodes nowhere; echo \"exit $?\"");
    assert!(none.contains("check the path") && none.ends_with("exit 1\n"), "{none}");
}

#[test]
fn made_postcodes_are_imported_and_the_next_release_changes_few() {
    let session = home();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/made-postcodes");
    session.run(&format!("{script} 6000 > made.csv; {script} 6000 --next > next.csv"));
    let printed = session.run("school-finder import postcodes made.csv 2>/dev/null");
    assert_eq!(printed, "inserted 6000, updated 0, unchanged 0, rejected 0\n");
    let printed = session.run("school-finder import postcodes next.csv 2>/dev/null");
    assert_eq!(printed, "inserted 0, updated 40, unchanged 5940, rejected 0, withdrawn 20\n");
}

#[cfg(feature = "polars")]
#[test]
fn homes_of_a_batch_have_postcodes() {
    let session = with_postcodes();
    std::fs::write(session.folder().join("homes.csv"), "name,postcode\na,MK9 3EP\nb,mk9 3eq\nc,mk9\n").expect("a file");
    let printed = session.run("school-finder batch nearest homes.csv nearest.parquet");
    assert_eq!(
        printed,
        "3 homes answered in \"nearest.parquet\"\n\
         distances from a postcode are from its centre, up to 2000 m from the home\n"
    );
    std::fs::write(session.folder().join("homes.csv"), "lat,lng,postcode\n52.04,-0.76,\n,,MK9 3ZZ\n").expect("a file");
    let printed = session.run("school-finder batch nearest homes.csv nearest.parquet");
    assert_eq!(
        printed,
        "school-finder: line 3: there is no postcode MK9 3ZZ, but there is MK9 3: check the rest of it\n"
    );
}
