//! The official register of schools in England: "Get Information About Schools" (GIAS), its `edubasealldata` CSV.
//!
//! The register is published in windows-1252, and its columns vary over the years (120 to 139 so far), so columns are
//! found by name. A blank is an unknown value, and so is a grid reference of 0, 0.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use csv::ByteRecord;

use super::csv_file::{CsvFile, Encoding};
use super::{Import, ImportCounts, ImportError, Reject, facts};
use crate::error::{Error, Result};
use crate::ids::Urn;
use crate::models::NewSchool;
use crate::repository::SchoolRepository;

impl Import {
    /// Imports the official register: every row becomes a school, by URN.
    ///
    /// A value missing from the register leaves the stored one unchanged, so that curated values survive
    /// ([`NewSchool::or_stored`]). Schools that are not in the file are unchanged. The import is atomic.
    ///
    /// # Errors
    /// [`Error::Import`] where the file cannot be trusted; those of the database. Nothing is written on an error.
    pub async fn register(
        self,
        repository: &dyn SchoolRepository,
        source: impl Read + Send + 'static,
    ) -> Result<ImportCounts> {
        let rejected = Arc::new(AtomicU64::new(0));
        let rows = Rows::open(source, self.on_progress, self.on_reject, Arc::clone(&rejected))?;
        let counts = repository.upsert_schools(Box::new(rows), self.mode).await?;
        Ok(ImportCounts {
            inserted: counts.inserted,
            updated: counts.updated,
            unchanged: counts.unchanged,
            rejected: rejected.load(Ordering::Relaxed),
        })
    }
}

/// The schools of a register file, one at a time. Unusable rows are reported and skipped.
struct Rows<R: Read> {
    file: CsvFile<R>,
    columns: Columns,
    lines: HashMap<Urn, u64>,
    rows: u64,
    ended: bool,
    rejected: Arc<AtomicU64>,
    on_progress: Box<dyn FnMut(u64, u64) + Send>,
    on_reject: Box<dyn FnMut(Reject) + Send>,
}

impl<R: Read> Rows<R> {
    fn open(
        source: R,
        on_progress: Box<dyn FnMut(u64, u64) + Send>,
        on_reject: Box<dyn FnMut(Reject) + Send>,
        rejected: Arc<AtomicU64>,
    ) -> Result<Self> {
        let file = CsvFile::open(source, Encoding::Windows1252)?;
        let columns = Columns::bind(&file)?;
        Ok(Self { file, columns, lines: HashMap::new(), rows: 0, ended: false, rejected, on_progress, on_reject })
    }

