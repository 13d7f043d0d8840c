//! The rows of a file: checked once to its end, and read again or all held before anything is written.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;
use std::io::Read;

use super::csv_file::{CsvFile, Layout};
use super::facts::{self, Facts};
use super::source::{self, Format, MAX_UNPACKED_BYTES, Opened, Wanted};
use super::{Import, ImportError};
use crate::error::Result;
use crate::ids::Urn;
use crate::tasks::blocking;

/// Why a row is rejected.
pub(super) struct Reason(pub(super) String);

impl<E: Display> From<E> for Reason {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// The rows of a CSV file that can be used, each with its line.
pub(super) struct Rows<C> {
    file: CsvFile,
    layout: &'static Layout,
    convert: C,
    /// How many rows were read.
    pub(super) count: u64,
    /// The schools whose rows were rejected, where the URN can be read.
    pub(super) rejected: HashSet<Urn>,
    /// How many rows and bytes of other files were read before this one.
    pub(super) before: (u64, u64),
}

impl<T, C: Fn(&mut Facts) -> Result<T, Reason>> Rows<C> {
    /// Opens a file, and reports what is to be said of it as a whole.
    pub(super) fn open(
        import: &mut Import,
        source: impl Read,
        layout: &'static Layout,
        convert: C,
    ) -> Result<Self, ImportError> {
        let wanted = Wanted { format: Format::Csv, max_bytes: layout.max_bytes, max_unpacked: MAX_UNPACKED_BYTES };
        let opened = source::open(source, wanted, |head| layout.fits(head))?;
        Self::of(import, opened, layout, convert)
    }

    /// Reads an open file, as [`open`](Self::open) does.
    pub(super) fn of(
        import: &mut Import,
        opened: Opened,
        layout: &'static Layout,
        convert: C,
    ) -> Result<Self, ImportError> {
        let mut file = CsvFile::open(opened, layout, import.encoding)?;
        for remark in std::mem::take(&mut file.remarks) {
            import.remark(remark);
        }
        Ok(Self { file, layout, convert, count: 0, rejected: HashSet::new(), before: (0, 0) })
    }

    /// Returns whether the file has a column.
    pub(super) fn has(&self, name: &str) -> bool {
        self.file.has(name)
    }

    /// Returns how many rows and bytes were read, of this file and of those before it.
    pub(super) fn read(&self) -> (u64, u64) {
        (self.before.0 + self.count, self.before.1 + self.file.bytes_read())
    }

    /// Returns the next row that can be used. Reports others, and the values that cannot be read, to `import`, which is
    /// `None` where the file is read again.
    pub(super) fn next(&mut self, mut import: Option<&mut Import>) -> Result<Option<(u64, T)>, ImportError> {
        loop {
            let bytes = self.file.bytes_read();
            let Some(row) = self.file.next_row()? else { break };
            self.count += 1;
            let key = self.layout.keys.iter().find_map(|key| row.text(key)).unwrap_or_default();
            let (value, notes) = if row.is_unclosed {
                (Err("a quotation mark in it is not closed".into()), Vec::new())
            } else {
                let mut facts = Facts::new(&row);
                ((self.convert)(&mut facts), facts.into_notes())
            };
            if let Some(import) = &mut import {
                (import.on_progress)(self.before.0 + self.count, self.before.1 + bytes);
                for note in notes {
                    import.note(row.line, key, note);
                }
                if let Err(Reason(reason)) = &value {
                    import.reject(row.line, key, reason.clone());
                    self.rejected.extend(facts::urn(key));
                }
            }
            if let Ok(value) = value {
                return Ok(Some((row.line, value)));
            }
        }
        if self.count == 0 { Err(ImportError::Empty) } else { Ok(None) }
    }

    /// Returns to the first row, to read the file again.
    pub(super) fn rewind(&mut self) -> Result<(), ImportError> {
        self.count = 0;
        self.file.rewind()
    }
}

/// The usable rows of a file that was read to its end, each with its line or number.
pub(super) struct Found<T> {
    pub(super) import: Import,
    pub(super) rows: Vec<(u64, T)>,
    /// How many rows the file has.
    pub(super) count: u64,
}

impl<T: Send + 'static> Found<T> {
    pub(super) async fn read(
        mut import: Import,
        source: impl Read + Send + 'static,
        layout: &'static Layout,
        convert: impl Fn(&mut Facts) -> Result<T, Reason> + Send + 'static,
    ) -> Result<Self> {
        blocking(move || {
            let mut file = Rows::open(&mut import, source, layout, convert)?;
            let mut rows = Vec::new();
            while let Some(row) = file.next(Some(&mut import))? {
                rows.push(row);
            }
            Ok(Self { import, rows, count: file.count })
        })
        .await
    }

    /// Takes the rows to write, each of which is a `unit`. A file of which no row can be used is an error.
    pub(super) fn take(&mut self, unit: &'static str) -> Result<Vec<T>, ImportError> {
        if self.rows.is_empty() {
            return Err(ImportError::NothingUsable { rows: self.count, unit });
        }
        Ok(self.rows.drain(..).map(|(_, row)| row).collect())
    }
}

impl<T: PartialEq> Found<T> {
    /// Makes rows of one key that agree one row, and rejects those that disagree: which is right is unknown.
    pub(super) fn settle_repeated<K: Eq + Hash>(&mut self, key: impl Fn(&T) -> K, urn: impl Fn(&T) -> String) {
        let mut first: HashMap<K, usize> = HashMap::with_capacity(self.rows.len());
        // Of each row: the line that it repeats, or that contradicts it.
        let mut repeats = vec![false; self.rows.len()];
        let mut contradicts: Vec<Option<u64>> = vec![None; self.rows.len()];
        for (at, (line, row)) in self.rows.iter().enumerate() {
            let earlier = *first.entry(key(row)).or_insert(at);
            if earlier == at {
                continue;
            }
            if self.rows[earlier].1 == *row {
                repeats[at] = true;
            } else {
                contradicts[at] = Some(self.rows[earlier].0);
                contradicts[earlier].get_or_insert(*line);
            }
        }
        // What repeats a row goes the way of that row.
        let mut at = 0;
        let mut rejected = Vec::new();
        self.rows.retain(|(line, row)| {
            let (is_repeated, other) = (repeats[at], contradicts[at]);
            at += 1;
            if let Some(other) = other {
                rejected.push((*line, urn(row), other));
            }
            !is_repeated && other.is_none()
        });
        for (line, urn, other) in rejected {
            self.import.reject(line, &urn, contradiction(other));
        }
    }
}

/// Why a row is rejected that another line contradicts.
pub(super) fn contradiction(other: u64) -> String {
    format!("line {other} has other values for the same: which is right is unknown")
}
