//! The official register of schools in England: "Get Information About Schools" (GIAS), its `edubasealldata` CSV.
//!
//! The register is published in windows-1252, and its columns vary over the years (120 to 139 so far), so columns are
//! found by name. A blank is an unknown value, and so is a grid reference of 0, 0.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use super::csv_file::{Encoding, Layout, Row};
use super::facts::{self, count, date};
use super::rows::{Reason, Rows};
use super::{Import, ImportCounts, ImportError};
use crate::error::Result;
use crate::ids::Urn;
use crate::models::NewSchool;
use crate::repository::SchoolRepository;

const LAYOUT: Layout = Layout {
    encoding: Encoding::Windows1252,
    max_bytes: u64::MAX,
    urn: "URN",
    required: &[
        "EstablishmentName",
        "LA (name)",
        "EstablishmentStatus (name)",
        "PhaseOfEducation (name)",
        "Easting",
        "Northing",
    ],
    optional: &[
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
    ],
    aliases: &[],
};

impl Import {
    /// Imports the official register: every row becomes a school, by URN.
    ///
    /// A value missing from the register leaves the stored one unchanged, so that curated values survive
    /// ([`NewSchool::or_stored`]). Schools that are not in the file are unchanged. The import is atomic.
    ///
    /// # Errors
    /// [`Error::Import`](crate::Error::Import) where the file cannot be trusted; those of the database. Nothing is
    /// written on an error.
    pub async fn register(
        self,
        repository: &dyn SchoolRepository,
        source: impl Read + Send + 'static,
    ) -> Result<ImportCounts> {
        let (mode, rejected) = (self.mode, Arc::clone(&self.rejected));
        let mut lines = HashMap::new();
        let schools = Rows::open(self, source, &LAYOUT, school)?.map(move |row| -> Result<NewSchool> {
            let (line, school) = row?;
            match lines.insert(school.urn, line) {
                Some(first_line) => Err(ImportError::DuplicateUrn { urn: school.urn, first_line, line }.into()),
                None => Ok(school),
            }
        });
        let counts = repository.upsert_schools(Box::new(schools), mode).await?;
        Ok(ImportCounts::new(counts, &rejected))
    }
}

fn school(urn: Urn, row: &Row) -> Result<NewSchool, Reason> {
    let located = facts::grid_reference(row.text("Easting"), row.text("Northing"))?;
    let (age_range_from, age_range_to) = facts::ages(row.text("StatutoryLowAge"), row.text("StatutoryHighAge"))?;
    let school_type = row.owned("TypeOfEstablishment (name)");
    let address = ["Street", "Locality", "Address3", "Town", "County (name)"].map(|column| row.text(column));
    let address = address.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let school = NewSchool {
        council: row.owned("LA (name)"),
        status: facts::status(row.text("EstablishmentStatus (name)"))?,
        phase: row.text("PhaseOfEducation (name)").map(facts::phase).transpose()?,
        is_selective: row.text("AdmissionsPolicy (name)").and_then(facts::is_selective),
        is_private: facts::is_private(row.text("EstablishmentTypeGroup (name)"), school_type.as_deref()),
        school_type,
        gender: row.text("Gender (name)").map(facts::gender).transpose()?.flatten(),
        faith: row.owned("ReligiousCharacter (name)").map(facts::faith),
        address: (!address.is_empty()).then_some(address),
        postcode: row.text("Postcode").map(str::to_uppercase),
        website_url: row.text("SchoolWebsite").and_then(facts::website_url),
        age_range_from,
        age_range_to,
        ofsted_rating: row.text("OfstedRating (name)").map(facts::rating).transpose()?.flatten(),
        location: located.map(|(_, location)| location),
        easting: located.map(|(grid, _)| grid.easting),
        northing: located.map(|(grid, _)| grid.northing),
        opened_on: date(row, "OpenDate")?,
        closed_on: date(row, "CloseDate")?,
        capacity: count(row, "SchoolCapacity")?,
        pupils: count(row, "NumberOfPupils")?,
        source_date: date(row, "LastChangedDate")?,
        ..NewSchool::new(urn, row.text("EstablishmentName").ok_or("the name is blank")?)
    };
    school.validate()?;
    Ok(school)
}
