//! The records of a CSV file, whatever its line breaks and quotation marks.

use std::io::{BufRead, Seek, SeekFrom};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::ImportError;

/// The longest row that is read, in bytes. The register's longest has about 3,000.
const MAX_ROW_BYTES: u64 = 1 << 20;

/// The most bytes of a file that are read again after quotation marks that are not closed. It bounds the time that they
/// cost.
const MAX_READ_TWICE: u64 = 64 << 20;

/// The records of a CSV file, each with its line.
pub(super) struct Records<R> {
    source: R,
    delimiter: u8,
    parser: Reader,
    /// How many bytes and lines were read.
    pub(super) bytes: u64,
    pub(super) lines: u64,
    /// The record as it stands in the file.
    raw: Vec<u8>,
    /// The lines that were read as a part of a record and are to be read again, from this byte on.
    again: (Vec<u8>, usize),
    /// How many bytes were to be read again.
    read_twice: u64,
    /// Whether a quotation mark in the record's first line is not closed there.
    pub(super) is_unclosed: bool,
    /// The record's fields, one after another, and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(source: R, delimiter: u8) -> Self {
        let parser = ReaderBuilder::new().delimiter(delimiter).build();
        Self {
            source,
            delimiter,
            parser,
            bytes: 0,
            lines: 0,
            raw: Vec::new(),
            again: (Vec::new(), 0),
            read_twice: 0,
            is_unclosed: false,
            text: vec![0; 4 << 10],
            ends: vec![0; 256],
            count: 0,
        }
    }

    /// Reads the next record that is not an empty line. Returns its line, and whether a line break ends it.
    ///
    /// A quotation mark that is not closed would make one record of all lines up to the next mark. Such a record is
    /// its first line alone, and the other lines are read again.
    pub(super) fn next(&mut self) -> Result<Option<(u64, bool)>, ImportError> {
        self.parser.reset();
        self.raw.clear();
        self.is_unclosed = false;
        let (mut line, mut written, mut ended) = (self.lines + 1, 0, 0);
        loop {
            let begins = self.raw.len();
            let is_ended = self.read_line(line)?;
            if begins == 0 && is_ended && self.raw.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                self.raw.clear();
                line = self.lines + 1;
                continue;
            }
            if self.raw.is_empty() {
                return Ok(None);
            }
            if self.raw[begins..].contains(&0) {
                return Err(ImportError::WrongEncoding { line, found: "UTF-16 or binary data" });
            }
            // Without its line break, the last record is complete where one would end it.
            if !is_ended {
                self.raw.push(b'\n');
            }
            let is_complete = self.parse(begins, &mut written, &mut ended);
            if !is_ended {
                self.raw.pop();
            }
            if is_complete {
                self.count = ended;
                self.is_unclosed = begins > 0 && self.has_unclosed_quote();
                if self.is_unclosed {
                    self.read_again(line)?;
                }
                return Ok(Some((line, is_ended || self.is_unclosed)));
            } else if !is_ended {
                return Err(ImportError::Truncated { line });
            }
        }
    }

    /// Returns whether a field in quotation marks goes on over a line break up to a mark that closes no field.
    fn has_unclosed_quote(&self) -> bool {
        /// What a byte is in.
        enum At {
            Start,
            Unquoted,
            Quoted,
            AfterQuote,
        }
        let (mut at, mut has_break) = (At::Start, false);
        for &byte in &self.raw {
            let is_break = matches!(byte, b'\r' | b'\n');
            at = match (at, byte) {
                (At::Start, b'"') => {
                    has_break = false;
                    At::Quoted
                }
                (At::Quoted, b'"') => At::AfterQuote,
                (At::AfterQuote, b'"') => At::Quoted,
                (At::Quoted, _) => {
                    has_break |= is_break;
                    At::Quoted
                }
                (_, byte) if byte == self.delimiter => At::Start,
                (At::AfterQuote, b' ') => At::AfterQuote,
                (At::AfterQuote, _) if !is_break && has_break => return true,
                _ => At::Unquoted,
            };
        }
        false
    }

    /// Returns all lines of the record but its first one, which is `line`, to be read again.
    fn read_again(&mut self, line: u64) -> Result<(), ImportError> {
        let is_certain = |at: &usize| !self.field(*at).iter().any(|byte| matches!(byte, b'\r' | b'\n'));
        self.count = (0..self.count).take_while(is_certain).count();
        let first = self.raw.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(self.raw.len());
        let has_both = self.raw[first..].starts_with(b"\r\n");
        let end = (first + 1 + usize::from(has_both)).min(self.raw.len());
        let mut again = self.raw.split_off(end);
        self.bytes -= again.len() as u64;
        again.extend_from_slice(&self.again.0[self.again.1..]);
        self.read_twice += again.len() as u64;
        self.again = (again, 0);
        self.lines = line;
        if self.read_twice > MAX_READ_TWICE {
            return Err(ImportError::RowTooLong { line, max: MAX_ROW_BYTES });
        }
        Ok(())
    }

    /// Parses what was read of a record from a byte on, and returns whether that ends it.
    fn parse(&mut self, mut from: usize, written: &mut usize, ended: &mut usize) -> bool {
        loop {
            let (result, read, wrote, fields) =
                self.parser.read_record(&self.raw[from..], &mut self.text[*written..], &mut self.ends[*ended..]);
            from += read;
            *written += wrote;
            *ended += fields;
            match result {
                ReadRecordResult::InputEmpty => return false,
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record | ReadRecordResult::End => return true,
            }
        }
    }

    /// Appends the next line to the record that begins in a line. Returns whether a line break ends it.
    fn read_line(&mut self, record_line: u64) -> Result<bool, ImportError> {
        let again = &self.again.0[self.again.1..];
        if let Some(end) = again.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
            let taken = end + 1 + usize::from(again[end..].starts_with(b"\r\n"));
            self.raw.extend_from_slice(&again[..taken]);
            self.again.1 += taken;
            self.bytes += taken as u64;
            self.lines += 1;
            return Ok(true);
        }
        // The last line of the file, which no line break ends.
        self.raw.extend_from_slice(again);
        self.bytes += again.len() as u64;
        self.again = (Vec::new(), 0);
        let is_ended = loop {
            let buffer = self.source.fill_buf()?;
            let end = buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let taken = end.map_or(buffer.len(), |end| end + 1);
            let has_return = end.is_some_and(|end| buffer[end] == b'\r');
            let is_empty = buffer.is_empty();
            self.raw.extend_from_slice(&buffer[..taken]);
            self.take(taken);
            if has_return && self.source.fill_buf()?.first() == Some(&b'\n') {
                self.raw.push(b'\n');
                self.take(1);
            }
            if self.raw.len() as u64 > MAX_ROW_BYTES {
                return Err(ImportError::RowTooLong { line: record_line, max: MAX_ROW_BYTES });
            }
            if end.is_some() || is_empty {
                break end.is_some();
            }
        };
        self.lines += 1;
        Ok(is_ended)
    }

    fn take(&mut self, bytes: usize) {
        self.source.consume(bytes);
        self.bytes += bytes as u64;
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.count).map(|at| self.field(at))
    }

    /// Returns a field, or an empty one beyond the last.
    pub(super) fn field(&self, at: usize) -> &[u8] {
        if at >= self.count {
            return &[];
        }
        let begins = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.text[begins..self.ends[at]]
    }

    /// Returns whether the last field is a number, with its unit at most, and no mark closes it.
    pub(super) fn ends_in_number(&self) -> bool {
        let last = self.field(self.count.saturating_sub(1)).trim_ascii();
        let is_date = last.iter().any(|byte| matches!(byte, b'-' | b'/'));
        last.first().is_some_and(u8::is_ascii_digit) && !is_date && self.raw.last() != Some(&b'"')
    }
}

