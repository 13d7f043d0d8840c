//! The output of results.

use std::collections::BTreeMap;
use std::io::{self, Write};

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};
use school_finder_db::models::{
    CatchmentHit, CouncilCount, Facets, Home, ReachHit, ReachYear, SchoolDetails, SchoolHit, Suggestion,
};
use school_finder_db::{Page, SchoolSearch};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::Failure;
use crate::args::{CountFormat, Format};

/// The columns of a list of schools in CSV: the keys of its JSON.
const LIST_COLUMNS: &str = "id,urn,name,council,status,phase,type,gender,faith,postcode,is_private,age_range_from,\
                            age_range_to,ofsted_rating,lat,lng,distance_km";

/// The columns of a year of admissions in CSV: the keys of its JSON.
const YEAR_COLUMNS: &str =
    "academic_year,intake,last_distance_km,margin_km,all_offered,change_km,applications_per_place";

/// An unknown value in a table.
const UNKNOWN: &str = "-";

/// What was searched for.
pub struct Asked {
    pub search: SchoolSearch,
    /// The home, if a postcode places it.
    pub home: Option<Home>,
}

/// A value as its JSON, by column.
type Row = Map<String, Value>;

/// A column of a table beyond those of every list of schools: its name, and its text for an item.
type Column<T> = (&'static str, fn(&T) -> String);

/// Prints a page of schools.
pub fn hits(page: &Page<SchoolHit>, asked: &Asked, format: Format, raw: bool) -> Result<(), Failure> {
    print_page(page, asked, format, &[], LIST_COLUMNS, rows, raw)
}

/// Prints suggested schools with their towns.
pub fn suggestions(suggestions: Vec<Suggestion>, home: Option<Home>, format: Format, raw: bool) -> Result<(), Failure> {
    let town: Column<Suggestion> =
        ("town", |suggestion| suggestion.town.as_deref().map_or(UNKNOWN.to_owned(), printable));
    let columns = format!("{LIST_COLUMNS},town");
    let asked = Asked { search: SchoolSearch::open(), home };
    print_page(&Page::new(suggestions, None), &asked, format, &[town], &columns, rows, raw)
}

/// Prints a page of schools with the evidence that they serve the point.
pub fn catchments(page: &Page<CatchmentHit>, asked: &Asked, format: Format, raw: bool) -> Result<(), Failure> {
    let evidence: Column<CatchmentHit> = ("evidence", |catchment| catchment.evidence.to_string());
    print_page(page, asked, format, &[evidence], &format!("{LIST_COLUMNS},evidence"), rows, raw)
}

/// Prints a page of schools whose offers of past years reached the point. CSV has a row for each year.
pub fn reach(page: &Page<ReachHit>, asked: &Asked, format: Format, raw: bool) -> Result<(), Failure> {
    let columns: [Column<ReachHit>; 2] = [
        ("intake", |reach| by_intake(reach, |years| years[0].intake.as_deref().map_or(UNKNOWN.to_owned(), printable))),
        ("years: last km offered (margin)", |reach| {
            let year = |year: &ReachYear| match (year.last_distance_km, year.margin_km) {
                (Some(last), Some(margin)) => format!("{} {last:.2} ({margin:+.2})", year.academic_year),
                _ if reach.is_selective == Some(true) => format!("{} all who qualified", year.academic_year),
                _ => format!("{} all offered", year.academic_year),
            };
            by_intake(reach, |years| years.iter().map(year).collect::<Vec<_>>().join(", "))
        }),
    ];
    print_page(page, asked, format, &columns, &format!("{LIST_COLUMNS},{YEAR_COLUMNS}"), school_years, raw)?;
    let search = &asked.search;
    if page.items.is_empty() && search.within.is_none() && search.after.is_none() {
        eprintln!("without --within only schools within the greatest known last distance are considered");
    }
    if matches!(format, Format::Table) && !page.items.is_empty() {
        eprintln!("an estimate from past years: next year's distance will be another");
    }
    Ok(())
}

/// Returns a line for each intake of a school.
fn by_intake(reach: &ReachHit, line: impl Fn(&[ReachYear]) -> String) -> String {
    let mut years = reach.years.clone();
    // By the first year of each: a year without an intake may stand between those of one.
    let first = |year: &ReachYear| reach.years.iter().position(|other| other.intake == year.intake);
    years.sort_by_key(first);
    years.chunk_by(|one, next| one.intake == next.intake).map(line).collect::<Vec<_>>().join("\n")
}

/// Returns every school's every year.
fn school_years(hits: &[ReachHit]) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for hit in hits {
        let school = row(&hit.hit)?;
        for year in &hit.years {
            rows.push(school.clone().into_iter().chain(row(year)?).collect());
        }
    }
    Ok(rows)
}

