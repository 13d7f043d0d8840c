//! An untrusted CSV file: its encoding, its header, its end and the length of its rows are checked.

use std::io::{self, BufReader, Read};

use csv::ByteRecord;
use encoding_rs::WINDOWS_1252;

use super::ImportError;

/// The longest row that is read, in bytes. The register's longest has about 3,000.
const MAX_ROW_BYTES: u64 = 1 << 20;

/// What is read of a kind of file.
pub(super) struct Layout {
    /// The encoding of a file without a UTF-8 byte order mark.
    pub(super) encoding: Encoding,
    /// The largest file, in bytes.
    pub(super) max_bytes: u64,
    /// The column of the URN.
    pub(super) urn: &'static str,
    /// The other columns that every such file has.
    pub(super) required: &'static [&'static str],
    /// The columns that some files have.
    pub(super) optional: &'static [&'static str],
    /// The second names of columns: each is read where the header lacks the first.
    pub(super) aliases: &'static [(&'static str, &'static str)],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Windows1252,
    Utf8,
}

/// An open CSV file whose header has been read.
pub(super) struct CsvFile<R> {
    reader: csv::Reader<Guard<R>>,
    layout: &'static Layout,
    encoding: Encoding,
    /// The columns that are read, and their positions.
    columns: Vec<(&'static str, usize)>,
}

/// A row of a file: its line, and the columns that are read and not blank, with their trimmed texts.
pub(super) struct Row {
    pub(super) line: u64,
    layout: &'static Layout,
    texts: Vec<(&'static str, String)>,
}

impl Layout {
    fn has(&self, column: &str) -> bool {
        self.urn == column || self.required.contains(&column) || self.optional.contains(&column)
    }
}

impl Row {
    /// Returns a column's text, or `None` where it is blank or the file lacks the column.
    pub(super) fn text(&self, column: &str) -> Option<&str> {
        debug_assert!(self.layout.has(column), "{column} is not in the layout");
        self.texts.iter().find(|(name, _)| *name == column).map(|(_, text)| text.as_str())
    }

    /// As [`text`](Self::text), as an owned text.
    pub(super) fn owned(&self, column: &str) -> Option<String> {
        self.text(column).map(str::to_owned)
    }
}

impl<R: Read> CsvFile<R> {
    pub(super) fn open(source: R, layout: &'static Layout) -> Result<Self, ImportError> {
        let mut source = BufReader::with_capacity(64 << 10, source);
        let mut first = Vec::with_capacity(3);
        source.by_ref().take(3).read_to_end(&mut first)?;
        let (encoding, first) = match first.as_slice() {
            [] => return Err(ImportError::Empty),
            [0xEF, 0xBB, 0xBF] => (Encoding::Utf8, Vec::new()),
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => {
                return Err(ImportError::WrongEncoding { line: 1, found: "UTF-16" });
            }
            _ => (layout.encoding, first),
        };
        let guard = Guard {
            source: io::Cursor::new(first).chain(source),
            bytes: 0,
            row_begins_at: 0,
            last: 0,
            quotes: 0,
            has_nul: false,
            has_carriage_returns: None,
        };
        let reader = csv::ReaderBuilder::new().has_headers(false).flexible(false).from_reader(guard);
        let mut file = Self { reader, layout, encoding, columns: Vec::new() };
        let Some((_, header)) = file.next_record()? else { return Err(ImportError::Empty) };
        let header = header.iter().map(|name| file.decode(1, name)).collect::<Result<Vec<_>, _>>()?;
        for column in [&[layout.urn][..], layout.required, layout.optional].concat() {
            let mut at = position(&header, column)?;
            if let (None, Some((_, alias))) = (at, layout.aliases.iter().find(|(name, _)| *name == column)) {
                at = position(&header, alias)?;
            }
            match at {
                Some(at) => file.columns.push((column, at)),
                None if layout.optional.contains(&column) => {}
                None => return Err(ImportError::MissingColumn { column }),
            }
        }
        Ok(file)
    }

    /// Returns the next row, or `None` at the end of a complete file.
    pub(super) fn next_row(&mut self) -> Result<Option<Row>, ImportError> {
        let Some((line, record)) = self.next_record()? else { return Ok(None) };
        let mut texts = Vec::with_capacity(self.columns.len());
        for (column, at) in &self.columns {
            let text = self.decode(line, record.get(*at).unwrap_or_default())?;
            if !text.is_empty() {
                texts.push((*column, text));
            }
        }
        Ok(Some(Row { line, layout: self.layout, texts }))
    }

