//! What belongs to schools: read, replaced, filtered by, and deleted with them.

use chrono::{NaiveDate, NaiveTime};
use school_finder_db::ids::SchoolId;
use school_finder_db::models::{
    Admissions, AdmissionsCriterion, ClubKind, Collections, CostPer, DeleteCounts, LinkKind, NewCollections, NewLink,
    Performance, PrivateDetails, PrivateFee, Review, SchoolClub, SchoolIdentifiers, Term, TermDates, Weekday, Weekdays,
};
use school_finder_db::request::{ClubFilter, FeeFilter, WriteMode};
use school_finder_db::testing::TestDatabase;
use school_finder_db::units::{AcademicYear, Money};
use school_finder_db::{Error, SchoolSearch};

use super::on_every_backend;
use crate::support::{km, school, urn};

on_every_backend! {
    everything_comes_back_as_it_was_stored,
    collections_that_are_none_are_not_replaced,
    collections_read_before_another_edit_are_refused,
    a_violated_constraint_is_named_and_rolled_back,
    money_is_exact,
    clubs_are_filtered_by_kind_day_and_time,
    fees_are_filtered_on_one_row_that_fits_the_child,
    deleting_a_school_deletes_its_details,
    the_number_of_queries_does_not_grow,
}

pub fn year(starts_in: i16) -> AcademicYear {
    AcademicYear::starting(starts_in).expect("a year")
}

pub fn money(text: &str) -> Money {
    text.parse().expect("money")
}

fn day(month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2024, month, day).expect("a day")
}

fn time(hour: u32, minute: u32) -> NaiveTime {
    NaiveTime::from_hms_opt(hour, minute, 0).expect("a time")
}

fn club(kind: ClubKind) -> SchoolClub {
    SchoolClub { kind, name: None, days: None, starts_at: None, ends_at: None, cost: None, cost_per: CostPer::Day }
}

fn fee(starts_in: i16, (age_from, age_to): (i16, i16), per_year: &str) -> PrivateFee {
    PrivateFee { academic_year: year(starts_in), age_from, age_to, per_term: None, per_year: Some(money(per_year)) }
}

/// Something in every collection, with a value in every field, each unlike all others.
fn full() -> NewCollections {
    NewCollections {
        clubs: Some(vec![
            SchoolClub {
                kind: ClubKind::AfterSchool,
                name: Some("Ŵyn's Club".to_owned()),
                days: Weekdays::new([Weekday::Monday, Weekday::Thursday]),
                starts_at: Some(time(15, 15)),
                ends_at: Some(time(17, 45)),
                cost: Some(money("12.50")),
                cost_per: CostPer::Week,
            },
            club(ClubKind::Breakfast),
        ]),
        term_dates: Some(vec![TermDates {
            academic_year: year(2024),
            term: Term::Autumn,
            starts_on: day(9, 2),
            ends_on: day(12, 20),
            half_term_starts_on: Some(day(10, 28)),
            half_term_ends_on: Some(day(11, 1)),
        }]),
        performance: Some(vec![
            Performance {
                metric: "progress_8".to_owned(),
                year: 2024,
                value: Some("-0.235".parse().expect("a score")),
                is_suppressed: false,
                national_average: Some("-0.03".parse().expect("a score")),
                source: Some("DfE".to_owned()),
            },
            Performance {
                metric: "progress_8".to_owned(),
                year: 2023,
                value: None,
                is_suppressed: true,
                national_average: None,
                source: None,
            },
        ]),
        private_details: Some(vec![PrivateDetails {
            fees_notes: Some("Lunch is extra".to_owned()),
            day_starts_at: Some(time(8, 20)),
            day_ends_at: Some(time(16, 10)),
            transport: Some("A bus".to_owned()),
        }]),
        fees: Some(vec![PrivateFee { per_term: Some(money("4250.10")), ..fee(2024, (7, 11), "12750.30") }]),
        identifiers: Some(vec![SchoolIdentifiers {
            la_code: Some(826),
            establishment_number: Some(4004),
            ukprn: Some("10046564".parse().expect("a UKPRN")),
            source: Some("a register".to_owned()),
        }]),
        admissions: Some(vec![Admissions {
            places_offered: Some(60),
            applications_received: Some(131),
            last_distance_offered_km: Some(km(1.234_567_890_123)),
            waiting_list_offers: Some(4),
            appeals_heard: Some(9),
            appeals_upheld: Some(2),
            had_vacancies: Some(false),
            notes: Some("By distance".to_owned()),
            source: Some("https://council.example".to_owned()),
            ..Admissions::new(year(2024), Some("Year R".to_owned()))
        }]),
        admissions_criteria: Some(vec![AdmissionsCriterion {
            academic_year: year(2024),
            intake: Some("Year R".to_owned()),
            criterion: "Siblings".to_owned(),
            places_offered: Some(20),
            applications_received: Some(25),
            last_distance_offered_km: Some(km(3.25)),
            source: Some("https://council.example".to_owned()),
        }]),
    }
}