fn print_page<T: Serialize>(
    page: &Page<T>,
    Asked { search, home }: &Asked,
    format: Format,
    more: &[Column<T>],
    csv_columns: &str,
    csv_rows: fn(&[T]) -> Result<Vec<Row>, Failure>,
    raw: bool,
) -> Result<(), Failure> {
    match format {
        Format::Table => print_hits(&page.items, more)?,
        Format::Json => print_json(&with_home(json!({ "schools": rows(&page.items)?, "next": page.next }), home))?,
        Format::Geojson => {
            print_json(&with_home(feature_collection(rows(&page.items)?, json!(page.next)), home))?;
        }
        Format::Csv => print_csv(csv_columns.split(','), &csv_rows(&page.items)?, raw)?,
    }
    // JSON and GeoJSON contain the cursor.
    match (format, &page.next) {
        (Format::Table | Format::Csv, Some(next)) => eprintln!("there are more: --after {next}"),
        (Format::Table, None) if page.items.is_empty() && search.after.is_none() && search.limit > 0 => {
            eprintln!("no school fits");
        }
        _ => {}
    }
    // So do they the home.
    if matches!(format, Format::Table | Format::Csv) {
        say_home(home.as_ref());
    }
    Ok(())
}

/// Adds the home that a postcode places.
fn with_home(mut json: Value, home: &Option<Home>) -> Value {
    if let (Value::Object(fields), Some(home)) = (&mut json, home) {
        fields.insert("home".to_owned(), json!(home));
    }
    json
}

/// Says where distances begin, and by how much they may be off.
pub fn say_home(home: Option<&Home>) {
    if let Some(home) = home {
        eprintln!("distances are from {home}");
    }
}

/// Prints the home that a postcode places.
pub fn home(home: &Home, format: CountFormat, raw: bool) -> Result<(), Failure> {
    match format {
        CountFormat::Table => {
            let (lat, lng) = (home.location.lat().degrees(), home.location.lng().degrees());
            lines([format!("{lat:.6}, {lng:.6}: {home}")])
        }
        CountFormat::Json => print_json(home),
        CountFormat::Csv => {
            let row = row(home)?;
            print_csv(row.keys().map(String::as_str), std::slice::from_ref(&row), raw)
        }
    }
}

fn print_hits<T: Serialize>(items: &[T], more: &[Column<T>]) -> Result<(), Failure> {
    let header = ["km", "name", "phase", "ages", "rating", "council", "urn"];
    let mut table = table(header.into_iter().chain(more.iter().map(|(name, _)| *name)));
    for item in items {
        let school = row(item)?;
        let ages = match [&school["age_range_from"], &school["age_range_to"]].map(readable) {
            [from, to] if from == UNKNOWN && to == UNKNOWN => from,
            [from, to] => format!("{from} to {to}"),
        };
        let [name, phase, rating, council, urn] =
            ["name", "phase", "ofsted_rating", "council", "urn"].map(|key| readable(&school[key]));
        let km = school["distance_km"].as_f64().map_or(UNKNOWN.to_owned(), |km| format!("{km:.2}"));
        let columns = [km, name, phase, ages, rating, council, urn];
        table.add_row(columns.into_iter().chain(more.iter().map(|(_, text)| text(item))));
    }
    print_table(table, &[0, 4, 6])
}

/// Prints one school.
pub fn school(school: &SchoolDetails, format: Format, raw: bool) -> Result<(), Failure> {
    let school = row(school)?;
    match format {
        Format::Table => {
            let mut table = table([""; 0]);
            for (key, value) in school {
                table.add_row([key.replace('_', " "), readable(&value)]);
            }
            print_table(table, &[])
        }
        Format::Json => print_json(&json!({ "schools": [school], "next": null })),
        Format::Geojson => print_json(&feature_collection(vec![school], Value::Null)),
        Format::Csv => print_csv(school.keys().map(String::as_str), std::slice::from_ref(&school), raw),
    }
}

/// Prints councils and their numbers of schools.
pub fn councils(councils: &[CouncilCount], format: CountFormat, raw: bool) -> Result<(), Failure> {
    let columns = ["council", "schools", "state", "private"];
    print_counts(&json!({ "councils": councils }), columns, &rows(councils)?, format, &[1, 2, 3], raw)
}

/// Prints the numbers of schools with each value.
pub fn facets(facets: &Facets, format: CountFormat, raw: bool) -> Result<(), Failure> {
    let Facets { total, council, phase, status, rating, gender, faith, ownership, clubs, .. } = facets;
    let all = BTreeMap::from([(String::new(), *total)]);
    let groups = [
        ("all", &all),
        ("phase", phase),
        ("ownership", ownership),
        ("rating", rating),
        ("gender", gender),
        ("faith", faith),
        ("status", status),
        ("clubs", clubs),
        ("council", council),
    ];
    // CSV has no row for all.
    let groups = &groups[usize::from(matches!(format, CountFormat::Csv))..];
    let rows = groups.iter().flat_map(|(facet, counts)| counts.iter().map(move |(value, count)| (facet, value, count)));
    let rows = rows.map(|(facet, value, count)| row(&json!({ "facet": facet, "value": value, "schools": count })));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    print_counts(facets, ["facet", "value", "schools"], &rows, format, &[2], raw)
}

