//! A small town with invented schools, for examples and tests.
//!
//! Brackenford does not exist: its names are invented, its postcode area is unused, and its URNs are far above the
//! register's. It is located where Milton Keynes is, so that searches near one also find the other.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::Result;
use crate::geo::LatLng;
use crate::ids::{SchoolId, Urn};
use crate::models::{NewAdmissions, NewCatchment, NewCollections, NewSchool};
use crate::repository::SchoolRepository;
use crate::request::WriteMode;

/// The town, as `sample.json` has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Town {
    home: LatLng,
    schools: Vec<NewSchool>,
    catchments: Vec<NewCatchment>,
    admissions: Vec<NewAdmissions>,
    collections: BTreeMap<Urn, NewCollections>,
}

fn town() -> Town {
    serde_json::from_str(include_str!("sample.json"))
        .unwrap_or_else(|_| unreachable!("a constant that the tests parse"))
}

/// Returns a home in the middle of the town.
pub fn home() -> LatLng {
    town().home
}

/// Returns the town's schools: 25 open ones, of which one is proposed to close and another has no location; one closed,
/// and one proposed to open.
///
/// ```
/// use school_finder_db::sample;
///
/// assert_eq!(sample::schools().len(), 27);
/// assert!(sample::schools().iter().all(|school| school.validate().is_ok()));
/// ```
pub fn schools() -> Vec<NewSchool> {
    town().schools
}

/// Returns the outlines of the catchments of some of the town's schools; another has a catchment radius.
///
/// ```
/// use school_finder_db::sample;
///
/// assert!(sample::catchments().iter().all(|catchment| catchment.validate().is_ok()));
/// ```
pub fn catchments() -> Vec<NewCatchment> {
    town().catchments
}

/// Returns admissions of past years of some of the town's schools.
pub fn admissions() -> Vec<NewAdmissions> {
    town().admissions
}

/// Writes the town to an empty database: schools, catchments, admissions, clubs and fees.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// use school_finder_db::{Config, SchoolSearch, connect, sample};
///
/// let finder = connect(&Config::in_memory()).await?;
/// sample::fill(finder.as_ref()).await?;
/// // Which schools would have offered a child from this home a place last year?
/// let page = finder.find_reach(&SchoolSearch::near(sample::home())).await?;
/// assert_eq!(page.items.len(), 3);
/// # Ok::<(), school_finder_db::Error>(())
/// # }).expect("an answer");
/// ```
///
/// # Errors
/// [`DuplicateUrn`](crate::Error::DuplicateUrn) where the town is already stored; those of the database.
pub async fn fill(repository: &dyn SchoolRepository) -> Result<()> {
    let Town { home: _, schools, catchments, admissions, collections } = town();
    let urns: Vec<Urn> = schools.iter().map(|school| school.urn).collect();
    let ids: BTreeMap<Urn, SchoolId> = urns.into_iter().zip(repository.insert_schools(schools).await?).collect();
    repository.upsert_catchments(catchments, WriteMode::Commit).await?;
    repository.upsert_admissions(admissions, WriteMode::Commit).await?;
    for (urn, new) in collections {
        // A new school has version 1.
        repository.replace_collections(ids[&urn], 1, new).await?;
    }
    Ok(())
}
