//! The bytes of a published file, which nobody vouches for: unpacked, recognised by their content, and spooled to a
//! temporary file, so that they can be read twice in bounded memory.

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use flate2::read::MultiGzDecoder;
use tempfile::SpooledTempFile;

use super::ImportError;

/// The most bytes that an archive of schools is unpacked to: a small one may unpack to any size.
pub(super) const MAX_UNPACKED_BYTES: u64 = 1 << 30;

/// The most bytes that are held in memory and not in a temporary file.
const MAX_IN_MEMORY: usize = 1 << 20;

/// How many of the first bytes are looked at to recognise a file.
const HEAD_BYTES: u64 = 64 << 10;

/// How many members of an archive are looked at, and how many are named in an error.
const MAX_MEMBERS: usize = 1_000;
const MEMBERS_SHOWN: usize = 10;

/// What an importer reads.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) format: Format,
    /// The largest file, in bytes.
    pub(super) max_bytes: u64,
    /// The most bytes that an archive is unpacked to.
    pub(super) max_unpacked: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    GeoJson,
}

/// Whether the bytes are UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Utf8 {
    Valid,
    /// The last character is incomplete. Other characters beyond ASCII are complete.
    CutOff {
        line: u64,
    },
    /// The first line that is not UTF-8, and whether characters of UTF-8 beyond ASCII precede it.
    Invalid {
        line: u64,
        is_mixture: bool,
    },
}

/// A file, unpacked, at its first byte.
pub(super) struct Opened {
    pub(super) file: BufReader<SpooledTempFile>,
    /// Its first bytes.
    pub(super) head: Vec<u8>,
    /// How many it has.
    pub(super) bytes: u64,
    pub(super) utf8: Utf8,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// Reads a source to its end. An archive is unpacked: gzip, or the one member of a ZIP archive whose first bytes fit. A
/// file of a kind that is not wanted is refused with the next step.
pub(super) fn open(source: impl Read, wanted: Wanted, fits: impl Fn(&[u8]) -> bool) -> Result<Opened, ImportError> {
    let mut opened = spool(source, wanted.max_bytes)?;
    // A ZIP archive in gzip, at most: what is packed more often is no published file.
    for _ in 0..2 {
        opened = if is_zip(&opened) { unzip(opened, wanted, &fits)? } else { unpacked(opened, wanted)? };
    }
    expected(opened, wanted)
}

/// Opens a source as [`open`] does, and passes on every member of a ZIP archive that fits, one after another. Members
/// in a folder called `multi_csv` are parts of the one beside it: they are passed on only where no other member fits.
pub(super) fn open_all(
    source: impl Read,
    wanted: Wanted,
    fits: impl Fn(&[u8]) -> bool,
    mut each: impl FnMut(Opened) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let opened = unpacked(spool(source, wanted.max_bytes)?, wanted)?;
    if !is_zip(&opened) {
        return each(expected(opened, wanted)?);
    }
    let mut archive = Archive::open(opened, wanted, &fits)?;
    let (parts, others): (Vec<_>, Vec<_>) =
        archive.fitting.iter().copied().partition(|at| is_of_parts(&archive.members[*at].1));
    let members = if others.is_empty() { parts } else { others };
    if members.is_empty() {
        return each(expected(archive.only_member()?, wanted)?);
    }
    for at in members {
        each(expected(archive.member(at)?, wanted)?)?;
    }
    Ok(())
}

/// Returns whether a file is in the folder of a release that has its parts.
pub(super) fn is_of_parts(path: &str) -> bool {
    path.to_ascii_lowercase().split(['/', '\\']).any(|folder| folder == "multi_csv")
}

fn is_zip(opened: &Opened) -> bool {
    opened.head.starts_with(b"PK\x03\x04") || opened.head.starts_with(b"PK\x05\x06")
}

/// Unpacks a file that is compressed by gzip.
fn unpacked(opened: Opened, wanted: Wanted) -> Result<Opened, ImportError> {
    if !opened.head.starts_with(b"\x1F\x8B") {
        return Ok(opened);
    }
    let max = wanted.max_bytes.min(wanted.max_unpacked);
    spool(MultiGzDecoder::new(opened.file), max).map_err(|error| damaged("gzip file", error))
}

/// Refuses a file of a kind that is not wanted.
fn expected(opened: Opened, wanted: Wanted) -> Result<Opened, ImportError> {
    match Kind::of(&opened.head) {
        Some(kind) if kind != Kind::GeoJson || wanted.format == Format::Csv => Err(kind.refused(wanted.format)),
        _ => Ok(opened),
    }
}

/// Opens a file of outlines, as [`open`] does. Of a ZIP archive it is the member that looks like GeoJSON.
pub(super) fn open_geojson(source: impl Read, max_bytes: u64) -> Result<Opened, ImportError> {
    let looks_like_it = |head: &[u8]| {
        let is_json = Kind::of(head) == Some(Kind::GeoJson);
        is_json && ["\"Feature", "\"coordinates\""].iter().any(|sign| String::from_utf8_lossy(head).contains(sign))
    };
    open(source, Wanted { format: Format::GeoJson, max_bytes, max_unpacked: MAX_UNPACKED_BYTES }, looks_like_it)
}

/// Copies a source to a temporary file, and checks whether it is UTF-8 on the way.
fn spool(source: impl Read, max: u64) -> Result<Opened, ImportError> {
    let mut source = source.take(max.saturating_add(1));
    let mut spool = SpooledTempFile::new(MAX_IN_MEMORY);
    let (mut bytes, mut check) = (0, Utf8Check::default());
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        bytes += count as u64;
        if bytes > max {
            return Err(ImportError::TooLarge { max });
        }
        check.push(&buffer[..count]);
        spool.write_all(&buffer[..count]).map_err(ImportError::NoTemporaryFile)?;
    }
    if bytes == 0 {
        return Err(ImportError::Empty);
    }
    spool.seek(SeekFrom::Start(0)).map_err(ImportError::NoTemporaryFile)?;
    let mut head = Vec::new();
    Read::by_ref(&mut spool).take(HEAD_BYTES).read_to_end(&mut head)?;
    spool.seek(SeekFrom::Start(0))?;
    Ok(Opened { file: BufReader::with_capacity(64 << 10, spool), head, bytes, utf8: check.end() })
}

