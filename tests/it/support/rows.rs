//! Rows for a schema of any version.

use school_finder_db::config::Backend;

use super::raw::Raw;

/// A table with the values of its columns in three rows, as literals of SQL.
type Rows = (&'static str, Vec<(&'static str, [String; 3])>);

/// Three rows for every table of this build and of the fixture set, with a value in every column that any version has.
fn rows(backend: Backend) -> Vec<Rows> {
    let of = |values: [&str; 3]| values.map(str::to_owned);
    let same = |value: &str| [value, value, value].map(str::to_owned);
    let sqlite = backend.as_str() == "sqlite";
    let truth =
        |values: [bool; 3]| values.map(|value| if sqlite { u8::from(value).to_string() } else { value.to_string() });
    // Money and scores: pence and thousandths on SQLite.
    let exact = |pence: [i64; 3], places: u32| {
        pence.map(
            |value| if sqlite { value.to_string() } else { format!("{value} / 1{}.0", "0".repeat(places as usize)) },
        )
    };
    let mut outline = "MULTIPOLYGON(((-1.5 51, -0.5 51.25, -1 52, -1.5 51)))".to_owned();
    if !sqlite {
        outline.insert_str(0, "SRID=4326;");
    }
    vec![
        (
            "folded_names",
            vec![("name", of(["'Ash'", "'Bay ''s'", "'Ŵyn'"])), ("name_folded", of(["'ash'", "'bay s'", "'wyn'"]))],
        ),
        (
            "schools",
            vec![
                ("urn", of(["100001", "100002", "100003"])),
                ("name", of(["'Ash'", "'Bay ''s'", "'Ŵyn'"])),
                ("name_folded", of(["'ash'", "'bay s'", "'wyn'"])),
                ("council", of(["'North'", "NULL", "'South'"])),
                ("status", of(["'open'", "'closed'", "'proposed_to_close'"])),
                ("phase", of(["'primary'", "NULL", "'16_plus'"])),
                ("type", same("'Type'")),
                ("gender", of(["'mixed'", "'girls'", "NULL"])),
                ("faith", of(["'Quaker'", "NULL", "'Sikh'"])),
                ("address", same("'Address, 1'")),
                ("postcode", same("'AB1 2CD'")),
                ("website_url", same("'https://school.example'")),
                ("is_private", truth([true, false, true])),
                ("is_selective", truth([false, true, true])),
                ("age_range_from", of(["3", "4", "NULL"])),
                ("age_range_to", of(["11", "18", "NULL"])),
                ("ofsted_rating", of(["1", "4", "NULL"])),
                ("lat", of(["51.25", "52.123456789012", "NULL"])),
                ("lng", of(["-1.5", "0.987654321098", "NULL"])),
                ("easting", of(["400001", "500001", "NULL"])),
                ("northing", of(["200002", "300002", "NULL"])),
                ("catchment_radius_km", of(["1.25", "2.5", "NULL"])),
                ("catchment_geometry", [format!("'{outline}'"), "NULL".to_owned(), "NULL".to_owned()]),
                ("opened_on", of(["'1901-02-03'", "NULL", "'2001-02-03'"])),
                ("closed_on", of(["NULL", "'2020-08-31'", "NULL"])),
                ("capacity", of(["0", "210", "2147483647"])),
                ("pupils", of(["0", "205", "NULL"])),
                ("source_date", same("'2026-01-31'")),
                ("version", of(["1", "7", "2147483647"])),
            ],
        ),
        (
            "school_clubs",
            vec![
                ("school_id", of(["1", "1", "2"])),
                ("kind", of(["'breakfast'", "'after_school'", "'breakfast'"])),
                ("name", of(["NULL", "'Chess'", "'Early'"])),
                ("days", of(["NULL", "31", "1"])),
                ("starts_at", of(["NULL", "'15:30:00'", "'07:45:00'"])),
                ("ends_at", of(["NULL", "'18:00:00'", "NULL"])),
                ("cost", exact([0, 650, 9_999_999_999], 2)),
                ("cost_per", of(["'day'", "'week'", "'term'"])),
            ],
        ),
        (
            "school_term_dates",
            vec![
                ("school_id", of(["1", "1", "2"])),
                ("academic_year", same("2024")),
                ("term", of(["'autumn'", "'spring'", "'autumn'"])),
                ("starts_on", of(["'2024-09-02'", "'2025-01-06'", "'2024-09-02'"])),
                ("ends_on", of(["'2024-12-20'", "'2025-04-04'", "'2024-12-20'"])),
                ("half_term_starts_on", of(["'2024-10-28'", "NULL", "NULL"])),
                ("half_term_ends_on", of(["'2024-11-01'", "NULL", "NULL"])),
            ],
        ),
        (
            "school_performance",
            vec![
                ("school_id", of(["1", "1", "2"])),
                ("metric", of(["'progress_8'", "'attainment_8'", "'progress_8'"])),
                ("year", same("2024")),
                ("value", of(["NULL", "1", "2"])),
                ("is_suppressed", truth([true, false, false])),
                ("national_average", exact([-30, 46_500, 0], 3)),
                ("source", of(["'DfE'", "NULL", "'DfE'"])),
            ],
        ),
        (
            "private_school_details",
            vec![
                ("school_id", of(["1", "2", "3"])),
                ("fees_notes", of(["'Per term'", "NULL", "NULL"])),
                ("day_starts_at", of(["'08:30:00'", "NULL", "'08:30:00'"])),
                ("day_ends_at", of(["'16:00:00'", "NULL", "NULL"])),
                ("transport", of(["NULL", "'Bus'", "NULL"])),
            ],
        ),
        (
            "private_school_fees",
            vec![
                ("school_id", of(["1", "1", "3"])),
                ("academic_year", same("2025")),
                ("age_from", of(["4", "11", "4"])),
                ("age_to", of(["10", "17", "99"])),
                ("per_term", exact([512_345, 0, 9_999_999_999], 2)),
                ("per_year", of(["NULL", "0", "NULL"])),
            ],
        ),
        (
            "admissions_history",
            vec![
                ("school_id", of(["1", "1", "2"])),
                ("academic_year", of(["2024", "2023", "2024"])),
                ("intake", of(["'Year R'", "'Year R'", "NULL"])),
                ("places_offered", of(["30", "NULL", "60"])),
                ("applications_received", of(["90", "NULL", "61"])),
                ("last_distance_offered_km", of(["0.75", "1.5", "NULL"])),
                ("waiting_list_offers", of(["0", "NULL", "2"])),
                ("appeals_heard", of(["4", "NULL", "0"])),
                ("appeals_upheld", of(["1", "NULL", "0"])),
                ("had_vacancies", truth([false, false, true])),
                ("notes", of(["'By distance'", "NULL", "NULL"])),
                ("source", same("'Council'")),
            ],
        ),
        (
            "school_reviews",
            vec![
                ("school_id", of(["1", "NULL", "3"])),
                ("urn", of(["100001", "999999", "100003"])),
                ("school_name", of(["'Ash'", "'Gone'", "'Wyn'"])),
                ("source", same("'Parents'")),
                ("rating", of(["5", "NULL", "1"])),
                ("snippet", of(["'Good'", "NULL", "'Bad'"])),
                ("reviewed_on", of(["'2025-05-05'", "NULL", "'2024-04-04'"])),
            ],
        ),
        (
            "admissions_criteria",
            vec![
                ("school_id", of(["1", "1", "2"])),
                ("academic_year", of(["2024", "2023", "2024"])),
                ("intake", of(["'Year R'", "'Year R'", "NULL"])),
                ("criterion", same("'Siblings'")),
                ("places_offered", of(["30", "NULL", "60"])),
                ("applications_received", of(["90", "NULL", "61"])),
                ("last_distance_offered_km", of(["0.75", "1.5", "NULL"])),
                ("source", same("'Council'")),
            ],
        ),
        (
            "school_identifiers",
            vec![
                ("school_id", of(["1", "2", "3"])),
                ("la_code", of(["826", "1", "NULL"])),
                ("establishment_number", of(["4004", "0", "NULL"])),
                ("ukprn", of(["10046564", "99999999", "NULL"])),
                ("source", of(["'gias'", "NULL", "'another'"])),
            ],
        ),
        (
            "postcodes",
            vec![
                ("postcode", of(["'MK9 3EP'", "'M1  1AE'", "'EC1A1BB'"])),
                ("lat", of(["52.0406", "53.5", "51.52"])),
                ("lng", of(["-0.7594", "-2.25", "-0.1"])),
                ("uncertainty_m", of(["100", "1", "32767"])),
                ("terminated_on", of(["NULL", "'1996-06-01'", "NULL"])),
                ("is_withdrawn", truth([false, false, true])),
            ],
        ),
        (
            "school_towns",
            vec![
                ("school_id", of(["1", "2", "3"])),
                ("town", of(["'Ash'", "NULL", "'Luton'"])),
                ("name", of(["'Ash'", "'Bay ''s'", "'Ŵyn'"])),
                ("council", of(["'North'", "NULL", "'South'"])),
                ("postcode", same("'AB1 2CD'")),
            ],
        ),
        (
            "school_vocabulary",
            vec![("word", of(["'ash'", "'bay'", "'wyn'"])), ("reversed", of(["'hsa'", "'yab'", "'nyw'"]))],
        ),
        (
            "school_words",
            vec![
                ("word", of(["'ash'", "'bay'", "'wyn'"])),
                ("school_id", of(["1", "2", "3"])),
                ("in_name", truth([true, true, false])),
            ],
        ),
        (
            "school_links",
            vec![
                ("urn", of(["100001", "100002", "888888"])),
                ("linked_urn", of(["100002", "100001", "100003"])),
                ("linked_name", of(["'Bay'", "'Ash'", "NULL"])),
                ("kind", of(["'predecessor'", "'successor'", "'other'"])),
                ("link_type", of(["'Predecessor'", "'Successor - merged'", "NULL"])),
                ("linked_on", of(["'2020-09-01'", "'2020-09-01'", "NULL"])),
            ],
        ),
        (
            "libraries",
            vec![
                ("name", of(["'Ash'", "'Bay ''s'", "'Ŵyn'"])),
                ("fee", of(["0", "10000", "NULL"])),
                ("charged_for", of(["'day'", "'week'", "'term'"])),
                ("fee_per", of(["'day'", "'week'", "'term'"])),
            ],
        ),
        (
            "books",
            vec![
                ("library_id", of(["1", "1", "2"])),
                ("title", of(["'One'", "'Two'", "'Three'"])),
                ("library_name", of(["'Ash'", "'Ash'", "NULL"])),
                ("subject", of(["'Art'", "NULL", "'Sea'"])),
            ],
        ),
    ]
}

/// Fills whatever tables and columns this version of the schema has.
pub async fn fill(raw: &mut Raw, backend: Backend) {
    let tables = raw.columns().await;
    for (table, columns) in rows(backend) {
        let Some(known) = tables.get(table) else { continue };
        let columns: Vec<_> =
            columns.into_iter().filter(|(column, _)| known.iter().any(|known| known == column)).collect();
        let names = columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        for row in 0..3 {
            let values = columns.iter().map(|(_, values)| values[row].as_str()).collect::<Vec<_>>().join(", ");
            raw.execute(&format!("INSERT INTO {table} ({names}) VALUES ({values})")).await;
        }
    }
}
