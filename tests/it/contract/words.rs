//! Searches by the words of names, towns, councils and postcodes.

use school_finder_db::migrate::Migrator;
use school_finder_db::models::{NewSchool, SchoolIdentifiers, SchoolPatch, Status};
use school_finder_db::request::{RegisterCoverage, RegisterSchool, WriteMode};
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, SchoolSearch, Sort, connect};

use super::on_every_backend;
use crate::support::{at, km, urn};

on_every_backend! {
    names_are_found_as_people_say_them,
    misspelt_names_are_corrected,
    an_exact_match_comes_before_a_corrected_one,
    the_best_match_comes_first,
    pages_by_match_lose_and_repeat_nothing,
    pages_of_frequent_words_are_complete,
    corrected_pages_agree,
    suggestions_are_near_a_home,
    words_follow_a_school,
    stale_words_are_named_and_repaired,
    words_of_stored_schools_are_computed_by_the_migration,
}

const NAMES: [(&str, &str, &str); 9] = [
    ("St Mary’s CofE Primary School", "Oxford", "OX1 1AA"),
    ("SS Peter and Paul Catholic Primary School", "Luton", "LU1 1AA"),
    ("Ysgol Gynradd Llŷn", "Bangor", "LL57 1AA"),
    ("King's Oak C.E. School", "York", "YO1 1AA"),
    ("Holy Trinity Church of England Primary School", "Ely", "CB7 1AA"),
    ("St. John Fisher R.C. School", "Hull", "HU1 1AA"),
    ("Meadow-Bank Infants' School", "Stoke-on-Trent", "ST1 1AA"),
    ("Little Acorns Nursery", "Milton Keynes", "MK9 3EP"),
    ("Denbigh School", "Milton Keynes", "MK5 6EX"),
];

async fn fill(database: &TestDatabase) {
    let school = |(number, (name, town, postcode)): (i16, &(&str, &str, &str))| RegisterSchool {
        school: NewSchool {
            council: Some("Testshire".to_owned()),
            postcode: Some((*postcode).to_owned()),
            location: Some(at(52.0 + f64::from(number) * 0.01, -0.7)),
            ..NewSchool::new(urn(100_000 + i64::from(number)), *name)
        },
        identifiers: Some(SchoolIdentifiers {
            la_code: Some(826),
            establishment_number: Some(4_000 + number),
            ..SchoolIdentifiers::default()
        }),
        town: Some((*town).to_owned()),
        patch: None,
    };
    let schools: Vec<_> = (1..).zip(&NAMES).map(school).collect();
    let schools = Box::new(schools.into_iter().map(Ok));
    let coverage = RegisterCoverage::default();
    database.repository().upsert_register(schools, coverage, WriteMode::Commit).await.expect("schools that fit");
}

async fn insert(database: &TestDatabase, names: &[&str]) {
    let named = |(number, name): (i64, &&str)| NewSchool::new(urn(number), *name);
    let schools = (1..).zip(names).map(named).collect();
    database.repository().insert_schools(schools).await.expect("schools that fit");
}

async fn found(database: &TestDatabase, typed: &str) -> Vec<String> {
    let search = SchoolSearch::open().name(typed).sort(Sort::Match);
    let page = database.repository().find_schools(&search).await.expect("a result");
    page.items.into_iter().map(|hit| hit.school.name).collect()
}

async fn names_are_found_as_people_say_them(database: &TestDatabase) {
    fill(database).await;
    for (typed, number) in [
        ("st marys primary", 1),
        ("primary school st mary's", 1),
        ("St Mary's Oxford", 1),
        ("OX1 1AA", 1),
        ("ox11aa", 1),
        ("ox1", 1),
        ("100001", 1),
        ("826/4001", 1),
        ("8264001", 1),
        ("saint mary", 1),
        ("Saints Peter and Paul", 2),
        ("St Peter and Paul", 2),
        ("peter & paul rc", 2),
        ("llyn", 3),
        ("kings oak cofe", 4),
        ("holy trinity ce primary", 5),
        ("holy trinity c of e", 5),
        ("holy trinity church of eng", 5),
        ("john fisher catholic", 6),
        ("meadowbank", 7),
        ("littleacorns", 8),
        ("littleaco", 8),
        ("little acorns milton", 8),
    ] {
        assert_eq!(found(database, typed).await, [NAMES[number - 1].0], "{typed}");
    }
    assert_eq!(found(database, "st hugh primary").await.len(), 0);
    assert_eq!(found(database, "testshire").await.len(), NAMES.len());
    assert_eq!(found(database, "999999").await.len(), 0);
}

