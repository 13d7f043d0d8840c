//! Links between establishments: the register's `links_edubasealldata` CSV.

use std::io::Read;

use super::csv_file::{Encoding, Layout, Row};
use super::facts::{self, date};
use super::rows::{Found, Reason};
use super::{Import, ImportCounts, ImportError, MAX_FILE_BYTES};
use crate::error::Result;
use crate::ids::Urn;
use crate::models::{LinkKind, NewLink};
use crate::repository::SchoolRepository;
use crate::text::fold;

const LAYOUT: Layout = Layout {
    encoding: Encoding::Windows1252,
    max_bytes: MAX_FILE_BYTES,
    urn: "URN",
    required: &["LinkURN", "LinkName", "LinkType", "LinkEstablishedDate"],
    optional: &[],
    aliases: &[],
};

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
        let mut links = Found::read(self, source, &LAYOUT, link).await?;
        links.refuse_repeated(
            |link| (link.urn, link.linked_urn, link.kind),
            |_, first_line, line| ImportError::DuplicateRow { first_line, line },
        )?;
        let counts = repository.upsert_links(links.take(), links.import.mode).await?;
        Ok(ImportCounts::new(counts, &links.import.rejected))
    }
}

fn link(urn: Urn, row: &Row) -> Result<NewLink, Reason> {
    let link_type = row.text("LinkType").ok_or("the kind of link is blank")?;
    let link = NewLink {
        urn,
        linked_urn: facts::urn(row.text("LinkURN").unwrap_or_default())?,
        kind: kind(link_type),
        linked_name: row.owned("LinkName"),
        link_type: Some(link_type.to_owned()),
        linked_on: date(row, "LinkEstablishedDate")?,
    };
    if link.linked_urn == urn {
        return Err("it links a school to itself".into());
    }
    link.validate()?;
    Ok(link)
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
