//! Links between establishments: the register's `links_edubasealldata` CSV.

use std::io::Read;

use super::csv_file::Layout;
use super::facts::Facts;
use super::rows::{Found, Reason};
use super::{Import, ImportCounts, MAX_FILE_BYTES};
use crate::error::Result;
use crate::models::{LinkKind, NewLink};
use crate::repository::SchoolRepository;
use crate::text::fold;

const LAYOUT: Layout = Layout {
    encoding: encoding_rs::WINDOWS_1252,
    max_bytes: MAX_FILE_BYTES,
    keys: &["URN"],
    required: &["LinkURN", "LinkType"],
    optional: &["LinkName", "LinkEstablishedDate"],
    distances: &[],
    aliases: &[],
    without_header: None,
};

impl Import {
    /// Imports the register's links between establishments: predecessors, successors and others.
    ///
    /// Neither school of a link needs to be in the database: most closed long ago, and the path to today's school goes
    /// through them. An unusable row is reported and skipped. The import is atomic.
    ///
    /// # Errors
    /// [`Error::Import`](crate::Error::Import) where the file cannot be what it claims; those of the database. Nothing
    /// is written on an error.
    pub async fn links(
        self,
        repository: &dyn SchoolRepository,
        source: impl Read + Send + 'static,
    ) -> Result<ImportCounts> {
        let mut links = Found::read(self, source, &LAYOUT, link).await?;
        links.settle_repeated(|link| (link.urn, link.linked_urn, link.kind), |link| link.urn.to_string());
        let counts = repository.upsert_links(links.take("row")?, links.import.mode).await?;
        Ok(ImportCounts::new(counts, &links.import.rejected))
    }
}

fn link(facts: &mut Facts) -> Result<NewLink, Reason> {
    let urn = facts.urn("URN")?;
    let link_type = facts.text("LinkType").ok_or("the kind of link is blank")?;
    let link = NewLink {
        urn,
        linked_urn: facts.urn("LinkURN")?,
        kind: kind(link_type),
        linked_name: facts.owned("LinkName", 200),
        link_type: facts.owned("LinkType", 200),
        linked_on: facts.date("LinkEstablishedDate"),
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