/// Unpacks the one member of a ZIP archive that fits.
fn unzip(archive: Opened, wanted: Wanted, fits: &impl Fn(&[u8]) -> bool) -> Result<Opened, ImportError> {
    let mut archive = Archive::open(archive, wanted, fits)?;
    match *archive.fitting.as_slice() {
        [at] => archive.member(at),
        _ => archive.only_member(),
    }
}

/// A ZIP archive.
struct Archive {
    zip: zip::ZipArchive<BufReader<SpooledTempFile>>,
    max: u64,
    /// Its files, each with its place in the archive.
    members: Vec<(usize, String)>,
    /// Which of them fit.
    fitting: Vec<usize>,
}

impl Archive {
    fn open(archive: Opened, wanted: Wanted, fits: &impl Fn(&[u8]) -> bool) -> Result<Self, ImportError> {
        let mut zip = zip::ZipArchive::new(archive.file).map_err(|error| unreadable(&error))?;
        let names: Vec<String> = zip.file_names().map(str::to_owned).collect();
        if let Some(kind) = Kind::of_members(&names) {
            return Err(kind.refused(wanted.format));
        }
        let (mut fitting, mut members) = (Vec::new(), Vec::new());
        for at in 0..zip.len().min(MAX_MEMBERS) {
            let member = zip.by_index(at).map_err(|error| unreadable(&error))?;
            // What macOS adds beside each file.
            if member.is_dir() || member.name().starts_with("__MACOSX/") {
                continue;
            }
            members.push((at, member.name().to_owned()));
            let mut head = Vec::new();
            member.take(HEAD_BYTES).read_to_end(&mut head).map_err(|error| damaged("ZIP archive", error.into()))?;
            if fits(&head) {
                fitting.push(members.len() - 1);
            }
        }
        Ok(Self { zip, max: wanted.max_bytes.min(wanted.max_unpacked), members, fitting })
    }