impl<R: BufRead + Seek> Records<R> {
    /// Goes to a byte of the file, with the number of lines before it.
    pub(super) fn go_to(&mut self, (byte, lines): (u64, u64)) -> Result<(), ImportError> {
        self.source.seek(SeekFrom::Start(byte))?;
        (self.bytes, self.lines) = (byte, lines);
        (self.again, self.read_twice) = ((Vec::new(), 0), 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(field: &[u8]) -> String {
        String::from_utf8(field.to_vec()).expect("UTF-8")
    }

    fn records(text: &str) -> Vec<(u64, bool, Vec<String>)> {
        let mut records = Records::new(text.as_bytes(), b',');
        let mut all = Vec::new();
        while let Some((line, is_ended)) = records.next().expect("complete") {
            all.push((line, is_ended, records.fields().map(decoded).collect()));
        }
        all
    }

    #[test]
    fn lines_are_counted_with_any_line_break() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["a,b", "", "1,\"x", "y\"", "", "2,\"z\"\"\"", "3,"].join(end);
            let found = records(&text);
            let lines: Vec<_> = found.iter().map(|(line, is_ended, _)| (*line, *is_ended)).collect();
            assert_eq!(lines, [(1, true), (3, true), (6, true), (7, false)], "{end:?}");
            assert_eq!(found[1].2, ["1".to_owned(), format!("x{end}y")], "{end:?}");
            assert_eq!(found[2].2, ["2", "z\""], "{end:?}");
            assert_eq!(found[3].2, ["3", ""], "{end:?}");
        }
    }

