//! The output of results.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};
use geojson::{Feature, FeatureCollection, Geometry};
use school_finder_db::models::{CatchmentHit, CouncilCount, Facets, ReachHit, ReachYear, SchoolDetails, SchoolHit};
use school_finder_db::request::Cursor;
use school_finder_db::{Page, SchoolSearch};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::Failure;
use crate::args::{CountFormat, Format};

/// The columns of a list of schools in CSV: the keys of its JSON.
const LIST_COLUMNS: [&str; 17] = [
    "id",
    "urn",
    "name",
    "council",
    "status",
    "phase",
    "type",
    "gender",
    "faith",
    "postcode",
    "is_private",
    "age_range_from",
    "age_range_to",
    "ofsted_rating",
    "lat",
    "lng",
    "distance_km",
];

/// The columns of a year of admissions in CSV: the keys of its JSON.
const YEAR_COLUMNS: [&str; 6] =
    ["academic_year", "intake", "last_distance_km", "margin_km", "all_offered", "change_km", "applications_per_place"];

/// What stands for an unknown value in a table.
const UNKNOWN: &str = "-";

pub fn default_format() -> Format {
    if io::stdout().is_terminal() { Format::Table } else { Format::Json }
}

pub fn default_count_format() -> CountFormat {
    if io::stdout().is_terminal() { CountFormat::Table } else { CountFormat::Json }
}

/// A page of schools.
pub fn hits(page: &Page<SchoolHit>, search: &SchoolSearch, format: Format) -> Result<(), Failure> {
    print_page(page, search, format, &[], |hit| (hit, []))
}

/// A page of schools with what says that they serve the place.
pub fn catchments(page: &Page<CatchmentHit>, search: &SchoolSearch, format: Format) -> Result<(), Failure> {
    print_page(page, search, format, &["evidence"], |catchment| (&catchment.hit, [catchment.evidence.to_string()]))
}

/// A page of schools whose offers of past years reached the place.
pub fn reach(page: &Page<ReachHit>, search: &SchoolSearch, format: Format) -> Result<(), Failure> {
    if matches!(format, Format::Csv) {
        return print_csv(&[&LIST_COLUMNS[..], &YEAR_COLUMNS].concat(), &school_years(&page.items)?);
    }
    let columns = ["intake", "years: last km offered (margin)"];
    print_page(page, search, format, &columns, |reach| (&reach.hit, years(&reach.years)))?;
    if matches!(format, Format::Table) && !page.items.is_empty() {
        eprintln!("an estimate from past years: next year's distance will be another");
    }
    Ok(())
}

/// Every school's every year, a row each.
fn school_years(hits: &[ReachHit]) -> Result<Vec<Map<String, Value>>, Failure> {
    let mut rows = Vec::new();
    for hit in hits {
        let school = object(&hit.hit)?;
        for year in &hit.years {
            let mut row = school.clone();
            row.extend(object(year)?);
            rows.push(row);
        }
    }
    Ok(rows)
}

/// The intakes of a school and, in the same order, their years: `Year R` and `2024/25 1.49 (+0.31)`.
fn years(years: &[ReachYear]) -> [String; 2] {
    let mut intakes: Vec<String> = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    for year in years {
        let intake = text(year.intake.clone());
        let told = match (year.last_distance_km, year.margin_km) {
            (Some(last), Some(margin)) => format!("{} {last:.2} ({margin:+.2})", year.academic_year),
            _ => format!("{} all offered", year.academic_year),
        };
        if intakes.last() == Some(&intake) {
            if let Some(line) = lines.last_mut() {
                line.push_str(", ");
                line.push_str(&told);
            }
        } else {
            intakes.push(intake);
            lines.push(told);
        }
    }
    [intakes.join("\n"), lines.join("\n")]
}

