//! The official register of schools in England: "Get Information About Schools" (GIAS), its `edubasealldata` CSV.
//!
//! The register is published in windows-1252, and its columns vary over the years (120 to 140 so far), so columns are
//! found by name. A blank is an unknown value, and so is a grid reference of 0, 0.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::sync::Arc;

use super::csv_file::{self, Layout};
use super::facts::{self, Facts};
use super::rows::{Reason, Rows, contradiction};
use super::{Import, ImportCounts, ImportError, Notice, NoticeKind};
use crate::error::Result;
use crate::ids::Urn;
use crate::models::{NewSchool, SchoolIdentifiers, SchoolPatch};
use crate::repository::SchoolRepository;
use crate::request::{MissingSchools, RegisterCoverage, RegisterSchool};
use crate::tasks::blocking;

/// The name of this register.
pub(super) const SOURCE: &str = "gias";

const ADDRESS: [&str; 5] = ["Street", "Locality", "Address3", "Town", "County (name)"];

const LAYOUT: Layout = Layout {
    encoding: encoding_rs::WINDOWS_1252,
    max_bytes: 4 << 30,
    keys: &["URN"],
    required: &["EstablishmentName", "EstablishmentStatus (name)"],
    optional: &[
        "LA (name)",
        "PhaseOfEducation (name)",
        "Easting",
        "Northing",
        "TypeOfEstablishment (name)",
        "EstablishmentTypeGroup (name)",
        "Gender (name)",
        "ReligiousCharacter (name)",
        "AdmissionsPolicy (name)",
        "Street",
        "Locality",
        "Address3",
        "Town",
        "County (name)",
        "Postcode",
        "SchoolWebsite",
        "StatutoryLowAge",
        "StatutoryHighAge",
        // Missing in newer registers: Ofsted no longer gives a school a single rating.
        "OfstedRating (name)",
        "OpenDate",
        "CloseDate",
        "SchoolCapacity",
        "NumberOfPupils",
        "LastChangedDate",
        "LA (code)",
        "EstablishmentNumber",
        "UKPRN",
    ],
    distances: &[],
    aliases: &[],
    without_header: None,
};

/// The columns that can be cleared, each with the values that its blank makes unknown.
const CLEARED: &[Clear] = &[
    (&["LA (name)"], |patch| patch.council = Some(None)),
    (&["PhaseOfEducation (name)"], |patch| patch.phase = Some(None)),
    (&["TypeOfEstablishment (name)"], |patch| patch.school_type = Some(None)),
    (&["Gender (name)"], |patch| patch.gender = Some(None)),
    (&["ReligiousCharacter (name)"], |patch| patch.faith = Some(None)),
    (&["AdmissionsPolicy (name)"], |patch| patch.is_selective = Some(None)),
    (&ADDRESS, |patch| patch.address = Some(None)),
    (&["Postcode"], |patch| patch.postcode = Some(None)),
    (&["SchoolWebsite"], |patch| patch.website_url = Some(None)),
    (&["StatutoryLowAge"], |patch| patch.age_range_from = Some(None)),
    (&["StatutoryHighAge"], |patch| patch.age_range_to = Some(None)),
    (&["OfstedRating (name)"], |patch| patch.ofsted_rating = Some(None)),
    (&["Easting", "Northing"], |patch| {
        (patch.location, patch.easting, patch.northing) = (Some(None), Some(None), Some(None));
    }),
    (&["OpenDate"], |patch| patch.opened_on = Some(None)),
    (&["CloseDate"], |patch| patch.closed_on = Some(None)),
    (&["SchoolCapacity"], |patch| patch.capacity = Some(None)),
    (&["NumberOfPupils"], |patch| patch.pupils = Some(None)),
    (&["LastChangedDate"], |patch| patch.source_date = Some(None)),
];

/// Columns, and what their blanks make unknown.
type Clear = (&'static [&'static str], fn(&mut SchoolPatch));
type Cleared = &'static Clear;

