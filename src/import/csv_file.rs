//! An untrusted CSV file: its encoding, its delimiter, its header, its end and the length of its rows.

use std::io::BufReader;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use tempfile::SpooledTempFile;

use super::records::Records;
use super::source::{Opened, Utf8};
use super::{ImportError, values};
use crate::units::kilometres_of;

/// The delimiters that are looked for.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// How many names of columns one message lists, and how many where there are more.
const COLUMNS_SHOWN: usize = 12;
const COLUMNS_SHOWN_OF_MORE: usize = 2;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What is read of a kind of file. Columns are found by their names, whatever their case, spaces and punctuation.
pub(super) struct Layout {
    /// The encoding of the published files. A file in another one is reported.
    pub(super) encoding: &'static Encoding,
    /// The largest file, in bytes.
    pub(super) max_bytes: u64,
    /// The columns that identify a row's school. The first one that the file has is read.
    pub(super) keys: &'static [&'static str],
    /// The other columns that every such file has.
    pub(super) required: &'static [&'static str],
    /// The columns that some files have.
    pub(super) optional: &'static [&'static str],
    /// The columns of distances that some files have: their unit may end their names.
    pub(super) distances: &'static [&'static str],
    /// Further names of columns: each is read where the header lacks the first.
    pub(super) aliases: &'static [(&'static str, &'static str)],
    /// How files without a header are read, of a kind that has such files.
    pub(super) without_header: Option<WithoutHeader>,
}

/// How files without a header are read.
pub(super) struct WithoutHeader {
    /// The names of their columns in the layout. Those without a name are not read.
    pub(super) columns: &'static [&'static str],
    /// Whether the first record of a file is a row, and no header.
    pub(super) is_row: fn(&[String]) -> bool,
}

/// An open CSV file whose header has been read.
pub(super) struct CsvFile {
    records: Records<BufReader<SpooledTempFile>>,
    encoding: &'static Encoding,
    columns: Vec<Column>,
    /// How many columns the header has.
    width: usize,
    /// Where the rows begin: the byte, and the lines before it.
    begins: (u64, u64),
    /// What is to be reported of the file as a whole.
    pub(super) remarks: Vec<String>,
}

/// A column that is read.
pub(super) struct Column {
    /// Its name in the layout.
    pub(super) name: &'static str,
    /// Its name in the file.
    pub(super) header: String,
    /// The kilometres of the unit in its name.
    pub(super) unit: Option<f64>,
    /// Whether a row cannot do without it.
    is_essential: bool,
    /// Its place in the header.
    pub(super) at: usize,
}

/// A row of a file, with the trimmed text of each column that is read.
pub(super) struct Row<'a> {
    /// The line it begins in.
    pub(super) line: u64,
    pub(super) columns: &'a [Column],
    texts: Vec<String>,
    /// How many columns the header has.
    pub(super) width: usize,
    /// How many fields it has, where the header has another number of columns.
    pub(super) odd_fields: Option<usize>,
    /// Whether a quotation mark in its line is not closed, so that only the fields before it are certain.
    pub(super) is_unclosed: bool,
    /// Whether it is the last one, no line break ends it, and its last field is a number that could go on.
    pub(super) may_be_cut_off: bool,
}

impl Row<'_> {
    /// Returns a column and its text, or `None` where the text is unknown or the file lacks the column. In a row with
    /// more fields than columns, only essential columns are known: a delimiter in a value shifts the ones after it.
    pub(super) fn cell(&self, name: &str) -> Option<(&Column, &str)> {
        let at = self.columns.iter().position(|column| column.name == name)?;
        if !self.columns[at].is_essential && self.odd_fields.is_some_and(|fields| fields > self.width) {
            return None;
        }
        Some((&self.columns[at], self.texts[at].as_str())).filter(|(_, text)| !values::is_unknown(text))
    }

    /// Returns a column's text, or `None` where it is unknown or the file lacks the column.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.cell(name).map(|(_, text)| text)
    }
}

impl Layout {
    /// Returns whether a file that begins with these bytes has the columns that every such file has.
    pub(super) fn fits(&self, head: &[u8]) -> bool {
        let header = self.beginning(head).header;
        if self.columns_of(&header).is_some() {
            return true;
        }
        self.key(&header).is_some() && self.required.iter().all(|name| self.positions(&header, name).next().is_some())
    }