async fn misspelt_names_are_corrected(database: &TestDatabase) {
    fill(database).await;
    for (typed, number) in [
        ("Denbeigh", 9),
        ("debnigh school", 9),
        ("dnbigh", 9),
        ("denbihg schol", 9),
        ("litle acrns", 8),
        ("trnity holy", 5),
        ("holy trimity", 5),
        ("littel acorns nusrery", 8),
        ("oxfrod primary", 1),
        ("den bigh", 9),
    ] {
        assert_eq!(found(database, typed).await, [NAMES[number - 1].0], "{typed}");
    }
    // Too many errors, and words that are too short.
    for typed in ["dxnbxgx", "dem", "ox2"] {
        assert_eq!(found(database, typed).await.len(), 0, "{typed}");
    }
}

async fn an_exact_match_comes_before_a_corrected_one(database: &TestDatabase) {
    insert(database, &["Denby School", "Denbe School", "Hilltop School"]).await;
    assert_eq!(found(database, "denby").await, ["Denby School"]);
    assert_eq!(found(database, "denbi").await, ["Denbe School", "Denby School"]);
    // The statuses of a search count, and its other filters do not.
    let search = SchoolSearch::open().name("denby").council("Leeds");
    assert!(database.repository().find_schools(&search).await.expect("a result").items.is_empty());
    let closed = SchoolPatch { status: Some(Status::Closed), ..SchoolPatch::default() };
    let finder = database.repository();
    let school = finder.school_by_urn(urn(1)).await.expect("a result").expect("a school");
    finder.update_school(school.id, school.version, closed).await.expect("an update");
    assert_eq!(found(database, "denby").await, ["Denbe School"]);
}

async fn the_best_match_comes_first(database: &TestDatabase) {
    let in_ash = NewSchool { council: Some("Ash".to_owned()), ..NewSchool::new(urn(50), "Bay School") };
    insert(database, &["Old Ash School", "Ash Park School", "Ash", "Ashes School", "The Ash School"]).await;
    database.repository().insert_schools(vec![in_ash]).await.expect("a school");
    let expected = ["Ash", "Ash Park School", "Ashes School", "Old Ash School", "The Ash School", "Bay School"];
    assert_eq!(found(database, "ash").await, expected);
    let unnamed = SchoolSearch::open().sort(Sort::Match);
    let error = database.repository().find_schools(&unnamed).await.expect_err("no name");
    assert!(matches!(error, Error::InvalidSearch { field: "sort", .. }), "{error}");
    let near = SchoolSearch::near(at(52.0, -0.7)).name("ash").sort(Sort::Match);
    assert!(database.repository().find_catchments(&near).await.is_err());
}

/// Walks all pages of a search, and compares them with one page.
async fn walk(database: &TestDatabase, search: &SchoolSearch, limit: u32) -> usize {
    let finder = database.repository();
    let all = finder.find_schools(&search.clone().limit(1_000)).await.expect("a result").items;
    let (mut paged, mut next) = (Vec::new(), search.clone().limit(limit));
    loop {
        let page = finder.find_schools(&next).await.expect("a page");
        paged.extend(page.items);
        match page.next {
            Some(cursor) => next = next.after(cursor),
            None => break,
        }
    }
    assert_eq!(paged, all);
    assert_eq!(finder.facets(search).await.expect("counts").total, all.len() as u64);
    all.len()
}

async fn pages_by_match_lose_and_repeat_nothing(database: &TestDatabase) {
    let names = ["Ash", "Ash", "Ash School", "Ash Tree", "Old Ash", "Old Ash", "Ashes", "Bay of Ash", "Oak"];
    insert(database, &names).await;
    let located = |number: i64| NewSchool {
        council: Some("Ash".to_owned()),
        location: Some(at(52.0, -0.7)),
        ..NewSchool::new(urn(100 + number), "Elm School")
    };
    database.repository().insert_schools((1..=4).map(located).collect()).await.expect("schools that fit");
    for limit in 1..=3 {
        assert_eq!(walk(database, &SchoolSearch::open().name("ash").sort(Sort::Match), limit).await, 12);
        assert_eq!(walk(database, &SchoolSearch::open().name("ash").sort(Sort::Name), limit).await, 12);
        assert_eq!(walk(database, &SchoolSearch::near(at(52.0, -0.7)).name("ash"), limit).await, 12);
        let within = SchoolSearch::near(at(52.0, -0.7)).within(km(1.0)).name("ash");
        assert_eq!(walk(database, &within.clone().sort(Sort::Match), limit).await, 4);
        assert_eq!(walk(database, &within, limit).await, 4);
    }
}