    /// Unpacks a member.
    fn member(&mut self, at: usize) -> Result<Opened, ImportError> {
        let member = self.zip.by_index(self.members[at].0).map_err(|error| unreadable(&error))?;
        spool(member, self.max).map_err(|error| damaged("ZIP archive", error))
    }

    /// Unpacks the only member, though it does not fit: its error is more precise than that nothing fits.
    fn only_member(&mut self) -> Result<Opened, ImportError> {
        if self.members.len() == 1 {
            return self.member(0);
        }
        let more = if self.members.len() > MEMBERS_SHOWN { ", ..." } else { "" };
        let shown: Vec<&str> = self.members.iter().take(MEMBERS_SHOWN).map(|(_, name)| name.as_str()).collect();
        Err(ImportError::Members { members: shown.join(", ") + more, is_ambiguous: !self.fitting.is_empty() })
    }
}

fn unreadable(error: &zip::result::ZipError) -> ImportError {
    match error {
        zip::result::ZipError::UnsupportedArchive(_) => ImportError::Archive {
            what: "ZIP archive",
            reason: "is encrypted or packed in an unusual way: unpack it and import the file in it",
        },
        _ => ImportError::Archive { what: "ZIP archive", reason: "is cut off or damaged: download it again" },
    }
}

/// Returns the error of an archive whose data cannot be unpacked. Other errors are returned unchanged.
fn damaged(what: &'static str, error: ImportError) -> ImportError {
    match error {
        ImportError::Io(error) if error.raw_os_error().is_none() => {
            ImportError::Archive { what, reason: "is cut off or damaged: download it again" }
        }
        other => other,
    }
}

/// A kind of file that is recognised by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Xlsx,
    Xls,
    OpenDocument,
    Pdf,
    Html,
    Kmz,
    Kml,
    Xml,
    Shapefile,
    EsriJson,
    TopoJson,
    GeoJson,
    Database,
}

impl Kind {
    /// Recognises a file by its first bytes. A text of no other kind is a CSV file, or not known.
    fn of(head: &[u8]) -> Option<Self> {
        let magic = |bytes: &[u8]| head.starts_with(bytes);
        if magic(b"\xD0\xCF\x11\xE0") {
            return Some(Self::Xls);
        } else if magic(b"%PDF") {
            return Some(Self::Pdf);
        } else if magic(b"\x00\x00\x27\x0A") {
            return Some(Self::Shapefile);
        } else if magic(b"SQLite format 3\0") {
            return Some(Self::Database);
        }
        let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
        let text = String::from_utf8_lossy(head.trim_ascii_start());
        match text.chars().next() {
            Some('<') => {
                let text = text.to_ascii_lowercase();
                let is_html = text.starts_with("<!doctype html") || text.contains("<html");
                let is_kml = text.contains("<kml") || text.contains("opengis.net/kml");
                Some(if is_kml {
                    Self::Kml
                } else if is_html {
                    Self::Html
                } else {
                    Self::Xml
                })
            }
            Some('{' | '[' | '\u{1e}') => {
                let dense: String = text.chars().filter(|c| !c.is_whitespace()).collect();
                let is_esri = ["\"esriGeometry", "\"geometryType\":\"esri", "\"rings\":["];
                Some(if dense.contains("\"type\":\"Topology\"") {
                    Self::TopoJson
                } else if is_esri.iter().any(|sign| dense.contains(sign)) {
                    Self::EsriJson
                } else {
                    Self::GeoJson
                })
            }
            _ => None,
        }
    }

