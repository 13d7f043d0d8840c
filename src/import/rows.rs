//! The rows of a file: read one at a time, or all of them before anything is written.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;
use std::io::Read;

use super::csv_file::{CsvFile, Layout, Row};
use super::{Import, ImportError, facts};
use crate::error::{Error, Result};
use crate::ids::Urn;
use crate::repository::SchoolRepository;
use crate::tasks::blocking;

/// Why a row is rejected.
pub(super) struct Reason(pub(super) String);

impl<E: Display> From<E> for Reason {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Converts a row and its URN to the value to write.
pub(super) type Convert<T> = fn(Urn, &Row) -> Result<T, Reason>;

/// The usable rows of a CSV file, each with its line. Unusable rows are reported and skipped.
pub(super) struct Rows<R, T> {
    import: Import,
    file: CsvFile<R>,
    layout: &'static Layout,
    convert: Convert<T>,
    count: u64,
}

impl<R: Read, T> Rows<R, T> {
    pub(super) fn open(
        import: Import,
        source: R,
        layout: &'static Layout,
        convert: Convert<T>,
    ) -> Result<Self, ImportError> {
        Ok(Self { import, file: CsvFile::open(source, layout)?, layout, convert, count: 0 })
    }

    fn next_usable(&mut self) -> Result<Option<(u64, T)>, ImportError> {
        while let Some(row) = self.file.next_row()? {
            self.count += 1;
            if self.file.bytes_read() > self.layout.max_bytes {
                return Err(ImportError::TooLarge { max: self.layout.max_bytes });
            }
            (self.import.on_progress)(self.count, self.file.bytes_read());
            let urn = row.text(self.layout.urn).unwrap_or_default();
            match facts::urn(urn).map_err(Reason::from).and_then(|urn| (self.convert)(urn, &row)) {
                Ok(value) => return Ok(Some((row.line, value))),
                Err(Reason(reason)) => self.import.reject(row.line, urn, reason),
            }
        }
        if self.count == 0 { Err(ImportError::Empty) } else { Ok(None) }
    }
}

impl<R: Read, T> Iterator for Rows<R, T> {
    type Item = Result<(u64, T), ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_usable().transpose()
    }
}

/// The usable rows of a file that was read to its end, each with its line or number.
pub(super) struct Found<T> {
    pub(super) import: Import,
    pub(super) rows: Vec<(u64, T)>,
}

impl<T: Send + 'static> Found<T> {
    pub(super) async fn read(
        import: Import,
        source: impl Read + Send + 'static,
        layout: &'static Layout,
        convert: Convert<T>,
    ) -> Result<Self> {
        blocking(move || {
            let mut rows = Rows::open(import, source, layout, convert)?;
            let found = rows.by_ref().collect::<Result<_, _>>()?;
            Ok(Self { import: rows.import, rows: found })
        })
        .await
    }

    /// Rejects rows of schools that are not in the database.
    pub(super) async fn reject_unknown_schools(
        &mut self,
        repository: &dyn SchoolRepository,
        urn: fn(&T) -> Urn,
    ) -> Result<()> {
        let urns: Vec<Urn> = self.rows.iter().map(|(_, row)| urn(row)).collect();
        let known: HashSet<Urn> =
            repository.schools_by_urn(&urns).await?.into_iter().map(|school| school.urn).collect();
        for (number, row) in self.rows.extract_if(.., |(_, row)| !known.contains(&urn(row))) {
            let urn = urn(&row);
            self.import.reject(number, &urn.to_string(), Error::UnknownUrn { urn }.to_string());
        }
        Ok(())
    }

    /// Returns an error for a file with two rows of the same key: either may be wrong.
    pub(super) fn refuse_repeated<K: Eq + Hash>(
        &self,
        key: impl Fn(&T) -> K,
        error: impl Fn(&T, u64, u64) -> ImportError,
    ) -> Result<(), ImportError> {
        let mut numbers = HashMap::with_capacity(self.rows.len());
        for (number, row) in &self.rows {
            if let Some(first) = numbers.insert(key(row), *number) {
                return Err(error(row, first, *number));
            }
        }
        Ok(())
    }

    /// Takes the rows to write.
    pub(super) fn take(&mut self) -> Vec<T> {
        self.rows.drain(..).map(|(_, row)| row).collect()
    }
}
