//! Catchments: the areas that schools serve.

use serde::{Deserialize, Serialize};

use super::school::SchoolHit;
use super::words::words;
use crate::error::Result;
use crate::geo::{Catchment, LatLng};
use crate::ids::{SchoolId, Urn};

words! {
    /// The evidence that a school's catchment contains a point.
    Evidence, "evidence" {
        /// The outline of the catchment contains the point.
        Polygon = "polygon",
        /// The school has no outline, and the point is within its catchment's radius.
        Radius = "radius",
    }
}

/// A school whose catchment contains the search's point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct CatchmentHit {
    /// The school and its distance.
    #[serde(flatten)]
    pub hit: SchoolHit,
    /// The evidence for it.
    pub evidence: Evidence,
}

impl CatchmentHit {
    /// Returns a school and its evidence.
    pub const fn new(hit: SchoolHit, evidence: Evidence) -> Self {
        Self { hit, evidence }
    }
}

/// The stored outline of a school's catchment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, diesel::Queryable)]
#[non_exhaustive]
pub struct SchoolCatchment {
    /// The school.
    pub id: SchoolId,
    /// The school's number in the official register.
    pub urn: Urn,
    /// The outline; in JSON, a GeoJSON geometry.
    pub outline: Catchment,
}

impl SchoolCatchment {
    /// Returns the outline of a school's catchment.
    pub const fn new(id: SchoolId, urn: Urn, outline: Catchment) -> Self {
        Self { id, urn, outline }
    }
}

/// The outline of a catchment to write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCatchment {
    /// The school's number in the official register.
    pub urn: Urn,
    /// The outline, or `None` to remove the stored one; in JSON a `null`, which cannot be left out.
    #[serde(deserialize_with = "Option::deserialize")]
    pub outline: Option<Catchment>,
}

impl NewCatchment {
    /// Checks what no database checks.
    ///
    /// # Errors
    /// [`SuspectSwapped`](crate::Error::SuspectSwapped) where the outline would lie in the United Kingdom with its
    /// coordinates swapped.
    pub fn validate(&self) -> Result<()> {
        self.outline.as_ref().and_then(Catchment::corner).map_or(Ok(()), LatLng::refuse_swapped)
    }
}