    #[test]
    fn a_quotation_mark_that_is_not_closed_cuts_the_file_off() {
        for text in ["a,b\n1,\"x", "a,b\n1,\"x\n", "a,b\n1,\"x\n2,y\n"] {
            let mut records = Records::new(text.as_bytes(), b',');
            records.next().expect("the header");
            assert!(matches!(records.next(), Err(ImportError::Truncated { line: 2 })), "{text:?}");
        }
        assert_eq!(records("a,5\" pipe\n1,2\n").len(), 2, "a mark within a field is a character");
    }

    #[test]
    fn an_unclosed_quotation_mark_takes_no_other_line() {
        for end in ["\n", "\r\n", "\r"] {
            for next in ["3,\"z\"", "3,\"z, w\"", "3,\"z\" ,5", "3,\"y\"\"y\""] {
                let text = ["a,b", "1,\"x", "2,y", next, "4,\"q\"\"q\"", "5,r"].join(end);
                let mut records = Records::new(text.as_bytes(), b',');
                let mut all = Vec::new();
                while let Some((line, is_ended)) = records.next().expect("complete") {
                    all.push((line, decoded(records.field(0)), records.is_unclosed, is_ended));
                }
                let row = |line: u64, first: &str| (line, first.to_owned(), line == 2, line < 6);
                let expected = [row(1, "a"), row(2, "1"), row(3, "2"), row(4, "3"), row(5, "4"), row(6, "5")];
                assert_eq!(all, expected, "{text:?}");
                assert_eq!(records.bytes, text.len() as u64);
            }
        }
        let closed = records("a,b\n1,\"x\ny, \"\"z\"\"\" \n2,\"w\nv\"\n");
        assert_eq!(closed.len(), 3, "a closed field has its lines");
        // Each line but the last seems to close the mark of the line before it, and opens another.
        let text = "a,b\n".to_owned() + &"x\",\"\n".repeat(100_000) + "y\"z\n";
        let mut records = Records::new(text.as_bytes(), b',');
        let refused = std::iter::repeat_with(|| records.next()).find_map(Result::err);
        assert!(matches!(refused, Some(ImportError::RowTooLong { .. })), "{refused:?}");
    }
}