async fn insert(database: &TestDatabase, count: i64) -> Vec<SchoolId> {
    database.repository().insert_schools((1..=count).map(school).collect()).await.expect("schools that fit")
}

async fn replace(database: &TestDatabase, id: SchoolId, new: NewCollections) {
    let version = database.repository().school(id).await.expect("an answer").expect("the school").version;
    database.repository().replace_collections(id, version, new).await.expect("collections that fit");
}

async fn everything_comes_back_as_it_was_stored(database: &TestDatabase) {
    let ids = insert(database, 3).await;
    let repository = database.repository();
    replace(database, ids[1], full()).await;
    let review = Review {
        urn: urn(2),
        school_name: "School 2".to_owned(),
        source: "A paper".to_owned(),
        rating: Some(4),
        snippet: Some("“Good”".to_owned()),
        reviewed_on: Some(day(5, 6)),
    };
    repository.insert_reviews(vec![review.clone()]).await.expect("a review");
    let link = NewLink {
        urn: urn(2),
        linked_urn: urn(77),
        kind: LinkKind::Predecessor,
        linked_name: Some("Old School".to_owned()),
        link_type: Some("Predecessor - merged".to_owned()),
        linked_on: Some(day(1, 2)),
    };
    repository.upsert_links(vec![link.clone()], WriteMode::Commit).await.expect("a link");

    let details = repository.school_details(ids[1]).await.expect("a result").expect("the school");
    let stored = NewCollections {
        clubs: details.clubs.clone(),
        term_dates: details.term_dates.clone(),
        performance: details.performance.clone(),
        private_details: details.private_details.clone(),
        identifiers: details.identifiers.clone(),
        admissions_criteria: details.admissions_criteria.clone(),
        fees: details.fees.clone(),
        admissions: details.admissions.clone(),
    };
    assert_eq!(stored, full());
    assert_eq!(details.reviews, Some(vec![review]));
    let found = &details.links.as_ref().expect("links")[0];
    assert_eq!((found.linked_urn, found.linked_school_id, &found.linked_name), (urn(77), None, &link.linked_name));
    assert_eq!((found.kind, &found.link_type, found.linked_on), (link.kind, &link.link_type, link.linked_on));
    let json = serde_json::to_value(&details).expect("JSON");
    assert_eq!(json["clubs"][0]["days"], serde_json::json!(["monday", "thursday"]));
    assert_eq!(json["fees"][0]["per_term"], "4250.10");
    assert_eq!(json["admissions"][0]["academic_year"], "2024/2025");
    assert_eq!(serde_json::from_value::<school_finder_db::models::SchoolDetails>(json).expect("details"), details);

    let requested = Collections { clubs: true, ..Collections::default() };
    let many = repository.details(&[ids[2], ids[1], SchoolId::new(999)], requested).await.expect("a result");
    assert_eq!(many.iter().map(|details| details.school.id).collect::<Vec<_>>(), [ids[1], ids[2]]);
    assert_eq!(many[0].clubs.as_ref().map(Vec::len), Some(2));
    assert_eq!((many[1].clubs.as_ref().map(Vec::len), &many[1].fees), (Some(0), &None), "none, and not asked for");
    assert!(repository.school_details(SchoolId::new(999)).await.expect("a result").is_none());
}

