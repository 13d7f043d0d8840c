//! Admissions of past years: a CSV with one row for each school, school year and intake, or several by criterion.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::io::Read;

use super::csv_file::Layout;
use super::facts::Facts;
use super::rows::{Found, Reason};
use super::{Import, ImportCounts, ImportError, MAX_FILE_BYTES, values};
use crate::error::{Error, Result};
use crate::ids::{Laestab, Ukprn, Urn};
use crate::models::{Admissions, AdmissionsCriterion, NewAdmissions, NewAdmissionsCriterion, School};
use crate::repository::SchoolRepository;
use crate::text::fold;

const DISTANCE: &str = "last_distance_offered";

/// The columns of facts, but for the distance.
const FACTS: [&str; 7] = [
    "places_offered",
    "applications_received",
    "waiting_list_offers",
    "appeals_heard",
    "appeals_upheld",
    "had_vacancies",
    "allocation_description",
];

const LAYOUT: Layout = Layout {
    encoding: encoding_rs::UTF_8,
    max_bytes: MAX_FILE_BYTES,
    keys: &["urn", "laestab", "ukprn"],
    required: &["academic_year"],
    optional: &[
        "intake_year",
        "criterion",
        "places_offered",
        "applications_received",
        "waiting_list_offers",
        "appeals_heard",
        "appeals_upheld",
        "had_vacancies",
        "allocation_description",
        "source_url",
    ],
    distances: &[DISTANCE],
    aliases: &[
        ("urn", "school_urn"),
        ("laestab", "school_laestab"),
        ("laestab", "dfe_number"),
        ("laestab", "dfe_no"),
        ("ukprn", "school_ukprn"),
        ("intake_year", "intake"),
        ("allocation_description", "notes"),
        ("source_url", "source"),
    ],
    without_header: None,
};

/// How files name the criterion by distance alone, folded. [`Import::distance_criteria`] adds others.
const DISTANCE_CRITERIA: [&str; 14] = [
    "distance",
    "by distance",
    "on distance",
    "distance from school",
    "distance to school",
    "distance from home to school",
    "home to school distance",
    "straight line distance",
    "other children by distance",
    "other applicants by distance",
    "all other children by distance",
    "any other children by distance",
    "proximity",
    "proximity to school",
];

/// Parts of the names of other criteria, folded.
const OTHER_CRITERIA: [&str; 24] = [
    "sibling",
    "brother",
    "sister",
    "looked after",
    "in care",
    "lac",
    "ehc",
    "sen",
    "statement",
    "faith",
    "church",
    "religious",
    "catholic",
    "baptised",
    "parish",
    "worship",
    "staff",
    "medical",
    "social",
    "feeder",
    "linked",
    "aptitude",
    "banding",
    "premium",
];

