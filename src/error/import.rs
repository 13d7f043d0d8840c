//! The errors that stop an import.

/// An error that stopped an import. Nothing was written.
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
    /// The file is of another kind than the import reads.
    #[error("the file is {kind}: {next}")]
    WrongKind {
        /// The kind, by the file's content.
        kind: &'static str,
        /// The next step.
        next: &'static str,
    },
    /// An archive that cannot be unpacked.
    #[error("the {what} {reason}")]
    Archive {
        /// The kind of archive.
        what: &'static str,
        /// The fault, and what to do about it.
        reason: &'static str,
    },
    /// A ZIP archive without a file that can be imported, or with several.
    #[error(
        "{} in the ZIP archive can be imported: unpack it and import one of {members}",
        if *is_ambiguous { "more than one file" } else { "no file" }
    )]
    Members {
        /// The archive's files, up to a number.
        members: String,
        /// Whether several can be imported.
        is_ambiguous: bool,
    },
    /// Every row of the file was rejected.
    #[error("not one of {rows} {unit}{} could be used: nothing was imported", if *rows == 1 { "" } else { "s" })]
    NothingUsable {
        /// The number of rows.
        rows: u64,
        /// `"row"` for a CSV file, `"feature"` for GeoJSON.
        unit: &'static str,
    },
    /// The file is not in the expected encoding.
    #[error("line {line} is in {found}: save the file as CSV in UTF-8, or name its encoding (--encoding)")]
    WrongEncoding {
        /// The line that shows it.
        line: u64,
        /// The encoding, by its bytes.
        found: &'static str,
    },
    /// A label names no encoding in which CSV files are read.
    #[error("{label:?} is no encoding of CSV files: windows-1252, utf-8 and iso-8859-15 are some")]
    UnknownEncoding {
        /// The given label.
        label: String,
    },
    /// The header lacks an essential column.
    #[error("the file has no column {column:?}; its columns are {found}: is it the right file?")]
    MissingColumn {
        /// The column.
        column: &'static str,
        /// The names in the header, up to a number.
        found: String,
    },
    /// The header has a column twice, so that it is unknown which one to read.
    #[error("the file has the column {column:?} twice")]
    DuplicateColumn {
        /// The column.
        column: &'static str,
    },
    /// An option of the import needs a column that the file lacks.
    #[error("{option} needs the column {column:?}, which the file lacks")]
    OptionNeedsColumn {
        /// The program's option.
        option: &'static str,
        /// The column.
        column: &'static str,
    },
    /// A column whose blanks cannot make a value unknown.
    #[error("the column {column:?} cannot be cleared; these can: {columns}")]
    NotClearable {
        /// The given name.
        column: String,
        /// The columns that can be cleared.
        columns: String,
    },
    /// The file names schools, but has no column with facts about them.
    #[error("the file has none of the columns {columns}: nothing was imported")]
    NoFacts {
        /// The columns of facts that are read.
        columns: String,
    },
    /// A row is longer than any valid one, such as after a quotation mark that is never closed.
    #[error("the row that begins in line {line} is longer than {max} bytes: a quotation mark may not be closed")]
    RowTooLong {
        /// The line in which the row begins.
        line: u64,
        /// The most bytes that are read.
        max: u64,
    },
    /// The file is not GeoJSON with outlines.
    #[error("the file cannot be read as outlines in GeoJSON: {reason}")]
    NotGeoJson {
        /// The fault, and where it is.
        reason: String,
    },
    /// The file declares itself incomplete.
    #[error("the file is incomplete: {said}. Download the rest, or import it as it is with --partial")]
    Incomplete {
        /// Its declaration.
        said: String,
    },
    /// The keys of a file match schools by two kinds of key.
    #[error("{key:?} holds {found} of schools in the database: state with --key-is which are meant")]
    UnclearKey {
        /// The property.
        key: String,
        /// The number of matches of each kind.
        found: String,
    },
    /// The unpacked file is too large.
    #[error("the file has more than {max} bytes: import it in parts")]
    TooLarge {
        /// The most bytes that are read.
        max: u64,
    },
    /// The temporary file that an import is read through could not be written.
    #[error("no temporary file could be written: {0}; make room, or name another folder in TMPDIR")]
    NoTemporaryFile(#[source] std::io::Error),
    /// The file could not be read.
    #[error("the file could not be read: {0}")]
    Io(#[from] std::io::Error),
}