async fn collections_that_are_none_are_not_replaced(database: &TestDatabase) {
    let ids = insert(database, 1).await;
    replace(database, ids[0], full()).await;
    let clubs = Some(vec![club(ClubKind::Breakfast)]);
    replace(database, ids[0], NewCollections { clubs: clubs.clone(), fees: Some(vec![]), ..NewCollections::default() })
        .await;
    let details = database.repository().school_details(ids[0]).await.expect("a result").expect("the school");
    assert_eq!((details.clubs, details.fees), (clubs, Some(vec![])));
    assert_eq!(details.admissions, full().admissions);
    let missing = database.repository().replace_collections(SchoolId::new(999), 1, full()).await;
    assert!(matches!(missing, Err(Error::UnknownSchool)), "{missing:?}");
}

async fn collections_read_before_another_edit_are_refused(database: &TestDatabase) {
    let ids = insert(database, 1).await;
    let repository = database.repository();
    let details = async || repository.school_details_by_urn(urn(1)).await.expect("a result").expect("the school");
    let read = details().await;
    let with = |kind| {
        let clubs = read.clubs.iter().flatten().cloned().chain([club(kind)]).collect();
        NewCollections { clubs: Some(clubs), ..NewCollections::default() }
    };
    let version = read.school.version;
    let next = repository.replace_collections(ids[0], version, with(ClubKind::Breakfast)).await.expect("the first");
    let second = repository.replace_collections(ids[0], version, with(ClubKind::AfterSchool)).await;
    assert!(matches!(second, Err(Error::Stale { given, stored }) if (given, stored) == (version, next)), "{second:?}");
    let stored = details().await;
    assert_eq!((stored.clubs, stored.school.version), (Some(vec![club(ClubKind::Breakfast)]), next));
    assert_eq!(repository.school_details_by_urn(urn(2)).await.expect("a result"), None);
}

