//! Why an import stops.

use crate::ids::Urn;

/// Why an import stopped. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file has no header, or no row after it.
    #[error("the file is empty: nothing was imported")]
    Empty,
    /// The file ends in the middle of a row.
    #[error("the file is cut off in line {line}: download it again")]
    Truncated {
        /// The last line.
        line: u64,
    },
    /// The file is in another encoding than it should be.
    #[error("line {line} is in {found}: import the file as it was published")]
    WrongEncoding {
        /// Where it shows.
        line: u64,
        /// The encoding, by its bytes.
        found: &'static str,
    },
    /// The header lacks a column that cannot be done without.
    #[error("the file has no column {column:?}: is it the right file?")]
    MissingColumn {
        /// The column.
        column: &'static str,
    },
    /// The header has a column twice, so that it is unknown which one to read.
    #[error("the file has the column {column:?} twice")]
    DuplicateColumn {
        /// The column.
        column: &'static str,
    },
    /// A row has more or fewer fields than the header.
    #[error("line {line} has {found} fields and the header has {expected}")]
    FieldCount {
        /// The line.
        line: u64,
        /// How many fields it has.
        found: u64,
        /// How many it should have.
        expected: u64,
    },
    /// A row is longer than any honest one, such as after a quotation mark that is never closed.
    #[error("the row that begins in line {line} is longer than {max} bytes: a quotation mark may not be closed")]
    RowTooLong {
        /// Where the row begins.
        line: u64,
        /// The most that is read.
        max: u64,
    },
    /// Two rows are of one school.
    #[error("lines {first_line} and {line} both have URN {urn}")]
    DuplicateUrn {
        /// The school.
        urn: Urn,
        /// The first line.
        first_line: u64,
        /// The second line.
        line: u64,
    },
    /// Two rows are of the same thing, such as one school, year and intake.
    #[error("lines {first_line} and {line} are of the same thing: which is right is unknown")]
    DuplicateRow {
        /// The first line.
        first_line: u64,
        /// The second line.
        line: u64,
    },
    /// The file is not the GeoJSON that is needed.
    #[error("the file is not a GeoJSON FeatureCollection in degrees: {reason}")]
    NotGeoJson {
        /// What is wrong, and where.
        reason: String,
    },
    /// Two features are of one school.
    #[error("features {first} and {second} both have URN {urn}: make them one MultiPolygon")]
    DuplicateFeature {
        /// The school.
        urn: Urn,
        /// The first feature's number.
        first: u64,
        /// The second feature's number.
        second: u64,
    },
    /// The file is larger than what is held in memory.
    #[error("the file has more than {max} bytes: import it in parts")]
    TooLarge {
        /// The most that is read.
        max: u64,
    },
    /// The file could not be read.
    #[error("the file could not be read: {0}")]
    Io(#[from] std::io::Error),
}