impl Import {
    /// Imports admissions of past years, a CSV with the columns `urn` (or `laestab`, or `ukprn`), `academic_year`,
    /// `intake_year` (or `intake`), and any of `places_offered`, `applications_received`, `last_distance_offered_km`
    /// (or `_m`, `_miles`, `_yards`), `waiting_list_offers`, `appeals_heard`, `appeals_upheld`, `had_vacancies`,
    /// `allocation_description` (or `notes`), `source_url` (or `source`).
    ///
    /// With a column `criterion`, a school may have several rows a year and intake. The one by distance, or the one
    /// without a criterion, is the year's; the others are stored as [`AdmissionsCriterion`], which no search uses: a
    /// sibling's distance would mislead.
    ///
    /// A blank is unknown, and leaves the stored value unchanged. School years are read in every usual spelling. "All
    /// applicants offered" in a cell means `had_vacancies`. An unusable row is reported and skipped. The import is
    /// atomic.
    ///
    /// # Errors
    /// [`Error::Import`] where the file cannot be what it claims; those of the database. Nothing is written on an
    /// error.
    pub async fn admissions(
        self,
        repository: &dyn SchoolRepository,
        source: impl Read + Send + 'static,
    ) -> Result<ImportCounts> {
        let words: Vec<String> = self.distance_criteria.iter().map(|word| fold(word)).collect();
        let offers = Found::read(self, source, &LAYOUT, move |facts| offer(facts, &words)).await?;
        if offers.rows.first().is_some_and(|(_, offer)| !offer.has_columns) {
            let columns = [DISTANCE].iter().chain(&FACTS).copied().collect::<Vec<_>>().join(", ");
            return Err(ImportError::NoFacts { columns }.into());
        }
        let mut offers = schools_of(offers, repository.on_writer().as_ref()).await?;
        offers.settle_repeated(
            |offer| {
                let Admissions { academic_year, intake, .. } = &offer.admissions;
                (offer.urn, *academic_year, intake.clone(), offer.other.clone())
            },
            |offer| offer.urn.to_string(),
        );
        report_others(&mut offers);
        let (mut admissions, mut others) = (Vec::new(), Vec::new());
        for Offer { urn, admissions: year, other, .. } in offers.take("row")? {
            let Some(criterion) = other else {
                admissions.push(NewAdmissions { urn, admissions: year });
                continue;
            };
            let offers = AdmissionsCriterion {
                academic_year: year.academic_year,
                intake: year.intake,
                criterion,
                places_offered: year.places_offered,
                applications_received: year.applications_received,
                last_distance_offered_km: year.last_distance_offered_km,
                source: year.source,
            };
            others.push(NewAdmissionsCriterion { urn, offers });
        }
        let mode = offers.import.mode;
        let counts = repository.upsert_admissions_by_criterion(admissions, others, mode).await?;
        Ok(ImportCounts::new(counts, &offers.import.rejected))
    }
}

/// What identifies a school in a file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Key {
    Urn(Urn),
    Laestab(Laestab),
    Ukprn(Ukprn),
}

/// A row: a school's offers in a year, by distance or by another criterion.
#[derive(Debug, Clone, PartialEq)]
struct Offer<K> {
    urn: K,
    admissions: Admissions,
    /// The criterion, where it is not by distance alone.
    other: Option<String>,
    /// Whether the file has columns of facts.
    has_columns: bool,
}

fn offer(facts: &mut Facts, words: &[String]) -> Result<Offer<Key>, Reason> {
    let urn = match (facts.text("urn"), facts.text("laestab"), facts.text("ukprn")) {
        (Some(_), _, _) => Key::Urn(facts.urn("urn")?),
        (None, Some(laestab), _) => Key::Laestab(laestab.trim_end_matches(".0").parse()?),
        (None, None, Some(ukprn)) => Key::Ukprn(ukprn.trim_end_matches(".0").parse()?),
        (None, None, None) => return Err("the URN is not a number of up to seven digits".into()),
    };
    let academic_year = facts.text("academic_year").ok_or("the school year is blank")?.parse()?;
    let intake = facts.text("intake_year").map(str::to_owned);
    let other = facts.text("criterion").filter(|criterion| !is_by_distance(criterion, words)).map(str::to_owned);
    let has_columns = facts.has(DISTANCE) || FACTS.iter().any(|column| facts.has(column));
    // Words in the place of a distance, a yes or a number.
    let says_all = |facts: &Facts, column| facts.text(column).is_some_and(values::says_all_offered);
    let [in_distance, in_vacancies, in_places, in_notes] =
        [DISTANCE, "had_vacancies", "places_offered", "allocation_description"].map(|column| says_all(facts, column));
    let all_offered = in_distance || in_vacancies || in_places || in_notes;
    let had_vacancies = (!in_vacancies).then(|| facts.value("had_vacancies", |_, text| values::truth(text))).flatten();
    let distance = |facts: &mut Facts| facts.value(DISTANCE, |column, text| values::distance(text, column.unit));
    let last_distance_offered_km = (!in_distance).then(|| distance(facts)).flatten();
    let (appeals_heard, mut appeals_upheld) = (facts.count("appeals_heard"), facts.count("appeals_upheld"));
    if let (Some(heard), Some(upheld)) = (appeals_heard, appeals_upheld)
        && upheld > heard
    {
        facts.note(format!("{upheld} appeals cannot be upheld of {heard}"));
        appeals_upheld = None;
    }
    let admissions = Admissions {
        places_offered: (!in_places).then(|| facts.count("places_offered")).flatten(),
        applications_received: facts.count("applications_received"),
        last_distance_offered_km,
        waiting_list_offers: facts.count("waiting_list_offers"),
        appeals_heard,
        appeals_upheld,
        // A yes or a no comes before what words imply.
        had_vacancies: had_vacancies.or(all_offered.then_some(true)),
        notes: facts.owned("allocation_description", 2_000),
        source: facts.owned("source_url", 1_000),
        ..Admissions::new(academic_year, intake)
    };
    if facts.are_unreadable() && !all_offered {
        return Err("none of its values can be read".into());
    }
    admissions.validate()?;
    Ok(Offer { urn, admissions, other, has_columns })
}

