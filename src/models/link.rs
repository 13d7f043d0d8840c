//! Links between schools.

use chrono::NaiveDate;
use diesel::Queryable;
use serde::{Deserialize, Serialize};

use super::checks::{check_date, check_text};
use super::words::LinkKind;
use crate::error::Result;
use crate::ids::{SchoolId, Urn};

/// A link from one school to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct SchoolLink {
    /// The school that the link belongs to.
    pub urn: Urn,
    /// The other school.
    pub linked_urn: Urn,
    /// The other school's row, where it is stored.
    pub linked_school_id: Option<SchoolId>,
    /// The other school's name.
    pub linked_name: Option<String>,
    /// The relation of the other school to this one.
    pub kind: LinkKind,
    /// The register's words for the link, such as `Successor - amalgamated`.
    pub link_type: Option<String>,
    /// The day since which the link holds.
    pub linked_on: Option<NaiveDate>,
}

impl SchoolLink {
    /// Returns a link to a school that is not stored, with every other value `None`.
    pub const fn new(urn: Urn, linked_urn: Urn, kind: LinkKind) -> Self {
        build! {
            Self { urn, linked_urn, kind }
            None: linked_school_id, linked_name, link_type, linked_on
        }
    }
}

/// A link to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable)]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// The school that the link belongs to. It need not be stored: most linked schools closed long ago.
    pub urn: Urn,
    /// The other school, which need not be stored either.
    pub linked_urn: Urn,
    /// The relation of the other school to this one.
    pub kind: LinkKind,
    /// The other school's name. At most 200 characters.
    pub linked_name: Option<String>,
    /// The register's words for the link. At most 200 characters.
    pub link_type: Option<String>,
    /// The day since which the link holds.
    pub linked_on: Option<NaiveDate>,
}

impl NewLink {
    /// Returns the links that record a merger, from both sides.
    pub(crate) fn merger((from, from_name): (Urn, &str), (into, into_name): (Urn, &str), on: NaiveDate) -> [Self; 2] {
        let link = |urn, linked_urn, linked_name: &str, kind, link_type: &str| Self {
            urn,
            linked_urn,
            kind,
            linked_name: Some(linked_name.to_owned()),
            link_type: Some(link_type.to_owned()),
            linked_on: Some(on),
        };
        [
            link(from, into, into_name, LinkKind::Successor, "Successor - merged"),
            link(into, from, from_name, LinkKind::Predecessor, "Predecessor - merged"),
        ]
    }

    /// Returns these values, or the stored ones where they are `None`.
    #[must_use]
    pub(crate) fn or_stored(self, stored: &Self) -> Self {
        build! {
            Self { urn: self.urn, linked_urn: self.linked_urn, kind: self.kind }
            self or stored: linked_name, link_type, linked_on
        }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let Self { urn: _, linked_urn: _, kind: _, linked_name, link_type, linked_on } = self;
        check_text("linked_name", linked_name.as_ref(), 200)?;
        check_text("link_type", link_type.as_ref(), 200)?;
        check_date("linked_on", *linked_on)
    }
}