async fn a_violated_constraint_is_named_and_rolled_back(database: &TestDatabase) {
    let ids = insert(database, 1).await;
    replace(database, ids[0], full()).await;
    let repository = database.repository();
    let none = NewCollections::default;
    let term = full().term_dates.expect("terms").remove(0);
    let year_of = full().admissions.expect("admissions").remove(0);
    let result = full().performance.expect("results").remove(0);
    let club_of = |starts_at, ends_at| SchoolClub { starts_at, ends_at, ..club(ClubKind::Breakfast) };
    let cases: Vec<(NewCollections, &str)> = vec![
        (NewCollections { clubs: Some(vec![club_of(Some(time(9, 0)), Some(time(9, 0)))]), ..none() }, "ck_club_times"),
        (
            NewCollections { term_dates: Some(vec![TermDates { ends_on: day(9, 2), ..term.clone() }]), ..none() },
            "ck_term_dates",
        ),
        (
            NewCollections { term_dates: Some(vec![TermDates { half_term_ends_on: None, ..term.clone() }]), ..none() },
            "ck_term_half",
        ),
        (
            NewCollections {
                term_dates: Some(vec![TermDates { half_term_starts_on: Some(day(9, 1)), ..term.clone() }]),
                ..none()
            },
            "ck_term_half",
        ),
        (NewCollections { term_dates: Some(vec![term.clone(), term]), ..none() }, "uq_school_term_dates"),
        (
            NewCollections { performance: Some(vec![Performance { is_suppressed: true, ..result.clone() }]), ..none() },
            "ck_performance_suppressed",
        ),
        (
            NewCollections { performance: Some(vec![Performance { year: 1, ..result.clone() }]), ..none() },
            "ck_performance_year",
        ),
        (NewCollections { performance: Some(vec![result.clone(), result]), ..none() }, "uq_school_performance"),
        (NewCollections { fees: Some(vec![fee(2024, (11, 7), "1")]), ..none() }, "ck_fee_ages"),
        (NewCollections { fees: Some(vec![fee(2024, (-1, 7), "1")]), ..none() }, "ck_fee_age_from"),
        (
            NewCollections { fees: Some(vec![fee(2024, (7, 11), "1"), fee(2024, (7, 11), "2")]), ..none() },
            "uq_private_school_fees",
        ),
        (
            NewCollections { private_details: full().private_details.map(|all| [all.clone(), all].concat()), ..none() },
            "uq_private_school_details",
        ),
        (
            NewCollections { identifiers: full().identifiers.map(|all| [all.clone(), all].concat()), ..none() },
            "uq_school_identifiers",
        ),
        (
            NewCollections {
                admissions_criteria: full().admissions_criteria.map(|all| [all.clone(), all].concat()),
                ..none()
            },
            "uq_admissions_criteria",
        ),
        (
            NewCollections {
                admissions: Some(vec![Admissions { places_offered: Some(-1), ..year_of.clone() }]),
                ..none()
            },
            "ck_admissions_places_offered",
        ),
        (
            NewCollections {
                admissions: Some(vec![Admissions { appeals_upheld: Some(10), ..year_of.clone() }]),
                ..none()
            },
            "ck_admissions_appeals",
        ),
        (
            NewCollections {
                admissions: Some(vec![Admissions { last_distance_offered_km: Some(km(20_038.0)), ..year_of.clone() }]),
                ..none()
            },
            "ck_admissions_last_distance",
        ),
        (
            NewCollections { admissions: Some(vec![year_of.clone(), year_of.clone()]), ..none() },
            "uq_admissions_school_year",
        ),
        (
            NewCollections {
                admissions: Some(vec![
                    Admissions { intake: None, ..year_of.clone() },
                    Admissions { intake: None, ..year_of },
                ]),
                ..none()
            },
            "uq_admissions_school_year",
        ),
    ];
    for (new, constraint) in cases {
        let error = repository.replace_collections(ids[0], 2, new).await.expect_err(constraint);
        let named = match &error {
            Error::CheckViolated { constraint } | Error::DuplicateRow { constraint } => constraint.as_str(),
            _ => "",
        };
        assert_eq!(named, constraint, "{error}");
    }
    for (new, field) in [
        (
            NewCollections {
                clubs: Some(vec![SchoolClub { name: Some("a\0".to_owned()), ..club(ClubKind::Breakfast) }]),
                ..none()
            },
            "club name",
        ),
        (
            NewCollections {
                clubs: Some(vec![SchoolClub { name: Some("x".repeat(201)), ..club(ClubKind::Breakfast) }]),
                ..none()
            },
            "club name",
        ),
    ] {
        let error = repository.replace_collections(ids[0], 2, new).await.expect_err(field);
        assert!(error.to_string().starts_with(field), "{error}");
    }
    let details = repository.school_details(ids[0]).await.expect("a result").expect("the school");
    assert_eq!((details.clubs, details.admissions), (full().clubs, full().admissions), "nothing was changed");
}

async fn money_is_exact(database: &TestDatabase) {
    let ids = insert(database, 1).await;
    let amounts = ["0.00", "0.01", "0.10", "9.99", "10.00", "100.00", "99999999.99"];
    let fees = (0..).zip(amounts).map(|(age, amount)| fee(2024, (age, age), amount)).collect();
    replace(database, ids[0], NewCollections { fees: Some(fees), ..NewCollections::default() }).await;
    let details = database.repository().school_details(ids[0]).await.expect("a result").expect("the school");
    let stored: Vec<_> =
        details.fees.expect("fees").iter().map(|fee| fee.per_year.clone().expect("money").to_string()).collect();
    assert_eq!(stored, amounts);
    let sorted = async |rank: usize| {
        let sql = "SELECT CAST(age_from AS BIGINT) FROM private_school_fees ORDER BY per_year LIMIT 1 OFFSET";
        database.number(&format!("{sql} {rank}")).await.expect("a fee")
    };
    for rank in 0..amounts.len() {
        assert_eq!(sorted(rank).await, i64::try_from(rank).expect("few"), "in the order of the amounts");
    }
    // As numbers, and not as texts, where "9.99" comes after "100.00".
    for (age, amount) in (0..).zip(amounts) {
        let fits = async |at_least: Option<Money>, at_most: Option<Money>| {
            let fees = FeeFilter { academic_year: year(2024), age, at_least, at_most };
            let page = database.repository().find_schools(&SchoolSearch::open().fees(fees)).await.expect("a result");
            !page.items.is_empty()
        };
        assert!(fits(Some(money(amount)), Some(money(amount))).await, "{amount}");
        assert_eq!(fits(None, Some(money("9.99"))).await, age <= 3, "{amount}");
        assert_eq!(fits(Some(money("10")), None).await, age >= 4, "{amount}");
    }
    let (at_least, at_most) = (Some(money("2")), Some(money("1")));
    let none = SchoolSearch::open().fees(FeeFilter { academic_year: year(2024), age: 7, at_least, at_most });
    let refused = database.repository().find_schools(&none).await;
    assert!(matches!(refused, Err(Error::InvalidSearch { field: "fees", .. })), "{refused:?}");
}