/// Finds the schools of the rows, and rejects those whose school is not stored or not certain.
async fn schools_of(found: Found<Offer<Key>>, repository: &dyn SchoolRepository) -> Result<Found<Offer<Urn>>> {
    let (mut urns, mut laestabs, mut ukprns) = (Vec::new(), Vec::new(), Vec::new());
    for (_, offer) in &found.rows {
        match offer.urn {
            Key::Urn(urn) => urns.push(urn),
            Key::Laestab(laestab) => laestabs.push(laestab),
            Key::Ukprn(ukprn) => ukprns.push(ukprn),
        }
    }
    let urns = repository.schools_by_urn(&urns).await?.into_iter().map(|school| (school.urn, school));
    let urns = by_key(urns);
    let laestabs = by_key(repository.schools_by_laestab(&laestabs).await?);
    let ukprns = by_key(repository.schools_by_ukprn(&ukprns).await?);
    let Found { mut import, rows, count } = found;
    let mut known = Vec::with_capacity(rows.len());
    for (line, Offer { urn: key, admissions, other, has_columns }) in rows {
        let (schools, text, unknown) = match key {
            Key::Urn(urn) => (urns.get(&urn), urn.to_string(), Error::UnknownUrn { urn }.to_string()),
            Key::Laestab(laestab) => {
                (laestabs.get(&laestab), laestab.to_string(), format!("no school has LAESTAB {laestab}"))
            }
            Key::Ukprn(ukprn) => (ukprns.get(&ukprn), ukprn.to_string(), format!("no school has UKPRN {ukprn}")),
        };
        match schools.map(Vec::as_slice) {
            Some([school]) => known.push((line, Offer { urn: school.urn, admissions, other, has_columns })),
            None | Some([]) => import.reject(line, &text, unknown),
            Some(several) => {
                let several = several.iter().map(|school| format!("{} ({})", school.urn, school.name));
                let several = several.collect::<Vec<_>>().join(", ");
                import.reject(line, &text, format!("several schools have {text}: {several}"));
            }
        }
    }
    Ok(Found { import, rows: known, count })
}

fn by_key<K: Eq + Hash>(schools: impl IntoIterator<Item = (K, School)>) -> HashMap<K, Vec<School>> {
    let mut by_key: HashMap<K, Vec<School>> = HashMap::new();
    for (key, school) in schools {
        by_key.entry(key).or_default().push(school);
    }
    by_key
}

/// Returns whether a criterion is by distance alone.
fn is_by_distance(criterion: &str, words: &[String]) -> bool {
    let folded = fold(criterion);
    DISTANCE_CRITERIA.contains(&folded.as_str()) || words.contains(&folded)
}

/// Reports the criteria that are neither by distance nor known to be others, with the number of their rows.
fn report_others(offers: &mut Found<Offer<Urn>>) {
    let mut unknown: BTreeMap<&str, u64> = BTreeMap::new();
    for criterion in offers.rows.iter().filter_map(|(_, offer)| offer.other.as_deref()) {
        let folded = fold(criterion);
        if !OTHER_CRITERIA.iter().any(|part| folded.contains(part)) {
            *unknown.entry(criterion).or_default() += 1;
        }
    }
    if unknown.is_empty() {
        return;
    }
    let listed = unknown.iter().take(10).map(|(criterion, rows)| format!("{criterion:?} ({rows})"));
    let text = format!(
        "rows of criteria that are not understood, so that reach does not use them: {}; where one is by distance, name \
         it with --distance-criterion",
        listed.collect::<Vec<_>>().join(", ")
    );
    offers.import.remark(text);
}
