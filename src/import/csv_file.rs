//! An untrusted CSV file: its encoding, its header, its end and the length of its rows are checked.

use std::borrow::Cow;
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use csv::ByteRecord;
use encoding_rs::WINDOWS_1252;

use super::ImportError;

/// The longest row that is read, in bytes. The register's longest has about 3,000.
const MAX_ROW_BYTES: u64 = 1 << 20;

/// An open CSV file whose header has been read.
pub(super) struct CsvFile<R: Read> {
    reader: csv::Reader<Guard<R>>,
    header: Vec<String>,
    encoding: Encoding,
    watch: Arc<Watch>,
}

/// The encoding of a file without a UTF-8 byte order mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Windows1252,
    Utf8,
}

impl<R: Read> CsvFile<R> {
    pub(super) fn open(source: R, expected: Encoding) -> Result<Self, ImportError> {
        let mut source = BufReader::with_capacity(64 << 10, source);
        let mut first = Vec::with_capacity(3);
        source.by_ref().take(3).read_to_end(&mut first)?;
        let (encoding, first) = match first.as_slice() {
            [] => return Err(ImportError::Empty),
            [0xEF, 0xBB, 0xBF] => (Encoding::Utf8, Vec::new()),
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => {
                return Err(ImportError::WrongEncoding { line: 1, found: "UTF-16" });
            }
            _ => (expected, first),
        };
        let watch = Arc::new(Watch::default());
        let guard = Guard { source: io::Cursor::new(first).chain(source), watch: Arc::clone(&watch) };
        let reader = csv::ReaderBuilder::new().has_headers(false).flexible(false).from_reader(guard);
        let mut file = Self { reader, header: Vec::new(), encoding, watch };
        let Some((_, header)) = file.next_row()? else { return Err(ImportError::Empty) };
        file.header = header
            .iter()
            .map(|field| file.decode(1, field).map(|name| name.trim().to_owned()))
            .collect::<Result<_, ImportError>>()?;
        Ok(file)
    }

    /// Returns the position of a required column.
    pub(super) fn column(&self, name: &'static str) -> Result<usize, ImportError> {
        self.optional_column(name)?.ok_or(ImportError::MissingColumn { column: name })
    }

    /// Returns the position of an optional column.
    pub(super) fn optional_column(&self, name: &'static str) -> Result<Option<usize>, ImportError> {
        let mut positions = self.header.iter().enumerate().filter(|(_, column)| *column == name).map(|(at, _)| at);
        let first = positions.next();
        match positions.next() {
            None => Ok(first),
            Some(_) => Err(ImportError::DuplicateColumn { column: name }),
        }
    }

    /// Returns the next row and its line, or `None` at the end of a complete file.
    pub(super) fn next_row(&mut self) -> Result<Option<(u64, ByteRecord)>, ImportError> {
        let begins = self.line(self.reader.position());
        self.watch.row_begins();
        let mut record = ByteRecord::new();
        match self.reader.read_byte_record(&mut record) {
            Ok(true) if self.watch.has_nul() => {
                Err(ImportError::WrongEncoding { line: begins, found: "UTF-16 or binary data" })
            }
            Ok(true) => Ok(Some((begins, record))),
            Ok(false) if self.watch.is_empty() || self.watch.ends_whole() => Ok(None),
            Ok(false) => Err(ImportError::Truncated { line: begins }),
            Err(error) => Err(self.broken_row(begins, error)),
        }
    }

    /// Returns the line of a position. After `\r
    /// ` the parser is before the `
    /// `, and counts it with the next row.
    fn line(&self, position: &csv::Position) -> u64 {
        let behind = position.byte() > 0 && self.watch.breaks_with_carriage_return();
        position.line() + u64::from(behind)
    }