    /// Finds the header and the delimiter: the one that gives the most known columns.
    fn beginning(&self, head: &[u8]) -> Beginning {
        let mut skipped = if head.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let rest = &head[skipped..];
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
        let has_both = rest[end..].starts_with(b"\r\n");
        let line = &rest[..(end + 1 + usize::from(has_both)).min(rest.len())];
        // A line that Excel reads: the delimiter.
        let declared = line.trim_ascii_start().strip_prefix(b"sep=").and_then(|rest| rest.first().copied());
        if declared.is_some() {
            skipped += line.len();
        }
        let header = |delimiter| {
            let mut records = Records::new(&head[skipped..], delimiter);
            match records.next() {
                Ok(Some(_)) => records.fields().map(|name| decoded(name, None)).collect(),
                _ => Vec::new(),
            }
        };
        let known = |header: &Vec<String>| match self.columns_of(header) {
            Some(columns) => columns.len(),
            None => header.iter().filter(|name| self.knows(name)).count(),
        };
        let candidates: Vec<u8> = declared.map_or(DELIMITERS.to_vec(), |delimiter| vec![delimiter]);
        let headers = candidates.into_iter().map(|delimiter| (delimiter, header(delimiter)));
        // The first of equals is kept.
        let best = headers.reduce(|best, next| if known(&next.1) > known(&best.1) { next } else { best });
        let (delimiter, header) = best.unwrap_or_default();
        Beginning { skipped: skipped as u64, lines: u64::from(declared.is_some()), delimiter, header }
    }

    /// Returns whether a name in a header is that of a column which is read.
    fn knows(&self, name: &String) -> bool {
        self.names().any(|column| self.positions(std::slice::from_ref(name), column).next().is_some())
    }

    /// Returns the columns of a file without a header, where its first record shows that it has none.
    fn columns_of(&self, first: &[String]) -> Option<Vec<String>> {
        let WithoutHeader { columns, is_row } = self.without_header.as_ref()?;
        let is_without = first.len() == columns.len() && is_row(first);
        is_without.then(|| columns.iter().map(|name| (*name).to_owned()).collect())
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.keys, self.required, self.optional, self.distances].into_iter().flatten().copied()
    }

    /// Returns the column of the header that identifies a row's school.
    fn key(&self, header: &[String]) -> Option<&'static str> {
        self.keys.iter().copied().find(|key| self.positions(header, key).next().is_some())
    }

    /// Returns where a header has a column, under its own name or else under another one.
    fn positions(&self, header: &[String], name: &'static str) -> impl Iterator<Item = usize> {
        let aliases = self.aliases.iter().filter(|(column, _)| *column == name).map(|(_, alias)| *alias);
        let of = |wanted: &str| {
            let wanted = folded(wanted);
            let is_it = |header: &String| {
                let header = folded(header);
                let is_distance = self.distances.contains(&name);
                header == wanted
                    || is_distance && header.strip_prefix(&wanted).is_some_and(|unit| kilometres_of(unit).is_some())
            };
            let found = header.iter().enumerate().filter(|(_, header)| is_it(header));
            found.map(|(at, _)| at).collect::<Vec<_>>()
        };
        let found = std::iter::once(name).chain(aliases).map(of).find(|found| !found.is_empty());
        found.unwrap_or_default().into_iter()
    }
}

/// What precedes a file's rows.
struct Beginning {
    /// How many bytes precede the header.
    skipped: u64,
    /// How many lines precede the header.
    lines: u64,
    delimiter: u8,
    /// The names of the columns.
    header: Vec<String>,
}

impl CsvFile {
    pub(super) fn open(
        opened: Opened,
        layout: &'static Layout,
        encoding: Option<&'static Encoding>,
    ) -> Result<Self, ImportError> {
        let Opened { file, head, bytes: _, utf8 } = opened;
        let mut remarks = Vec::new();
        let encoding = encoding_of(&head, utf8, layout, encoding, &mut remarks)?;
        let Beginning { skipped, lines, delimiter, header: _ } = layout.beginning(&head);
        let mut records = Records::new(file, delimiter);
        records.go_to((skipped, lines))?;
        if records.next()?.is_none() {
            return Err(ImportError::Empty);
        }
        let mut header: Vec<String> = records.fields().map(|name| decoded(name, Some(encoding))).collect();
        if let Some(columns) = layout.columns_of(&header) {
            header = columns;
            records.go_to((skipped, lines))?;
        }
        let mut file = Self {
            begins: (records.bytes, records.lines),
            records,
            encoding,
            columns: Vec::new(),
            width: header.len(),
            remarks,
        };
        let key = layout.key(&header);
        for name in layout.names() {
            let is_needed = layout.required.contains(&name) || key.is_none() && layout.keys.first() == Some(&name);
            let mut positions = layout.positions(&header, name);
            match (positions.next(), positions.next()) {
                (Some(_), Some(_)) if !layout.distances.contains(&name) => {
                    return Err(ImportError::DuplicateColumn { column: name });
                }
                (Some(at), _) if !layout.keys.contains(&name) || key == Some(name) => {
                    let is_essential = layout.keys.contains(&name) || layout.required.contains(&name);
                    let (header, unit) = (header[at].clone(), unit_of(&header[at]));
                    file.columns.push(Column { name, header, unit, is_essential, at });
                }
                (None, _) if is_needed => {
                    return Err(ImportError::MissingColumn { column: name, found: listed(header.iter()) });
                }
                _ => {}
            }
        }
        let is_read = |at: &usize| file.columns.iter().any(|column| column.at == *at);
        let unread = header.iter().enumerate().filter(|(at, name)| !is_read(at) && !name.is_empty());
        let unread: Vec<&String> = unread.map(|(_, name)| name).collect();
        if !unread.is_empty() {
            file.remarks.push(format!("columns that were not read: {}", listed(unread.into_iter())));
        }
        Ok(file)
    }