impl Import {
    /// Imports the official register: every row becomes a school, by URN, with its name and its status. Every other
    /// value is optional.
    ///
    /// A value missing from the register leaves the stored one unchanged, so that curated values survive
    /// ([`NewSchool::or_stored`]), except in the columns that [`clear`](Self::clear) names. Schools that are not in the
    /// file are unchanged, unless [`missing_schools`](Self::missing_schools) closes those that are open. The import is
    /// atomic.
    ///
    /// # Errors
    /// [`Error::Import`](crate::Error::Import) where the file cannot be what it claims;
    /// [`Error::TooManyMissing`](crate::Error::TooManyMissing); those of the database. Nothing is written on an error.
    pub async fn register(
        self,
        repository: &dyn SchoolRepository,
        source: impl Read + Send + 'static,
    ) -> Result<ImportCounts> {
        let (mode, rejected) = (self.mode, Arc::clone(&self.rejected));
        let (mut import, schools, coverage) = blocking(move || Ok(check(self, source)?)).await?;
        let counts = repository.upsert_register(schools, coverage, mode).await?;
        let (missing, closed) = (counts.missing.len() as u64, counts.closed);
        for (urn, name) in counts.missing {
            let text = format!("{name} is open here and not in the file{}", if closed > 0 { ": closed" } else { "" });
            let urn = urn.to_string();
            (import.on_notice)(Notice { kind: NoticeKind::MissingSchool, number: None, urn, text });
        }
        Ok(ImportCounts { missing, closed, ..ImportCounts::new(counts.schools, &rejected) })
    }
}

/// Reads a register to its end, reports what cannot be used of it, and returns its schools to be read again.
fn check(
    mut import: Import,
    source: impl Read + Send + 'static,
) -> Result<(Import, crate::request::RegisterStream, RegisterCoverage), ImportError> {
    let cleared = cleared(&import.clear)?;
    let clears: Vec<Cleared> = cleared.iter().map(|(_, cleared)| *cleared).collect();
    let name = import.source.clone();
    let mut rows = Rows::open(&mut import, source, &LAYOUT, move |facts: &mut Facts| school(facts, &name, &clears))?;
    for (column, _) in &cleared {
        if !rows.has(column) {
            return Err(ImportError::OptionNeedsColumn { option: "--clear", column });
        }
    }
    if !(rows.has("Easting") && rows.has("Northing")) {
        import.remark("no school's location is read: the file lacks the column Easting or Northing".to_owned());
    }
    if !rows.has("LA (name)") && import.missing != MissingSchools::Keep {
        return Err(ImportError::OptionNeedsColumn { option: "--close-missing", column: "LA (name)" });
    }
    let mut coverage =
        RegisterCoverage { source: import.source.clone(), missing: import.missing, ..Default::default() };
    let mut councils = HashSet::new();
    // Of each school its first line, a hash of its values, and whether another line contradicts it.
    let mut seen: HashMap<Urn, (u64, u64, bool)> = HashMap::new();
    let mut skipped = HashSet::new();
    while let Some((line, school)) = rows.next(Some(&mut import))? {
        let urn = school.school.urn;
        let hash = hash(&school);
        match seen.get_mut(&urn) {
            None => {
                councils.extend(school.school.council.filter(|council| !councils.contains(council)));
                seen.insert(urn, (line, hash, false));
                continue;
            }
            Some((first, other, contradicted)) if *other != hash => {
                import.reject(line, &urn.to_string(), contradiction(*first));
                if !std::mem::replace(contradicted, true) {
                    import.reject(*first, &urn.to_string(), contradiction(line));
                    skipped.insert(*first);
                }
            }
            Some(_) => {}
        }
        skipped.insert(line);
    }
    if seen.values().all(|(_, _, contradicted)| *contradicted) {
        return Err(ImportError::NothingUsable { rows: rows.count, unit: "row" });
    }
    coverage.urns = seen.into_keys().chain(std::mem::take(&mut rows.rejected)).collect();
    coverage.councils = councils.into_iter().collect();
    rows.rewind()?;
    let schools = std::iter::from_fn(move || rows.next(None).transpose());
    let schools = schools.filter(move |row| !matches!(row, Ok((line, _)) if skipped.contains(line)));
    Ok((import, Box::new(schools.map(|row| Ok(row?.1))), coverage))
}

fn hash(school: &RegisterSchool) -> u64 {
    let mut hasher = DefaultHasher::new();
    // Of all values, floats too.
    format!("{school:?}").hash(&mut hasher);
    hasher.finish()
}