async fn pages_of_frequent_words_are_complete(database: &TestDatabase) {
    let school = |number: i64| {
        let name = match number % 3 {
            0 => format!("Primary {}", number % 7),
            1 => format!("School {} Primary", number % 11),
            _ => format!("Academy {number}"),
        };
        NewSchool {
            council: Some("Primary Council".to_owned()),
            location: Some(at(52.0 + f64::from(i32::try_from(number % 50).expect("small")) * 0.01, -0.7)),
            ..NewSchool::new(urn(number), name)
        }
    };
    database.repository().insert_schools((1..=3_000).map(school).collect()).await.expect("schools that fit");
    let near = SchoolSearch::near(at(52.0, -0.7)).within(km(5.0)).name("primary");
    for search in [near.clone(), near.sort(Sort::Match), SchoolSearch::open().name("primary 2012").sort(Sort::Match)] {
        assert!(walk(database, &search, 7).await > 0);
    }
    let mut search = SchoolSearch::open().name("primary").sort(Sort::Match).limit(400);
    let mut names = Vec::new();
    loop {
        let page = database.repository().find_schools(&search).await.expect("a page");
        names.extend(page.items.into_iter().map(|hit| (hit.school.name, hit.school.id)));
        match page.next {
            Some(next) => search = search.after(next),
            None => break,
        }
    }
    let rank = |name: &str| match name {
        _ if name.starts_with("Primary") => 1,
        _ if name.contains("Primary") => 2,
        _ => 3,
    };
    let mut expected = names.clone();
    expected.sort_by_key(|(name, id)| (rank(name), name.to_lowercase(), *id));
    expected.dedup();
    assert_eq!((names.len(), names), (3_000, expected));
}

async fn corrected_pages_agree(database: &TestDatabase) {
    insert(database, &["Denbigh School", "Denbigh Primary", "Old Denbigh", "Hilltop School"]).await;
    let search = SchoolSearch::open().name("denbeigh").sort(Sort::Match);
    assert_eq!(walk(database, &search, 1).await, 3);
    let first = database.repository().find_schools(&search.clone().limit(1)).await.expect("a page");
    // The words of the cursor stay as they are, although a school has the typed one by now.
    let exact = NewSchool::new(urn(9), "Denbeigh School");
    database.repository().insert_schools(vec![exact]).await.expect("a school");
    let next = search.clone().limit(9).after(first.next.expect("a next page"));
    assert_eq!(database.repository().find_schools(&next).await.expect("a page").items.len(), 3);
    assert_eq!(found(database, "denbeigh").await, ["Denbeigh School"]);
}

async fn suggestions_are_near_a_home(database: &TestDatabase) {
    fill(database).await;
    let finder = database.repository();
    let suggested = async |text: &str, home| {
        let suggestions = finder.suggest(text, home, 10).await.expect("suggestions");
        let named = |suggestion: school_finder_db::models::Suggestion| {
            (suggestion.hit.school.urn.get() - 100_000, suggestion.town, suggestion.hit.distance_km.is_some())
        };
        suggestions.into_iter().map(named).collect::<Vec<_>>()
    };
    let (oxford, hull) = (Some("Oxford".to_owned()), Some("Hull".to_owned()));
    let first = suggested("st", Some(at(52.06, -0.7))).await;
    assert_eq!(first[0], (6, hull, true));
    assert_eq!(suggested("st m", None).await, [(1, oxford, false)]);
    assert_eq!(suggested("milton keyn", Some(at(52.0, -0.7))).await.len(), 2);
    assert_eq!(suggested(" ’ ", None).await, []);
    assert!(matches!(finder.suggest("st", None, 1_001).await, Err(Error::LimitTooLarge { .. })));
    assert!(matches!(finder.suggest("a\0", None, 1).await, Err(Error::InvalidText { .. })));
}