/// A page of schools of some kind. `more` names what it has beyond a hit, and `parts` gives them.
fn print_page<T: Serialize, const N: usize>(
    page: &Page<T>,
    search: &SchoolSearch,
    format: Format,
    more: &[&'static str; N],
    parts: impl Fn(&T) -> (&SchoolHit, [String; N]),
) -> Result<(), Failure> {
    match format {
        Format::Table => print_hits(page, more, parts)?,
        Format::Json => print_json(&envelope(&page.items, page.next.as_ref())?)?,
        Format::Geojson => print_json(&features(objects(&page.items)?, page.next.as_ref()))?,
        Format::Csv => print_csv(&[&LIST_COLUMNS[..], more].concat(), &objects(&page.items)?)?,
    }
    // JSON and GeoJSON contain the cursor.
    match (format, &page.next) {
        (Format::Table | Format::Csv, Some(next)) => eprintln!("there are more: --after {next}"),
        (Format::Table, None) if page.items.is_empty() && search.after.is_none() && search.limit > 0 => {
            eprintln!("no school fits");
        }
        _ => {}
    }
    Ok(())
}

fn print_hits<T, const N: usize>(
    page: &Page<T>,
    more: &[&str; N],
    parts: impl Fn(&T) -> (&SchoolHit, [String; N]),
) -> Result<(), Failure> {
    let mut table = table(&[&["km", "name", "phase", "ages", "rating", "council", "urn"][..], more].concat());
    for item in &page.items {
        let (SchoolHit { school, distance_km, .. }, more) = parts(item);
        let columns = [
            text(distance_km.map(|km| format!("{:.2}", km.get()))),
            printable(&school.name),
            text(school.phase),
            ages(school.age_range_from, school.age_range_to),
            text(school.ofsted_rating),
            text(school.council.clone()),
            school.urn.to_string(),
        ];
        table.add_row(columns.into_iter().chain(more));
    }
    align_right(&mut table, &[0, 4, 6]);
    print_table(&table)
}

/// One school.
pub fn school(school: &SchoolDetails, format: Format) -> Result<(), Failure> {
    let schools = std::slice::from_ref(school);
    match format {
        Format::Table => {
            let mut table = table(&["", ""]);
            table.set_header(Vec::<String>::new());
            for (key, value) in object(school)? {
                table.add_row([key.replace('_', " "), told(&value)]);
            }
            print_table(&table)
        }
        Format::Json => print_json(&envelope(schools, None)?),
        Format::Geojson => print_json(&features(objects(schools)?, None)),
        Format::Csv => {
            let object = object(school)?;
            let columns: Vec<&str> = object.keys().map(String::as_str).collect();
            print_csv(&columns, std::slice::from_ref(&object))
        }
    }
}

/// Councils and their schools.
pub fn councils(councils: &[CouncilCount], format: CountFormat) -> Result<(), Failure> {
    match format {
        CountFormat::Table => {
            let mut table = table(&["council", "schools", "state", "private"]);
            for CouncilCount { council, schools, state, private, .. } in councils {
                table.add_row([printable(council), schools.to_string(), state.to_string(), private.to_string()]);
            }
            align_right(&mut table, &[1, 2, 3]);
            print_table(&table)
        }
        CountFormat::Json => print_json(&json!({ "councils": councils })),
        CountFormat::Csv => print_csv(&["council", "schools", "state", "private"], &objects(councils)?),
    }
}

/// Counts of schools by what they are.
pub fn facets(facets: &Facets, format: CountFormat) -> Result<(), Failure> {
    let Facets { total, council, phase, status, rating, gender, faith, ownership, clubs, .. } = facets;
    let groups: [(&str, &BTreeMap<String, u64>); 8] = [
        ("phase", phase),
        ("ownership", ownership),
        ("rating", rating),
        ("gender", gender),
        ("faith", faith),
        ("status", status),
        ("clubs", clubs),
        ("council", council),
    ];
    let rows = groups.iter().flat_map(|(facet, counts)| counts.iter().map(move |(value, count)| (facet, value, count)));
    match format {
        CountFormat::Table => {
            let mut table = table(&["facet", "value", "schools"]);
            table.add_row(["all", "", &total.to_string()]);
            for (facet, value, count) in rows {
                table.add_row([(*facet).to_owned(), printable(value), count.to_string()]);
            }
            align_right(&mut table, &[2]);
            print_table(&table)
        }
        CountFormat::Json => print_json(facets),
        CountFormat::Csv => {
            let rows: Vec<_> = rows
                .map(|(facet, value, count)| object(&json!({ "facet": facet, "value": value, "schools": count })))
                .collect::<Result<_, _>>()?;
            print_csv(&["facet", "value", "schools"], &rows)
        }
    }
}

/// Plain lines.
pub fn lines(lines: impl IntoIterator<Item = String>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    // A terminal of unknown size, such as a serial line, reports zero columns.
    let arrangement = match table.width() {
        Some(0) => ContentArrangement::Disabled,
        _ => ContentArrangement::Dynamic,
    };
    table.load_preset(presets::NOTHING).set_content_arrangement(arrangement).set_header(header);
    table
}

/// Numbers end in one line, and none is broken where a narrow terminal breaks texts.
fn align_right(table: &mut Table, columns: &[usize]) {
    for at in columns {
        if let Some(column) = table.column_mut(*at) {
            column.set_constraint(ColumnConstraint::ContentWidth);
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn print_table(table: &Table) -> Result<(), Failure> {
    lines(table.to_string().lines().map(|line| line.trim_end().to_owned()))
}

fn text(value: Option<impl ToString>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| printable(&value.to_string()))
}

/// Replaces control characters, which a terminal would obey and which would break a table's lines. Names come from
/// files of others.
pub fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

fn ages(from: Option<i16>, to: Option<i16>) -> String {
    match (from, to) {
        (None, None) => UNKNOWN.to_owned(),
        (from, to) => format!("{} to {}", text(from), text(to)),
    }
}

fn envelope(schools: &[impl Serialize], next: Option<&Cursor>) -> Result<Value, Failure> {
    Ok(json!({ "schools": objects(schools)?, "next": next }))
}

/// A GeoJSON feature collection (RFC 7946): longitude first; a school that stands nowhere known has no geometry. The
/// cursor is a foreign member.
fn features(schools: Vec<Map<String, Value>>, next: Option<&Cursor>) -> FeatureCollection {
    let features = schools.into_iter().map(|mut school| {
        let (lat, lng) = (school.remove("lat"), school.remove("lng"));
        let place = lng.and_then(|lng| lng.as_f64()).zip(lat.and_then(|lat| lat.as_f64()));
        let urn = school.get("urn").and_then(Value::as_i64);
        Feature {
            bbox: None,
            geometry: place.map(|(lng, lat)| Geometry::new_point([lng, lat])),
            id: urn.map(|urn| geojson::feature::Id::Number(urn.into())),
            properties: Some(school.into_iter().collect()),
            foreign_members: None,
        }
    });
    let next = json!({ "next": next });
    FeatureCollection { bbox: None, features: features.collect(), foreign_members: next.as_object().cloned() }
}

fn objects(values: &[impl Serialize]) -> Result<Vec<Map<String, Value>>, Failure> {
    values.iter().map(object).collect()
}

fn object(value: &impl Serialize) -> Result<Map<String, Value>, Failure> {
    match serde_json::to_value(value).map_err(io::Error::from)? {
        Value::Object(object) => Ok(object),
        other => Err(Failure::Io(io::Error::other(format!("{other} is not an object")))),
    }
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
    lines([text])
}

fn print_csv(columns: &[&str], rows: &[Map<String, Value>]) -> Result<(), Failure> {
    let mut writer = csv::Writer::from_writer(io::stdout().lock());
    let failed = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => Failure::Io(error),
        other => Failure::Io(io::Error::other(format!("{other:?}"))),
    };
    writer.write_record(columns).map_err(failed)?;
    for row in rows {
        let fields = columns.iter().map(|column| row.get(*column).map_or_else(String::new, |value| plain(value, "")));
        writer.write_record(fields).map_err(failed)?;
    }
    Ok(writer.flush()?)
}

/// A value as a person reads it: of a list, a line for each row with what is known of it.
fn told(value: &Value) -> String {
    let Value::Array(rows) = value else { return printable(&plain(value, UNKNOWN)) };
    if rows.iter().all(|row| !row.is_object()) && !rows.is_empty() {
        return rows.iter().map(told).collect::<Vec<_>>().join(" ");
    }
    let line = |row: &Value| match row {
        Value::Object(facts) => {
            let known = facts.iter().filter(|(_, fact)| !fact.is_null());
            known.map(|(key, fact)| format!("{} {}", key.replace('_', " "), told(fact))).collect::<Vec<_>>().join(", ")
        }
        other => told(other),
    };
    if rows.is_empty() { UNKNOWN.to_owned() } else { rows.iter().map(line).collect::<Vec<_>>().join("\n") }
}

/// A value without quotation marks, and `unknown` for one that is not known.
fn plain(value: &Value, unknown: &str) -> String {
    match value {
        Value::Null => unknown.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(
            printable("\u{1b}[31mSt Mary\u{2019}s\r\n\u{9b}2J"),
            "\u{fffd}[31mSt Mary\u{2019}s\u{fffd}\u{fffd}\u{fffd}2J"
        );
        assert_eq!(told(&json!(["a\u{7}b"])), "a\u{fffd}b");
    }
}