    /// Recognises a ZIP archive by the names of its members.
    fn of_members(names: &[String]) -> Option<Self> {
        let ends = |ending: &str| names.iter().any(|name| name.to_ascii_lowercase().ends_with(ending));
        if names.iter().any(|name| name == "xl/workbook.xml" || name == "xl/workbook.bin") {
            Some(Self::Xlsx)
        } else if names.iter().any(|name| name == "META-INF/manifest.xml") && ends("content.xml") {
            Some(Self::OpenDocument)
        } else if ends(".kml") {
            Some(Self::Kmz)
        } else if ends(".shp") {
            Some(Self::Shapefile)
        } else {
            None
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Xlsx => "an Excel workbook (XLSX)",
            Self::Xls => "an Excel workbook (XLS)",
            Self::OpenDocument => "a spreadsheet of LibreOffice (ODS)",
            Self::Pdf => "a PDF",
            Self::Html => "a web page (HTML)",
            Self::Kmz => "a KMZ archive",
            Self::Kml => "KML",
            Self::Xml => "XML",
            Self::Shapefile => "a shapefile",
            Self::EsriJson => "Esri JSON",
            Self::TopoJson => "TopoJSON",
            Self::GeoJson => "JSON",
            Self::Database => "an SQLite database",
        }
    }

    /// Returns the error that says what the file is and what to do.
    fn refused(self, wanted: Format) -> ImportError {
        let next = match (self, wanted) {
            (Self::Html, _) => "the site sent a page, perhaps to log in or of an error: download the file itself",
            (Self::Xlsx | Self::Xls | Self::OpenDocument, Format::Csv) => {
                "save the sheet as CSV (UTF-8), and import that"
            }
            (
                Self::EsriJson | Self::TopoJson | Self::GeoJson | Self::Kml | Self::Kmz | Self::Shapefile,
                Format::Csv,
            ) => "this import reads CSV; `import catchments` reads outlines, as GeoJSON",
            (_, Format::Csv) => "this import reads CSV: download the CSV file, or save the table as one",
            (Self::EsriJson, Format::GeoJson) => {
                "ask the server for f=geojson, or convert it: ogr2ogr -f GeoJSON -t_srs EPSG:4326 out.geojson FILE"
            }
            (Self::Kmz | Self::Kml | Self::Shapefile | Self::TopoJson | Self::Xml, Format::GeoJson) => {
                "convert it: ogr2ogr -f GeoJSON -t_srs EPSG:4326 catchments.geojson FILE"
            }
            (_, Format::GeoJson) => "this import reads GeoJSON: export the outlines as GeoJSON, and import that",
        };
        ImportError::WrongKind { kind: self.name(), next }
    }
}

/// Checks bytes for UTF-8 as they come.
#[derive(Default)]
struct Utf8Check {
    /// The first bytes of a character whose other bytes are to come.
    begun: Vec<u8>,
    lines: u64,
    has_others_than_ascii: bool,
    invalid: Option<Utf8>,
}

impl Utf8Check {
    fn push(&mut self, bytes: &[u8]) {
        if self.invalid.is_some() {
            return;
        }
        let joined;
        let mut bytes = bytes;
        if !self.begun.is_empty() {
            joined = [self.begun.as_slice(), bytes].concat();
            bytes = &joined;
        }
        let result = std::str::from_utf8(bytes);
        let valid = result.as_ref().map_or_else(|error| error.valid_up_to(), |text| text.len());
        self.has_others_than_ascii |= !bytes[..valid].is_ascii();
        self.lines += bytes[..valid].iter().filter(|byte| **byte == b'\n').count() as u64;
        match result {
            Err(error) if error.error_len().is_some() => {
                self.invalid = Some(Utf8::Invalid { line: self.lines + 1, is_mixture: self.has_others_than_ascii });
            }
            _ => self.begun = bytes[valid..].to_vec(),
        }
    }