async fn clubs_are_filtered_by_kind_day_and_time(database: &TestDatabase) {
    let ids = insert(database, 4).await;
    let after = |days: Option<Weekdays>, ends_at| SchoolClub { days, ends_at, ..club(ClubKind::AfterSchool) };
    let (monday, friday) = (Weekdays::new([Weekday::Monday]), Weekdays::new([Weekday::Friday, Weekday::Monday]));
    let clubs = [
        vec![club(ClubKind::Breakfast), after(monday, Some(time(17, 0)))],
        vec![after(friday, Some(time(18, 0))), after(None, None)],
        vec![club(ClubKind::Breakfast)],
    ];
    for (id, clubs) in ids.iter().zip(clubs) {
        replace(database, *id, NewCollections { clubs: Some(clubs), ..NewCollections::default() }).await;
    }
    let found = async |clubs: Vec<ClubFilter>| {
        let mut search = SchoolSearch::open();
        search.filter.clubs = clubs;
        let page = database.repository().find_schools(&search).await.expect("a result");
        let facets = database.repository().facets(&search).await.expect("counts");
        assert_eq!(facets.total, page.items.len() as u64);
        assert!(facets.clubs.values().all(|schools| *schools <= facets.total) && facets.clubs.len() == 2);
        page.items.iter().map(|hit| hit.school.urn.get()).collect::<Vec<_>>()
    };
    let (breakfast, after) = (ClubFilter::from(ClubKind::Breakfast), ClubFilter::from(ClubKind::AfterSchool));
    assert_eq!(found(vec![breakfast.clone()]).await, [1, 3]);
    let facets = database.repository().facets(&SchoolSearch::open()).await.expect("counts");
    assert_eq!((facets.total, facets.clubs["breakfast"], facets.clubs["after_school"]), (4, 2, 2));
    assert_eq!(found(vec![after.clone()]).await, [1, 2]);
    assert_eq!(found(vec![breakfast, after.clone()]).await, [1], "both");
    let on = |day| ClubFilter { on: Some(day), ..after.clone() };
    assert_eq!(found(vec![on(Weekday::Monday)]).await, [1, 2]);
    assert_eq!(found(vec![on(Weekday::Friday)]).await, [2]);
    assert!(found(vec![on(Weekday::Tuesday)]).await.is_empty(), "and one whose days are not known does not pass");
    let until = |hour, minute| ClubFilter { until: Some(time(hour, minute)), ..after.clone() };
    assert_eq!(found(vec![until(17, 0)]).await, [1, 2]);
    assert_eq!(found(vec![until(17, 1)]).await, [2]);
    assert_eq!(found(vec![ClubFilter { on: Some(Weekday::Monday), ..until(17, 30) }]).await, [2]);
}

async fn fees_are_filtered_on_one_row_that_fits_the_child(database: &TestDatabase) {
    let ids = insert(database, 2).await;
    let fees = vec![fee(2024, (4, 6), "9000"), fee(2024, (7, 11), "15000"), fee(2023, (7, 11), "1000")];
    replace(database, ids[0], NewCollections { fees: Some(fees), ..NewCollections::default() }).await;
    let found = async |age, at_least: Option<&str>, at_most: Option<&str>| {
        let fees =
            FeeFilter { academic_year: year(2024), age, at_least: at_least.map(money), at_most: at_most.map(money) };
        let page = database.repository().find_schools(&SchoolSearch::open().fees(fees)).await.expect("a result");
        page.items.len()
    };
    assert_eq!(found(5, None, Some("10000")).await, 1);
    assert_eq!(found(8, None, Some("10000")).await, 0, "the cheap row is for younger children, or of another year");
    assert_eq!(found(8, Some("10000"), Some("15000")).await, 1, "bounds are inside");
    assert_eq!(found(12, None, None).await, 0, "no row fits the child");
}

