//! Small CSV files that are read completely: every row is validated before anything is written.

use std::collections::HashMap;
use std::hash::Hash;
use std::io::Read;

use super::csv_file::{CsvFile, Encoding};
use super::{Import, ImportCounts, ImportError, MAX_FILE_BYTES, Reject};
use crate::error::{Error, Result};
use crate::ids::Urn;
use crate::models::UpsertCounts;
use crate::repository::SchoolRepository;
use crate::request::WriteMode;
use crate::tasks::blocking;

/// The usable rows of a file, each with its line.
pub(super) struct Rows<T> {
    found: Vec<(u64, T)>,
    rejected: u64,
    on_reject: Box<dyn FnMut(Reject) + Send>,
}

/// Reads a file to its end. `bind` finds the columns. `read` converts a row's fields, trimmed and `None` where blank,
/// to the value to write; its error is the reason to reject the row.
pub(super) async fn read_rows<T, C, R>(
    import: Import,
    source: R,
    encoding: Encoding,
    bind: fn(&CsvFile<R>) -> Result<C, ImportError>,
    read: fn(&C, &[Option<String>]) -> Result<T, Unusable>,
) -> Result<(WriteMode, Rows<T>)>
where
    T: Send + 'static,
    R: Read + Send + 'static,
    C: 'static,
{
    let Import { mode, mut on_progress, on_reject } = import;
    let rows = blocking(move || {
        let mut file = CsvFile::open(source, encoding)?;
        let columns = bind(&file)?;
        let mut rows = Rows { found: Vec::new(), rejected: 0, on_reject };
        let mut count = 0;
        while let Some((line, record)) = file.next_row()? {
            count += 1;
            if file.bytes_read() > MAX_FILE_BYTES {
                return Err(ImportError::TooLarge { max: MAX_FILE_BYTES }.into());
            }
            on_progress(count, file.bytes_read());
            let mut fields = Vec::with_capacity(record.len());
            for field in &record {
                let text = file.decode(line, field)?;
                let text = text.trim();
                fields.push((!text.is_empty()).then(|| text.to_owned()));
            }
            match read(&columns, &fields) {
                Ok(row) => rows.found.push((line, row)),
                Err(Unusable { urn, reason }) => rows.reject(line, urn, reason),
            }
        }
        if count == 0 { Err(ImportError::Empty.into()) } else { Ok(rows) }
    });
    Ok((mode, rows.await?))
}

/// Why a row is rejected.
pub(super) struct Unusable {
    pub(super) urn: String,
    pub(super) reason: String,
}

impl<T> Rows<T> {
    /// Rejects rows of schools that are not in the database.
    pub(super) async fn reject_unknown_schools(
        &mut self,
        repository: &dyn SchoolRepository,
        urn: impl Fn(&T) -> Urn,
    ) -> Result<()> {
        let mut urns: Vec<Urn> = self.found.iter().map(|(_, row)| urn(row)).collect();
        urns.sort_unstable();
        urns.dedup();
        let known: Vec<Urn> = repository.schools_by_urn(&urns).await?.iter().map(|school| school.urn).collect();
        for (line, row) in std::mem::take(&mut self.found) {
            let urn = urn(&row);
            if known.binary_search(&urn).is_ok() {
                self.found.push((line, row));
            } else {
                self.reject(line, urn.to_string(), Error::UnknownUrn { urn }.to_string());
            }
        }
        Ok(())
    }

    /// Returns an error for a file with two rows of the same key: either may be wrong.
    pub(super) fn refuse_repeated<K: Eq + Hash>(&self, key: impl Fn(&T) -> K) -> Result<(), ImportError> {
        let mut lines = HashMap::with_capacity(self.found.len());
        for (line, row) in &self.found {
            if let Some(first_line) = lines.insert(key(row), *line) {
                return Err(ImportError::DuplicateRow { first_line, line: *line });
            }
        }
        Ok(())
    }

    /// Takes the rows to write.
    pub(super) fn take(&mut self) -> Vec<T> {
        std::mem::take(&mut self.found).into_iter().map(|(_, row)| row).collect()
    }

    /// Returns the counts of the import.
    pub(super) fn counts(&self, counts: UpsertCounts) -> ImportCounts {
        let UpsertCounts { inserted, updated, unchanged } = counts;
        ImportCounts { inserted, updated, unchanged, rejected: self.rejected }
    }

    fn reject(&mut self, number: u64, urn: String, reason: String) {
        self.rejected += 1;
        let urn = urn.chars().take(40).collect();
        (self.on_reject)(Reject { number, urn, reason });
    }
}