    /// Returns whether the file has a column.
    pub(super) fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name)
    }

    /// Returns to the first row.
    pub(super) fn rewind(&mut self) -> Result<(), ImportError> {
        self.records.go_to(self.begins)
    }

    /// Returns the next row that has a value, or `None` at the end of a complete file.
    pub(super) fn next_row(&mut self) -> Result<Option<Row<'_>>, ImportError> {
        let (line, is_ended) = loop {
            let Some(record) = self.records.next()? else { return Ok(None) };
            if self.records.fields().any(|field| !field.trim_ascii().is_empty()) {
                break record;
            }
        };
        let fields = self.records.fields().count();
        if fields < self.width && !is_ended {
            return Err(ImportError::Truncated { line });
        }
        // Blanks beyond the header's columns change nothing.
        let is_odd =
            fields < self.width || self.records.fields().skip(self.width).any(|field| !field.trim_ascii().is_empty());
        let texts = self.columns.iter().map(|column| decoded(self.records.field(column.at), Some(self.encoding)));
        Ok(Some(Row {
            line,
            columns: &self.columns,
            texts: texts.collect(),
            width: self.width,
            odd_fields: is_odd.then_some(fields),
            is_unclosed: self.records.is_unclosed,
            may_be_cut_off: !is_ended && self.records.ends_in_number(),
        }))
    }

    /// Returns how many bytes were read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.records.bytes
    }
}

/// Returns the encoding of a file. One that is not that of the published files is remarked on.
fn encoding_of(
    head: &[u8],
    utf8: Utf8,
    layout: &Layout,
    given: Option<&'static Encoding>,
    remarks: &mut Vec<String>,
) -> Result<&'static Encoding, ImportError> {
    if head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF") {
        return Err(ImportError::WrongEncoding { line: 1, found: "UTF-16" });
    }
    match (utf8, given) {
        (_, Some(given)) if given != UTF_8 => Ok(given),
        (Utf8::Valid, _) => Ok(UTF_8),
        (Utf8::CutOff { line }, _) => Err(ImportError::Truncated { line }),
        (Utf8::Invalid { line, .. }, given) if given.is_some() || head.starts_with(BYTE_ORDER_MARK) => {
            Err(ImportError::WrongEncoding { line, found: "an encoding that is not UTF-8" })
        }
        (Utf8::Invalid { line, is_mixture }, _) => {
            let hint = "read as windows-1252: check names with accents, and say another one with --encoding";
            if is_mixture {
                remarks.push(format!("line {line} is not UTF-8 and lines before it are; the file was {hint}"));
            } else if layout.encoding != WINDOWS_1252 {
                remarks.push(format!("line {line} is not UTF-8, so the file was {hint}"));
            }
            Ok(WINDOWS_1252)
        }
    }
}

/// Decodes and trims a text. Where its encoding is not known yet, it is UTF-8 if it can be.
fn decoded(bytes: &[u8], encoding: Option<&'static Encoding>) -> String {
    let text = match (encoding, std::str::from_utf8(bytes)) {
        (Some(encoding), Ok(text)) if text.is_ascii() || encoding == UTF_8 => text.into(),
        (None, Ok(text)) => text.into(),
        (encoding, _) => encoding.unwrap_or(WINDOWS_1252).decode_without_bom_handling(bytes).0,
    };
    text.trim().to_owned()
}

/// Returns a column's name as names are compared.
pub(super) fn folded(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Returns the kilometres of the unit that ends a column's name.
fn unit_of(header: &str) -> Option<f64> {
    kilometres_of(header.rsplit(|c: char| !c.is_alphanumeric()).find(|word| !word.is_empty())?)
}

/// Lists names, up to a number.
fn listed<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let shown = if names.len() > COLUMNS_SHOWN { COLUMNS_SHOWN_OF_MORE } else { COLUMNS_SHOWN };
    let more = names.len().saturating_sub(shown);
    let shown = names.take(shown).map(|name| name.chars().take(40).collect::<String>());
    let shown = shown.collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_columns_are_compared_without_case_and_spaces() {
        assert_eq!(folded(" la (NAME)"), folded("LA (name)"));
        assert_eq!(folded("Academic Year"), folded("academic_year"));
        for (header, km) in [
            ("last_distance_offered_miles", Some(1.609_344)),
            ("Last distance offered (m)", Some(0.001)),
            ("last-distance-offered-miles", Some(1.609_344)),
            ("Last distance offered [m]", Some(0.001)),
            ("Last distance offered", None),
            ("last_distance_offered_km", Some(1.0)),
        ] {
            assert_eq!(unit_of(header), km, "{header}");
        }
    }
}