/// Finds the columns to clear by their names.
fn cleared(names: &[String]) -> Result<Vec<(&'static str, Cleared)>, ImportError> {
    let find = |name: &String| {
        let wanted = csv_file::folded(name);
        let is_it = |column: &&&'static str| csv_file::folded(column) == wanted;
        let found = CLEARED.iter().find_map(|cleared| Some((*cleared.0.iter().find(is_it)?, cleared)));
        found.ok_or_else(|| ImportError::NotClearable {
            column: crate::text::shortened(name),
            columns: CLEARED.iter().flat_map(|(columns, _)| *columns).copied().collect::<Vec<_>>().join(", "),
        })
    };
    names.iter().map(find).collect()
}

fn school(facts: &mut Facts, source: &str, clears: &[Cleared]) -> Result<RegisterSchool, Reason> {
    let urn = facts.urn("URN")?;
    let name = facts.text("EstablishmentName").ok_or("the name is blank")?;
    let status = facts::status(facts.text("EstablishmentStatus (name)"))?;
    if facts.may_be_of_another_column("EstablishmentName", "EstablishmentStatus (name)") {
        return Err("it has more fields than the header, so that its name is uncertain".into());
    }
    let postcode = facts.owned("Postcode", 10).map(|postcode| postcode.to_uppercase());
    let located = match &postcode {
        Some(postcode) if facts::is_off_the_grid(postcode) => {
            if facts.text("Easting").or(facts.text("Northing")).is_some() {
                facts.note(format!("{postcode} is not on the grid of Great Britain: the school is not located"));
            }
            None
        }
        _ => facts.grid_reference("Easting", "Northing"),
    };
    let age_range_from = facts.number("StatutoryLowAge", 0..=19);
    let age_range_to = facts.number("StatutoryHighAge", age_range_from.unwrap_or(0)..=99);
    let school_type = facts.owned("TypeOfEstablishment (name)", 100);
    let group = facts.text("EstablishmentTypeGroup (name)");
    let address: Vec<&str> = ADDRESS.iter().filter_map(|column| facts.text(column)).collect();
    let address = Some(address.join(", ")).filter(|address| !address.is_empty());
    let town = facts.owned("Town", 100);
    let is_too_long = address.as_ref().is_some_and(|address| address.chars().count() > 500);
    if is_too_long {
        facts.note("the address has more than 500 characters".to_owned());
    }
    let school = NewSchool {
        council: facts.owned("LA (name)", 100),
        status,
        phase: facts.word("PhaseOfEducation (name)", facts::phase),
        is_selective: facts.text("AdmissionsPolicy (name)").and_then(facts::is_selective),
        is_private: facts::is_private(group, school_type.as_deref()),
        school_type,
        gender: facts.word("Gender (name)", facts::gender),
        faith: facts.owned("ReligiousCharacter (name)", 100).map(facts::faith),
        address: address.filter(|_| !is_too_long),
        postcode,
        website_url: facts.owned("SchoolWebsite", 1_000).and_then(|text| facts::website_url(&text)),
        age_range_from,
        age_range_to,
        ofsted_rating: facts.word("OfstedRating (name)", facts::rating),
        location: located.map(|(_, location)| location),
        easting: located.map(|(grid, _)| grid.easting),
        northing: located.map(|(grid, _)| grid.northing),
        opened_on: facts.date("OpenDate"),
        closed_on: facts.date("CloseDate"),
        capacity: facts.count("SchoolCapacity"),
        pupils: facts.count("NumberOfPupils"),
        source_date: facts.date("LastChangedDate"),
        ..NewSchool::new(urn, name)
    };
    school.validate()?;
    let identifiers = SchoolIdentifiers {
        la_code: facts.number("LA (code)", 0..=999).filter(|code| *code > 0),
        establishment_number: facts.number("EstablishmentNumber", 0..=9_999),
        ukprn: facts.value("UKPRN", |_, text| text.strip_suffix(".0").unwrap_or(text).parse()),
        source: Some(source.to_owned()),
    };
    let mut patch = SchoolPatch::default();
    for (columns, clear) in clears {
        if facts.are_blank(columns) {
            clear(&mut patch);
        }
    }
    let patch = (!clears.is_empty()).then_some(patch);
    Ok(RegisterSchool { school, identifiers: Some(identifiers), town, patch })
}
