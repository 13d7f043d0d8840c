//! Admissions of past years: a CSV with one row for each school, school year and intake.

use std::io::Read;

use super::csv_file::{Encoding, Layout, Row};
use super::facts::{count, shown};
use super::rows::{Found, Reason};
use super::{Import, ImportCounts, ImportError, MAX_FILE_BYTES};
use crate::error::Result;
use crate::ids::Urn;
use crate::models::{Admissions, NewAdmissions};
use crate::repository::SchoolRepository;

const LAYOUT: Layout = Layout {
    encoding: Encoding::Utf8,
    max_bytes: MAX_FILE_BYTES,
    urn: "urn",
    required: &["academic_year", "intake_year"],
    optional: &[
        "places_offered",
        "applications_received",
        "last_distance_offered_km",
        "waiting_list_offers",
        "appeals_heard",
        "appeals_upheld",
        "had_vacancies",
        "allocation_description",
        "source_url",
    ],
    aliases: &[("intake_year", "intake"), ("allocation_description", "notes"), ("source_url", "source")],
};

impl Import {
    /// Imports admissions of past years, a CSV with the columns `urn`, `academic_year`, `intake_year` (or `intake`),
    /// and any of `places_offered`, `applications_received`, `last_distance_offered_km`, `waiting_list_offers`,
    /// `appeals_heard`, `appeals_upheld`, `had_vacancies`, `allocation_description` (or `notes`), `source_url` (or
    /// `source`).
    ///
    /// A blank is unknown, and leaves the stored value unchanged. School years are read in every usual spelling. An
    /// unusable row is reported and skipped; a duplicate row is an error. The import is atomic.
    ///
    /// # Errors
    /// [`Error::Import`](crate::Error::Import) where the file cannot be trusted; those of the database. Nothing is
    /// written on an error.
    pub async fn admissions(
        self,
        repository: &dyn SchoolRepository,
        source: impl Read + Send + 'static,
    ) -> Result<ImportCounts> {
        let mut rows = Found::read(self, source, &LAYOUT, admissions).await?;
        rows.reject_unknown_schools(repository, |new| new.urn).await?;
        rows.refuse_repeated(
            |new| (new.urn, new.admissions.academic_year, new.admissions.intake.clone()),
            |_, first_line, line| ImportError::DuplicateRow { first_line, line },
        )?;
        let counts = repository.upsert_admissions(rows.take(), rows.import.mode).await?;
        Ok(ImportCounts::new(counts, &rows.import.rejected))
    }
}

fn admissions(urn: Urn, row: &Row) -> Result<NewAdmissions, Reason> {
    let academic_year = row.text("academic_year").ok_or("the school year is blank")?.parse()?;
    let admissions = Admissions {
        places_offered: count(row, "places_offered")?,
        applications_received: count(row, "applications_received")?,
        last_distance_offered_km: row.text("last_distance_offered_km").map(kilometres).transpose()?,
        waiting_list_offers: count(row, "waiting_list_offers")?,
        appeals_heard: count(row, "appeals_heard")?,
        appeals_upheld: count(row, "appeals_upheld")?,
        had_vacancies: row.text("had_vacancies").map(truth).transpose()?,
        notes: row.owned("allocation_description"),
        source: row.owned("source_url"),
        ..Admissions::new(academic_year, row.owned("intake_year"))
    };
    if let (Some(heard), Some(upheld)) = (admissions.appeals_heard, admissions.appeals_upheld)
        && upheld > heard
    {
        return Err(format!("{upheld} appeals cannot be upheld of {heard}").into());
    }
    admissions.validate()?;
    Ok(NewAdmissions { urn, admissions })
}

fn kilometres(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(km) if km.is_finite() && km >= 0.0 => Ok(km),
        _ => Err(format!("{:?} is not a distance in kilometres", shown(text))),
    }
}

fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "y" => Ok(true),
        "0" | "false" | "no" | "n" => Ok(false),
        _ => Err(format!("{:?} is neither yes nor no", shown(text))),
    }
}