    fn next_record(&mut self) -> Result<Option<(u64, ByteRecord)>, ImportError> {
        let begins = self.line(self.reader.position());
        let guard = self.reader.get_mut();
        guard.row_begins_at = guard.bytes;
        let mut record = ByteRecord::new();
        let read = self.reader.read_byte_record(&mut record);
        let guard = self.reader.get_ref();
        match read {
            Ok(true) if guard.has_nul => {
                Err(ImportError::WrongEncoding { line: begins, found: "UTF-16 or binary data" })
            }
            Ok(true) => Ok(Some((begins, record))),
            Ok(false) if guard.bytes == 0 || guard.is_complete() => Ok(None),
            Ok(false) => Err(ImportError::Truncated { line: begins }),
            Err(error) => Err(self.broken_row(begins, error)),
        }
    }

    /// Returns the line of a position. After `\r\n` the parser is before the `\n`, and counts it with the next row.
    fn line(&self, position: &csv::Position) -> u64 {
        let is_behind = position.byte() > 0 && self.reader.get_ref().has_carriage_returns == Some(true);
        position.line() + u64::from(is_behind)
    }

    fn broken_row(&mut self, begins: u64, error: csv::Error) -> ImportError {
        match error.into_kind() {
            csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
                let line = pos.map_or(begins, |pos| self.line(&pos));
                // A last row that is too short, or that no line break ends, was truncated.
                let last = matches!(self.reader.read_byte_record(&mut ByteRecord::new()), Ok(false));
                if last && (len < expected_len || !self.reader.get_ref().is_complete()) {
                    ImportError::Truncated { line }
                } else {
                    ImportError::FieldCount { line, found: len, expected: expected_len }
                }
            }
            csv::ErrorKind::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<RowTooLong>()) => {
                ImportError::RowTooLong { line: begins, max: MAX_ROW_BYTES }
            }
            csv::ErrorKind::Io(error) => ImportError::Io(error),
            other => ImportError::Io(io::Error::other(format!("{other:?}"))),
        }
    }

    /// Decodes and trims a field.
    ///
    /// Any bytes are valid windows-1252, so UTF-8 would be read as `Ã©` for `é`. Its multi-byte sequences reveal it: as
    /// windows-1252 they are sequences that occur in no name.
    fn decode(&self, line: u64, field: &[u8]) -> Result<String, ImportError> {
        let found = match (self.encoding, std::str::from_utf8(field)) {
            (Encoding::Utf8, Ok(text)) => return Ok(text.trim().to_owned()),
            (Encoding::Windows1252, Ok(text)) if text.is_ascii() => return Ok(text.trim().to_owned()),
            (Encoding::Windows1252, Err(_)) => {
                return Ok(WINDOWS_1252.decode_without_bom_handling(field).0.trim().to_owned());
            }
            (Encoding::Utf8, Err(_)) => "an encoding that is not UTF-8",
            (Encoding::Windows1252, Ok(_)) => "UTF-8",
        };
        Err(ImportError::WrongEncoding { line, found })
    }

    /// Returns how many bytes were read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.reader.get_ref().bytes
    }
}

fn position(header: &[String], column: &'static str) -> Result<Option<usize>, ImportError> {
    let mut positions = header.iter().enumerate().filter(|(_, name)| *name == column).map(|(at, _)| at);
    let first = positions.next();
    match positions.next() {
        None => Ok(first),
        Some(_) => Err(ImportError::DuplicateColumn { column }),
    }
}

/// Inspects the bytes on their way to the CSV parser, and stops at a row that does not end.
struct Guard<R> {
    source: io::Chain<io::Cursor<Vec<u8>>, BufReader<R>>,
    bytes: u64,
    row_begins_at: u64,
    /// The last byte.
    last: u8,
    /// The number of quotation marks.
    quotes: u64,
    has_nul: bool,
    /// Whether the first line ends in `\r\n`, or `None` before its end.
    has_carriage_returns: Option<bool>,
}

impl<R> Guard<R> {
    /// Returns whether the last row is complete. It ends at a line break or, in some published files, at the closing
    /// mark of a quoted field, in which case the file has an even number of quotation marks.
    fn is_complete(&self) -> bool {
        match self.last {
            b'\n' => true,
            b'"' => self.quotes.is_multiple_of(2),
            _ => false,
        }
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        let bytes = &buffer[..count];
        if self.has_carriage_returns.is_none()
            && let Some(at) = bytes.iter().position(|byte| *byte == b'\n')
        {
            let before = if at == 0 { self.last } else { bytes[at - 1] };
            self.has_carriage_returns = Some(before == b'\r');
        }
        self.quotes += bytes.iter().filter(|byte| **byte == b'"').count() as u64;
        self.has_nul |= bytes.contains(&0);
        self.last = bytes.last().copied().unwrap_or(self.last);
        self.bytes += count as u64;
        if self.bytes - self.row_begins_at > MAX_ROW_BYTES {
            return Err(io::Error::other(RowTooLong));
        }
        Ok(count)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a row is too long")]
struct RowTooLong;