    /// Returns the next usable school, or `None` at the end.
    fn next_school(&mut self) -> Result<Option<NewSchool>, ImportError> {
        while let Some((line, record)) = self.file.next_row()? {
            self.rows += 1;
            (self.on_progress)(self.rows, self.file.bytes_read());
            let row = Row { file: &self.file, record: &record, line };
            match self.columns.read(&row)? {
                Ok(school) => {
                    if let Some(first_line) = self.lines.insert(school.urn, line) {
                        return Err(ImportError::DuplicateUrn { urn: school.urn, first_line, line });
                    }
                    return Ok(Some(school));
                }
                Err(reason) => {
                    let urn = row.text(Some(self.columns.urn))?.unwrap_or_default();
                    self.rejected.fetch_add(1, Ordering::Relaxed);
                    (self.on_reject)(Reject { number: line, urn, reason });
                }
            }
        }
        if self.rows == 0 { Err(ImportError::Empty) } else { Ok(None) }
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<NewSchool>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_school().map_err(Error::from).transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// The positions of the file's columns.
struct Columns {
    urn: usize,
    name: usize,
    council: usize,
    status: usize,
    phase: usize,
    easting: usize,
    northing: usize,
    school_type: Option<usize>,
    type_group: Option<usize>,
    gender: Option<usize>,
    faith: Option<usize>,
    address: [Option<usize>; 5],
    postcode: Option<usize>,
    website: Option<usize>,
    age_from: Option<usize>,
    age_to: Option<usize>,
    rating: Option<usize>,
    opened: Option<usize>,
    closed: Option<usize>,
    capacity: Option<usize>,
    pupils: Option<usize>,
    changed: Option<usize>,
}

impl Columns {
    fn bind<R: Read>(file: &CsvFile<R>) -> Result<Self, ImportError> {
        Ok(Self {
            urn: file.column("URN")?,
            name: file.column("EstablishmentName")?,
            council: file.column("LA (name)")?,
            status: file.column("EstablishmentStatus (name)")?,
            phase: file.column("PhaseOfEducation (name)")?,
            easting: file.column("Easting")?,
            northing: file.column("Northing")?,
            school_type: file.optional_column("TypeOfEstablishment (name)")?,
            type_group: file.optional_column("EstablishmentTypeGroup (name)")?,
            gender: file.optional_column("Gender (name)")?,
            faith: file.optional_column("ReligiousCharacter (name)")?,
            address: [
                file.optional_column("Street")?,
                file.optional_column("Locality")?,
                file.optional_column("Address3")?,
                file.optional_column("Town")?,
                file.optional_column("County (name)")?,
            ],
            postcode: file.optional_column("Postcode")?,
            website: file.optional_column("SchoolWebsite")?,
            age_from: file.optional_column("StatutoryLowAge")?,
            age_to: file.optional_column("StatutoryHighAge")?,
            // Missing in newer registers: Ofsted no longer gives a school a single rating.
            rating: file.optional_column("OfstedRating (name)")?,
            opened: file.optional_column("OpenDate")?,
            closed: file.optional_column("CloseDate")?,
            capacity: file.optional_column("SchoolCapacity")?,
            pupils: file.optional_column("NumberOfPupils")?,
            changed: file.optional_column("LastChangedDate")?,
        })
    }

    /// Returns the school in a row. The outer error ends the import; the inner one is the reason to reject the row.
    fn read<R: Read>(&self, row: &Row<'_, R>) -> Result<Result<NewSchool, String>, ImportError> {
        let texts = Texts {
            urn: row.text(Some(self.urn))?,
            name: row.text(Some(self.name))?,
            council: row.text(Some(self.council))?,
            status: row.text(Some(self.status))?,
            phase: row.text(Some(self.phase))?,
            easting: row.text(Some(self.easting))?,
            northing: row.text(Some(self.northing))?,
            school_type: row.text(self.school_type)?,
            type_group: row.text(self.type_group)?,
            gender: row.text(self.gender)?,
            faith: row.text(self.faith)?,
            address: self.address.iter().filter_map(|at| row.text(*at).transpose()).collect::<Result<_, _>>()?,
            postcode: row.text(self.postcode)?,
            website: row.text(self.website)?,
            age_from: row.text(self.age_from)?,
            age_to: row.text(self.age_to)?,
            rating: row.text(self.rating)?,
            opened: row.text(self.opened)?,
            closed: row.text(self.closed)?,
            capacity: row.text(self.capacity)?,
            pupils: row.text(self.pupils)?,
            changed: row.text(self.changed)?,
        };
        Ok(texts.school())
    }
}

/// A row of the file.
struct Row<'f, R: Read> {
    file: &'f CsvFile<R>,
    record: &'f ByteRecord,
    line: u64,
}

impl<R: Read> Row<'_, R> {
    /// Returns a field's text, trimmed, or `None` where it is blank or its column is not in this file.
    fn text(&self, column: Option<usize>) -> Result<Option<String>, ImportError> {
        let Some(field) = column.and_then(|at| self.record.get(at)) else { return Ok(None) };
        let text = self.file.decode(self.line, field)?;
        let text = text.trim();
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }
}

/// A row's values as the register writes them.
struct Texts {
    urn: Option<String>,
    name: Option<String>,
    council: Option<String>,
    status: Option<String>,
    phase: Option<String>,
    easting: Option<String>,
    northing: Option<String>,
    school_type: Option<String>,
    type_group: Option<String>,
    gender: Option<String>,
    faith: Option<String>,
    address: Vec<String>,
    postcode: Option<String>,
    website: Option<String>,
    age_from: Option<String>,
    age_to: Option<String>,
    rating: Option<String>,
    opened: Option<String>,
    closed: Option<String>,
    capacity: Option<String>,
    pupils: Option<String>,
    changed: Option<String>,
}

impl Texts {
    fn school(self) -> Result<NewSchool, String> {
        let urn = facts::urn_of(self.urn.as_deref())?;
        let place = facts::grid_reference(self.easting.as_deref(), self.northing.as_deref())?;
        let (age_range_from, age_range_to) = facts::ages(self.age_from.as_deref(), self.age_to.as_deref())?;
        let school = NewSchool {
            council: self.council,
            status: facts::status(self.status.as_deref())?,
            phase: self.phase.as_deref().map(facts::phase).transpose()?,
            is_private: facts::is_private(self.type_group.as_deref(), self.school_type.as_deref()),
            school_type: self.school_type,
            gender: self.gender.as_deref().map(facts::gender).transpose()?.flatten(),
            faith: self.faith.map(facts::faith),
            address: (!self.address.is_empty()).then(|| self.address.join(", ")),
            postcode: self.postcode.map(|postcode| postcode.to_uppercase()),
            website_url: self.website.as_deref().and_then(facts::website_url),
            age_range_from,
            age_range_to,
            ofsted_rating: self.rating.as_deref().map(facts::rating).transpose()?.flatten(),
            location: place.map(|(_, location)| location),
            easting: place.map(|(grid, _)| grid.easting),
            northing: place.map(|(grid, _)| grid.northing),
            opened_on: facts::date("OpenDate", self.opened.as_deref())?,
            closed_on: facts::date("CloseDate", self.closed.as_deref())?,
            capacity: facts::count("SchoolCapacity", self.capacity.as_deref())?,
            pupils: facts::count("NumberOfPupils", self.pupils.as_deref())?,
            source_date: facts::date("LastChangedDate", self.changed.as_deref())?,
            ..NewSchool::new(urn, self.name.ok_or("the name is blank")?)
        };
        school.validate().map_err(|error| error.to_string())?;
        Ok(school)
    }
}