fn print_counts<const N: usize>(
    json: &impl Serialize,
    columns: [&str; N],
    rows: &[Row],
    format: CountFormat,
    numbers: &[usize],
    raw: bool,
) -> Result<(), Failure> {
    match format {
        CountFormat::Table => {
            let mut table = table(columns);
            for row in rows {
                table.add_row(columns.map(|column| readable(&row[column])));
            }
            print_table(table, numbers)
        }
        CountFormat::Json => print_json(json),
        CountFormat::Csv => print_csv(columns, rows, raw),
    }
}

/// Prints plain lines.
pub fn lines(lines: impl IntoIterator<Item = String>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn table<'a>(header: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    // A terminal of unknown size, such as a serial line, reports zero columns.
    let arrangement = match table.width() {
        Some(0) => ContentArrangement::Disabled,
        _ => ContentArrangement::Dynamic,
    };
    table.load_preset(presets::NOTHING).set_content_arrangement(arrangement);
    table.set_header(header);
    table
}

/// Prints a table. Columns of numbers are aligned to the right, and not broken where a narrow terminal breaks texts.
fn print_table(mut table: Table, numbers: &[usize]) -> Result<(), Failure> {
    for column in numbers {
        if let Some(column) = table.column_mut(*column) {
            column.set_constraint(ColumnConstraint::ContentWidth);
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    lines(table.to_string().lines().map(|line| line.trim_end().to_owned()))
}

/// Replaces control characters, which a terminal would obey and which would break a table's lines. Names come from
/// files of others.
pub fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// Returns a GeoJSON feature collection (RFC 7946): longitude first; a school without a location has no geometry. The
/// cursor is a foreign member.
fn feature_collection(schools: Vec<Row>, next: Value) -> Value {
    let features = schools.into_iter().map(|mut school| {
        let point = match (school.shift_remove("lng"), school.shift_remove("lat")) {
            (Some(lng @ Value::Number(_)), Some(lat)) => json!({ "type": "Point", "coordinates": [lng, lat] }),
            _ => Value::Null,
        };
        json!({ "type": "Feature", "geometry": point, "id": school["urn"], "properties": school })
    });
    json!({ "type": "FeatureCollection", "features": features.collect::<Vec<_>>(), "next": next })
}

fn rows<T: Serialize>(items: &[T]) -> Result<Vec<Row>, Failure> {
    items.iter().map(row).collect()
}

fn row(item: &impl Serialize) -> Result<Row, Failure> {
    match serde_json::to_value(item).map_err(io::Error::from)? {
        Value::Object(row) => Ok(row),
        other => Err(Failure::Io(io::Error::other(format!("{other} is not an object")))),
    }
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
    lines([text])
}

fn print_csv<'a>(columns: impl IntoIterator<Item = &'a str> + Clone, rows: &[Row], raw: bool) -> Result<(), Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns.clone()).map_err(io::Error::from)?;
    for row in rows {
        let cell = |column: &str| csv_cell(row.get(column).map_or(String::new(), |value| plain(value, "")), raw);
        writer.write_record(columns.clone().into_iter().map(cell)).map_err(io::Error::from)?;
    }
    let csv = writer.into_inner().map_err(|error| Failure::Io(error.into_error()))?;
    Ok(io::stdout().lock().write_all(&csv)?)
}

/// Returns the text of a CSV cell. An apostrophe precedes one that a spreadsheet would run as a formula, unless it is a
/// number or the output is to be raw.
pub fn csv_cell(text: String, raw: bool) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n'])
        && !text.parse().is_ok_and(f64::is_finite);
    if is_formula && !raw { format!("'{text}") } else { text }
}

/// Returns a value as a person reads it: a list has a line for each of its objects, with the known values.
fn readable(value: &Value) -> String {
    match value {
        Value::Array(items) if items.is_empty() => UNKNOWN.to_owned(),
        Value::Array(items) => {
            let separator = if items.iter().any(Value::is_object) { "\n" } else { " " };
            items.iter().map(readable).collect::<Vec<_>>().join(separator)
        }
        Value::Object(fields) => {
            let known = fields.iter().filter(|(_, value)| !value.is_null());
            let known = known.map(|(key, value)| format!("{} {}", key.replace('_', " "), readable(value)));
            known.collect::<Vec<_>>().join(", ")
        }
        other => printable(&plain(other, UNKNOWN)),
    }
}

/// Returns a value without quotation marks, or `unknown` where it is null.
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
        assert_eq!(readable(&json!(["a\u{7}b"])), "a\u{fffd}b");
    }
}
