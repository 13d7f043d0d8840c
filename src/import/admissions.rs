//! Admissions of past years: a CSV with one row for each school, school year and intake.

use std::io::Read;

use super::csv_file::{CsvFile, Encoding};
use super::facts::{count, text_of, urn_of};
use super::rows::{Rows, Unusable, read_rows};
use super::{Import, ImportCounts, ImportError};
use crate::error::{Error, Result};
use crate::models::{Admissions, NewAdmissions};
use crate::repository::SchoolRepository;

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
    /// [`Error::Import`] where the file cannot be trusted; those of the database. Nothing is written on an error.
    pub async fn admissions(
        self,
        repository: &dyn SchoolRepository,
        source: impl Read + Send + 'static,
    ) -> Result<ImportCounts> {
        let (mode, mut rows): (_, Rows<NewAdmissions>) =
            read_rows(self, source, Encoding::Utf8, Columns::bind, Columns::read).await?;
        rows.reject_unknown_schools(repository, |new| new.urn).await?;
        rows.refuse_repeated(|new| (new.urn, new.admissions.academic_year, new.admissions.intake.clone()))?;
        let counts = repository.upsert_admissions(rows.take(), mode).await?;
        Ok(rows.counts(counts))
    }
}

/// The positions of the file's columns.
struct Columns {
    urn: usize,
    academic_year: usize,
    intake: usize,
    places: Option<usize>,
    applications: Option<usize>,
    last_distance: Option<usize>,
    waiting_list: Option<usize>,
    appeals_heard: Option<usize>,
    appeals_upheld: Option<usize>,
    vacancies: Option<usize>,
    notes: Option<usize>,
    source: Option<usize>,
}

impl Columns {
    fn bind<R: Read>(file: &CsvFile<R>) -> Result<Self, ImportError> {
        let either = |name, other| match file.optional_column(name)? {
            Some(at) => Ok(Some(at)),
            None => file.optional_column(other),
        };
        Ok(Self {
            urn: file.column("urn")?,
            academic_year: file.column("academic_year")?,
            intake: either("intake_year", "intake")?.ok_or(ImportError::MissingColumn { column: "intake_year" })?,
            places: file.optional_column("places_offered")?,
            applications: file.optional_column("applications_received")?,
            last_distance: file.optional_column("last_distance_offered_km")?,
            waiting_list: file.optional_column("waiting_list_offers")?,
            appeals_heard: file.optional_column("appeals_heard")?,
            appeals_upheld: file.optional_column("appeals_upheld")?,
            vacancies: file.optional_column("had_vacancies")?,
            notes: either("allocation_description", "notes")?,
            source: either("source_url", "source")?,
        })
    }

    fn read(&self, row: &[Option<String>]) -> Result<NewAdmissions, Unusable> {
        let urn = text_of(row, self.urn).unwrap_or_default().to_owned();
        self.admissions(row).map_err(|reason| Unusable { urn, reason })
    }

    fn admissions(&self, row: &[Option<String>]) -> Result<NewAdmissions, String> {
        let text = |at: Option<usize>| at.and_then(|at| text_of(row, at));
        let urn = urn_of(text(Some(self.urn)))?;
        let year = text(Some(self.academic_year)).ok_or("the school year is blank")?;
        let admissions = Admissions {
            places_offered: count("places_offered", text(self.places))?,
            applications_received: count("applications_received", text(self.applications))?,
            last_distance_offered_km: text(self.last_distance).map(kilometres).transpose()?,
            waiting_list_offers: count("waiting_list_offers", text(self.waiting_list))?,
            appeals_heard: count("appeals_heard", text(self.appeals_heard))?,
            appeals_upheld: count("appeals_upheld", text(self.appeals_upheld))?,
            had_vacancies: text(self.vacancies).map(truth).transpose()?,
            notes: text(self.notes).map(str::to_owned),
            source: text(self.source).map(str::to_owned),
            ..Admissions::new(
                year.parse().map_err(|error: Error| error.to_string())?,
                text(Some(self.intake)).map(str::to_owned),
            )
        };
        if let (Some(heard), Some(upheld)) = (admissions.appeals_heard, admissions.appeals_upheld)
            && upheld > heard
        {
            return Err(format!("{upheld} appeals cannot be upheld of {heard}"));
        }
        admissions.validate().map_err(|error| error.to_string())?;
        Ok(NewAdmissions { urn, admissions })
    }
}

fn kilometres(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(km) if km.is_finite() && km >= 0.0 => Ok(km),
        _ => Err(format!("{:?} is not a distance in kilometres", text.chars().take(20).collect::<String>())),
    }
}

fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "y" => Ok(true),
        "0" | "false" | "no" | "n" => Ok(false),
        _ => Err(format!("{:?} is neither yes nor no", text.chars().take(20).collect::<String>())),
    }
}