async fn words_follow_a_school(database: &TestDatabase) {
    fill(database).await;
    let finder = database.repository();
    let school = finder.school_by_urn(urn(100_009)).await.expect("a result").expect("a school");
    let patch = SchoolPatch {
        name: Some("Zebra Academy".to_owned()),
        council: Some(Some("Kent".to_owned())),
        ..SchoolPatch::default()
    };
    finder.update_school(school.id, school.version, patch).await.expect("an update");
    assert_eq!(found(database, "denbigh").await.len(), 0);
    // The town is kept.
    assert_eq!(found(database, "zebra kent milton keynes").await, ["Zebra Academy"]);
    // An upsert that changes the town alone changes the school.
    let moved = RegisterSchool {
        town: Some("Dover".to_owned()),
        ..NewSchool { council: Some("Kent".to_owned()), ..NewSchool::new(urn(100_009), "Zebra Academy") }.into()
    };
    let schools = Box::new([Ok(moved.clone()), Ok(NewSchool::new(urn(5), "New School").into())].into_iter());
    let counts = finder.upsert_register(schools, RegisterCoverage::default(), WriteMode::Commit).await.expect("counts");
    assert_eq!((counts.schools.inserted, counts.schools.updated), (1, 1));
    assert_eq!(found(database, "zebra dover").await, ["Zebra Academy"]);
    let again = Box::new([Ok(moved)].into_iter());
    let counts = finder.upsert_register(again, RegisterCoverage::default(), WriteMode::Commit).await.expect("counts");
    assert_eq!(counts.schools.unchanged, 1);
    // Another program is told.
    for write in ["UPDATE schools SET council = 'Leeds' WHERE urn = 5", "UPDATE schools SET postcode = 'LS1 1AA'"] {
        let error = database.execute(write).await.expect_err(write);
        assert!(matches!(error, Error::OtherWords), "{write}: {error:?}");
    }
    database.execute("UPDATE schools SET council = council, pupils = 7").await.expect("the same council");
    finder.delete_school(school.id).await.expect("deleted");
    assert_eq!(found(database, "zebra").await.len(), 0);
    assert_eq!(Migrator::new(database.owner()).check_data().await.expect("a check"), Vec::<String>::new());
}

async fn stale_words_are_named_and_repaired(database: &TestDatabase) {
    fill(database).await;
    let migrator = Migrator::new(database.owner());
    for write in [
        "DELETE FROM school_words WHERE word = 'denbigh'",
        "UPDATE school_words SET in_name = NOT in_name WHERE word = 'denbigh'",
        "UPDATE school_words SET word = 'zebra' WHERE word = 'denbigh'",
        "DELETE FROM school_vocabulary WHERE word = 'denbigh'",
        "UPDATE school_vocabulary SET reversed = word WHERE word = 'denbigh'",
        "DELETE FROM school_towns WHERE name = 'Denbigh School'",
        "UPDATE school_towns SET name = 'Zebra' WHERE name = 'Denbigh School'",
    ] {
        database.execute(write).await.expect(write);
        let stale = migrator.check_data().await.expect("a check");
        assert_eq!(stale.len(), 1, "{write}: {stale:?}");
        assert!(stale[0].starts_with("school 100009: school_words"), "{stale:?}");
        assert_eq!(migrator.repair_data().await.expect("repaired"), stale, "{write}");
        assert_eq!(migrator.check_data().await.expect("a check"), Vec::<String>::new(), "{write}");
        assert_eq!(found(database, "denbihg").await, ["Denbigh School"], "{write}");
    }
}

async fn words_of_stored_schools_are_computed_by_the_migration(database: &TestDatabase) {
    insert(database, &["Denbigh School"]).await;
    let migrator = Migrator::new(database.owner()).accept_loss();
    let steps = migrator.status().await.expect("migrations");
    let steps = steps.iter().rev().position(|migration| migration.name.ends_with("_create_school_words"));
    migrator.down(steps.expect("the migration") + 1).await.expect("reverted");
    migrator.up().await.expect("applied");
    // The service's role has no rights on the new tables.
    let finder = connect(database.owner()).await.expect("a database");
    let search = SchoolSearch::open().name("denbihg");
    assert_eq!(finder.find_schools(&search).await.expect("a result").items.len(), 1);
    assert_eq!(migrator.check_data().await.expect("a check"), Vec::<String>::new());
}