async fn deleting_a_school_deletes_its_details(database: &TestDatabase) {
    let ids = insert(database, 2).await;
    let repository = database.repository();
    for id in &ids {
        replace(database, *id, full()).await;
    }
    let review = |number| Review {
        urn: urn(number),
        school_name: "A name".to_owned(),
        source: "A paper".to_owned(),
        rating: None,
        snippet: None,
        reviewed_on: None,
    };
    repository.insert_reviews(vec![review(1), review(1), review(2), review(99)]).await.expect("reviews");
    let link = |from, to, kind| NewLink {
        urn: urn(from),
        linked_urn: urn(to),
        kind,
        linked_name: None,
        link_type: None,
        linked_on: None,
    };
    let links =
        vec![link(1, 2, LinkKind::Successor), link(2, 1, LinkKind::Predecessor), link(50, 1, LinkKind::Successor)];
    repository.upsert_links(links, WriteMode::Commit).await.expect("links");
    let counts = repository.delete_school(ids[0]).await.expect("deleted");
    let mut expected = DeleteCounts::default();
    (expected.clubs, expected.term_dates, expected.performance) = (2, 1, 2);
    (expected.private_details, expected.fees, expected.admissions) = (1, 1, 1);
    (expected.identifiers, expected.admissions_criteria) = (1, 1);
    (expected.links, expected.reviews_kept, expected.links_kept) = (1, 2, 2);
    assert_eq!(counts, expected);
    let left = async |sql: &str| database.number(sql).await.expect("a count");
    for (table, rows) in [
        ("school_clubs", 2),
        ("school_term_dates", 1),
        ("school_performance", 2),
        ("private_school_details", 1),
        ("private_school_fees", 1),
        ("school_identifiers", 1),
        ("admissions_history", 1),
        ("admissions_criteria", 1),
        ("school_links", 2),
        ("school_reviews", 4),
    ] {
        assert_eq!(left(&format!("SELECT count(*) FROM {table}")).await, rows, "{table}");
    }
    assert_eq!(left("SELECT count(*) FROM school_reviews WHERE school_id IS NULL AND urn = 1").await, 2);
    assert_eq!(left("SELECT count(*) FROM school_links WHERE linked_school_id IS NULL AND linked_urn = 1").await, 2);
    assert!(matches!(repository.delete_school(ids[0]).await, Err(Error::UnknownSchool)));
    // A school that comes back finds what names it.
    repository.insert_schools(vec![school(1)]).await.expect("again");
    assert_eq!(left("SELECT count(*) FROM school_reviews WHERE school_id IS NULL").await, 1);
    assert_eq!(left("SELECT count(*) FROM school_links WHERE linked_school_id IS NOT NULL").await, 2);
}

/// For one school as for a hundred, a list with its collections is the same number of statements.
async fn the_number_of_queries_does_not_grow(database: &TestDatabase) {
    let ids = insert(database, 100).await;
    for id in &ids {
        replace(database, *id, NewCollections { clubs: full().clubs, ..NewCollections::default() }).await;
    }
    for (collections, expected) in [
        (Collections::default(), 1),
        (Collections { clubs: true, ..Collections::default() }, 2),
        (Collections { clubs: true, admissions: true, ..Collections::default() }, 3),
        (Collections::ALL, 11),
    ] {
        for ids in [&ids[..1], &ids[..]] {
            let statements = crate::support::count_statements(database, async |repository| {
                let details = repository.details(ids, collections).await.expect("a result");
                assert_eq!(details.len(), ids.len());
            });
            assert_eq!(statements.await, expected, "{collections:?} of {} schools", ids.len());
        }
    }
}