    fn end(self) -> Utf8 {
        match self.invalid {
            Some(invalid) => invalid,
            None if self.begun.is_empty() => Utf8::Valid,
            None if self.has_others_than_ascii => Utf8::CutOff { line: self.lines + 1 },
            None => Utf8::Invalid { line: self.lines + 1, is_mixture: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf8_of(parts: &[&[u8]]) -> Utf8 {
        let mut check = Utf8Check::default();
        parts.iter().for_each(|part| check.push(part));
        check.end()
    }

    #[test]
    fn utf8_is_checked_across_buffers() {
        assert_eq!(utf8_of(&[b"a\n", b"b"]), Utf8::Valid);
        assert_eq!(utf8_of(&[b"\xC3", b"\xA9"]), Utf8::Valid);
        assert_eq!(utf8_of(&[b"\xE2", b"\x80", b"\x99\n"]), Utf8::Valid);
        assert_eq!(utf8_of(&[b"a\n\xE9", b"t"]), Utf8::Invalid { line: 2, is_mixture: false });
        assert_eq!(utf8_of(&[b"\xC3\xA9\n\n", b"\x92"]), Utf8::Invalid { line: 3, is_mixture: true });
        assert_eq!(utf8_of(&[b"\xC3\xA9 caf\xC3"]), Utf8::CutOff { line: 1 });
        assert_eq!(utf8_of(&[b"caf\xC3"]), Utf8::Invalid { line: 1, is_mixture: false });
    }

    #[test]
    fn an_archive_is_unpacked_within_a_bound() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::copy(&mut io::repeat(b'a').take(100_000), &mut packed).expect("bytes");
        let packed = packed.finish().expect("a file");
        let open = |max_bytes| {
            open(packed.as_slice(), Wanted { format: Format::Csv, max_bytes, max_unpacked: 100_000 }, |_| true)
        };
        assert_eq!(open(100_000).expect("it fits").bytes, 100_000);
        assert!(matches!(open(99_999), Err(ImportError::TooLarge { max: 99_999 })));
    }

    #[test]
    fn kinds_are_recognised_by_their_content() {
        for (head, kind) in [
            (&b"URN,Name\n1,A\n"[..], None),
            (b"\xEF\xBB\xBF <!DOCTYPE html><p>", Some(Kind::Html)),
            (b"<?xml version=\"1.0\"?>\n<kml xmlns=\"http://www.opengis.net/kml/2.2\">", Some(Kind::Kml)),
            (b"<wfs:FeatureCollection>", Some(Kind::Xml)),
            (b"{ \"type\": \"Topology\", \"objects\": {} }", Some(Kind::TopoJson)),
            (b"{\"geometryType\": \"esriGeometryPolygon\"}", Some(Kind::EsriJson)),
            (b"{\"features\":[{\"attributes\":{},\"geometry\":{\"rings\": [[[1,2]]]}}]}", Some(Kind::EsriJson)),
            (b"{\"type\":\"FeatureCollection\"}", Some(Kind::GeoJson)),
            (b"\x1e{\"type\":\"Feature\"}", Some(Kind::GeoJson)),
            (b"%PDF-1.7", Some(Kind::Pdf)),
            (b"\xD0\xCF\x11\xE0\xA1\xB1", Some(Kind::Xls)),
            (b"\x00\x00\x27\x0A\0\0", Some(Kind::Shapefile)),
        ] {
            assert_eq!(Kind::of(head), kind, "{:?}", String::from_utf8_lossy(head));
        }
        let names = |names: &[&str]| Kind::of_members(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["[Content_Types].xml", "xl/workbook.xml"]), Some(Kind::Xlsx));
        assert_eq!(names(&["doc.kml", "files/icon.png"]), Some(Kind::Kmz));
        assert_eq!(names(&["areas.SHP", "areas.dbf"]), Some(Kind::Shapefile));
        assert_eq!(names(&["edubasealldata.csv"]), None);
    }
}