    fn broken_row(&mut self, begins: u64, error: csv::Error) -> ImportError {
        match error.into_kind() {
            csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
                let line = pos.map_or(begins, |pos| self.line(&pos));
                // A last row that is too short, or that no line break ends, was truncated.
                let last = matches!(self.reader.read_byte_record(&mut ByteRecord::new()), Ok(false));
                if last && (len < expected_len || !self.watch.ends_whole()) {
                    ImportError::Truncated { line }
                } else {
                    ImportError::FieldCount { line, found: len, expected: expected_len }
                }
            }
            csv::ErrorKind::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<TooLong>()) => {
                ImportError::RowTooLong { line: begins, max: MAX_ROW_BYTES }
            }
            csv::ErrorKind::Io(error) => ImportError::Io(error),
            other => ImportError::Io(io::Error::other(format!("{other:?}"))),
        }
    }

    /// Decodes a field.
    ///
    /// Any bytes are valid windows-1252, so UTF-8 would be read as `Ã©` for `é`. Its multi-byte sequences reveal it: as
    /// windows-1252 they are sequences that occur in no name.
    pub(super) fn decode<'f>(&self, line: u64, field: &'f [u8]) -> Result<Cow<'f, str>, ImportError> {
        match (self.encoding, std::str::from_utf8(field)) {
            (Encoding::Utf8, Ok(text)) => Ok(Cow::Borrowed(text)),
            (Encoding::Utf8, Err(_)) => {
                Err(ImportError::WrongEncoding { line, found: "an encoding that is not UTF-8" })
            }
            (Encoding::Windows1252, Ok(text)) if text.is_ascii() => Ok(Cow::Borrowed(text)),
            (Encoding::Windows1252, Ok(_)) => Err(ImportError::WrongEncoding { line, found: "UTF-8" }),
            (Encoding::Windows1252, Err(_)) => Ok(WINDOWS_1252.decode_without_bom_handling(field).0),
        }
    }

    /// Returns how many bytes were read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.watch.bytes.load(Ordering::Relaxed)
    }
}

/// The state of the bytes on their way to the CSV parser.
#[derive(Debug, Default)]
struct Watch {
    bytes: AtomicU64,
    row_begins_at: AtomicU64,
    /// The last byte.
    last: AtomicU8,
    /// The number of quotation marks.
    quotes: AtomicU64,
    /// Whether there was a NUL.
    nul: AtomicBool,
    /// Whether the first line ends in `\r
    /// `.
    carriage_return: AtomicBool,
    first_line_ended: AtomicBool,
}

impl Watch {
    fn row_begins(&self) {
        self.row_begins_at.store(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    fn is_empty(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) == 0
    }

    /// Returns whether the last row is complete. It ends at a line break or, in some published files, at the closing
    /// mark of a quoted field, in which case the file has an even number of quotation marks.
    fn ends_whole(&self) -> bool {
        match self.last.load(Ordering::Relaxed) {
            b'\n' => true,
            b'"' => self.quotes.load(Ordering::Relaxed).is_multiple_of(2),
            _ => false,
        }
    }

    fn breaks_with_carriage_return(&self) -> bool {
        self.carriage_return.load(Ordering::Relaxed)
    }

    fn has_nul(&self) -> bool {
        self.nul.load(Ordering::Relaxed)
    }

    /// Records the next bytes, and returns how many the row has so far.
    fn see(&self, bytes: &[u8]) -> u64 {
        if !self.first_line_ended.load(Ordering::Relaxed)
            && let Some(at) = bytes.iter().position(|byte| *byte == b'\n')
        {
            let before = if at == 0 { self.last.load(Ordering::Relaxed) } else { bytes[at - 1] };
            self.carriage_return.store(before == b'\r', Ordering::Relaxed);
            self.first_line_ended.store(true, Ordering::Relaxed);
        }
        let quotes = bytes.iter().filter(|byte| **byte == b'"').count() as u64;
        self.quotes.fetch_add(quotes, Ordering::Relaxed);
        if bytes.contains(&0) {
            self.nul.store(true, Ordering::Relaxed);
        }
        if let Some(last) = bytes.last() {
            self.last.store(*last, Ordering::Relaxed);
        }
        let count = bytes.len() as u64;
        self.bytes.fetch_add(count, Ordering::Relaxed) + count - self.row_begins_at.load(Ordering::Relaxed)
    }
}

/// Inspects the bytes, and stops at a row that does not end.
struct Guard<R> {
    source: io::Chain<io::Cursor<Vec<u8>>, BufReader<R>>,
    watch: Arc<Watch>,
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        if self.watch.see(&buffer[..count]) > MAX_ROW_BYTES {
            return Err(io::Error::other(TooLong));
        }
        Ok(count)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a row is too long")]
struct TooLong;
