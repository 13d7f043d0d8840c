//! Links between establishments: the register's `links_edubasealldata` CSV.

use std::io::Read;

use super::csv_file::{CsvFile, Encoding};
use super::facts::{date, text_of, urn_of};
use super::rows::{Rows, Unusable, read_rows};
use super::{Import, ImportCounts, ImportError};
use crate::error::Result;
use crate::models::{LinkKind, NewLink};
use crate::repository::SchoolRepository;
use crate::text::fold;

impl Import {
    /// Imports the register's links between establishments: predecessors, successors and others.
    ///
    /// Neither school of a link needs to be in the database: most closed long ago, and the path to today's school goes
    /// through them. An unusable row is reported and skipped. The import is atomic.
    ///
    /// # Errors
    /// [`Error::Import`](crate::Error::Import) where the file cannot be trusted; those of the database. Nothing is
    /// written on an error.
    pub async fn links(
        self,
        repository: &dyn SchoolRepository,
        source: impl Read + Send + 'static,
    ) -> Result<ImportCounts> {
        let (mode, mut rows): (_, Rows<NewLink>) =
            read_rows(self, source, Encoding::Windows1252, Columns::bind, Columns::read).await?;
        rows.refuse_repeated(|link| (link.urn, link.linked_urn, link.kind))?;
        let counts = repository.upsert_links(rows.take(), mode).await?;
        Ok(rows.counts(counts))
    }
}

/// The positions of the file's columns.
struct Columns {
    urn: usize,
    linked_urn: usize,
    linked_name: usize,
    kind: usize,
    linked_on: usize,
}

impl Columns {
    fn bind<R: Read>(file: &CsvFile<R>) -> Result<Self, ImportError> {
        Ok(Self {
            urn: file.column("URN")?,
            linked_urn: file.column("LinkURN")?,
            linked_name: file.column("LinkName")?,
            kind: file.column("LinkType")?,
            linked_on: file.column("LinkEstablishedDate")?,
        })
    }

    fn read(&self, row: &[Option<String>]) -> Result<NewLink, Unusable> {
        let urn = text_of(row, self.urn).unwrap_or_default().to_owned();
        self.link(row).map_err(|reason| Unusable { urn, reason })
    }

    fn link(&self, row: &[Option<String>]) -> Result<NewLink, String> {
        let text = |at: usize| text_of(row, at);
        let urn = urn_of(text(self.urn))?;
        let link_type = text(self.kind).ok_or("the kind of link is blank")?;
        let link = NewLink {
            urn,
            linked_urn: urn_of(text(self.linked_urn))?,
            kind: kind(link_type),
            linked_name: text(self.linked_name).map(str::to_owned),
            link_type: Some(link_type.to_owned()),
            linked_on: date("LinkEstablishedDate", text(self.linked_on))?,
        };
        if link.linked_urn == urn {
            return Err("it links a school to itself".to_owned());
        }
        link.validate().map_err(|error| error.to_string())?;
        Ok(link)
    }
}

/// Returns the relation of the other school in a link, for which the register has many terms. Amalgamations have the
/// same terms for both schools, including the one that continues.
fn kind(link_type: &str) -> LinkKind {
    let folded = fold(link_type);
    match folded.split(' ').next() {
        Some("predecessor") => LinkKind::Predecessor,
        Some("successor") => LinkKind::Successor,
        Some("merged" | "result") => LinkKind::Merged,
        _ => LinkKind::Other,
    }
}
