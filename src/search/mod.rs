//! The search engine that both backends share: validated searches, the probes of an expanding search, cursors, and
//! pages.

mod corrections;
mod cursor;
mod lineage;
mod nearest;
mod radius;
mod reach;
mod rows;
mod words;

pub(crate) use corrections::{Misspelling, is_in_vocabulary, parts, reversed, split};
pub(crate) use cursor::Position;
pub(crate) use lineage::{Step, Walk};
pub(crate) use nearest::Nearest;
#[cfg(feature = "postgres")]
pub(crate) use nearest::SLACK_KM;
pub(crate) use radius::Expansion;
pub(crate) use reach::ALL_OFFERED_KM;
pub(crate) use rows::{CatchmentRow, FacetRow, HitRow, ListedRow, MatchedRow, attach, facets_of, of_today};
pub(crate) use words::{Term, Texts, Word, Words, end_of};

use crate::error::{Error, Result};
use crate::geo::LatLng;
use crate::models::ClubKind;
use crate::request::{Cursor, Page, SchoolSearch, Sort};
use crate::units::Kilometres;

/// The point that distances are measured from, and the search's radius.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Near {
    pub point: LatLng,
    pub radius: Option<Kilometres>,
}

/// A validated search, from which the backends build their SQL.
#[derive(Debug, Clone)]
pub(crate) struct ValidatedSearch {
    pub search: SchoolSearch,
    pub near: Option<Near>,
    /// The words to search for.
    pub words: Option<Words>,
    pub after: Option<Position>,
}

impl ValidatedSearch {
    /// Validates a search, and reads its cursor.
    ///
    /// # Errors
    /// Those that [`SchoolSearch`] lists.
    pub(crate) fn new(search: &SchoolSearch) -> Result<Self> {
        search.check()?;
        let near = search.near.map(|point| Near { point, radius: search.within });
        let (after, corrected) = match &search.after {
            Some(cursor) => {
                let (position, corrected) = cursor::decode(cursor, search)?;
                (Some(position), corrected)
            }
            None => (None, None),
        };
        let words = corrected.or(search.filter.checked_name()?.map(Words::typed));
        Ok(Self { search: search.clone(), near, words, after })
    }

    /// Returns the same search for other words.
    pub(crate) fn with_words(&self, words: Words) -> Self {
        Self { words: Some(words), ..self.clone() }
    }

    /// Returns whether few schools match one of the search's words.
    pub(crate) fn has_driver(&self) -> bool {
        self.words.as_ref().is_some_and(|words| words.driver.is_some())
    }

    /// As [`new`](Self::new), for the catchments that contain the search's point.
    pub(crate) fn for_catchments(search: &SchoolSearch) -> Result<Self> {
        match (search.near, search.sort) {
            (Some(_), Sort::Margin) => {
                Err(Error::InvalidSearch { field: "sort", reason: "catchments have no order by margin" })
            }
            (Some(_), Sort::Match) => {
                Err(Error::InvalidSearch { field: "sort", reason: "catchments have no order by match" })
            }
            (Some(_), Sort::Distance | Sort::Name | Sort::Rating) => Self::new(search),
            (None, _) => Err(Error::InvalidSearch {
                field: "near",
                reason: "catchments are found round a point, and there is none",
            }),
        }
    }

    /// As [`new`](Self::new), for schools whose offers reached the search's point: by its own condition, or by the
    /// latest year of any intake.
    pub(crate) fn for_reach(search: &SchoolSearch) -> Result<Self> {
        let mut search = search.clone();
        search.filter.reach.get_or_insert_default();
        // A cursor belongs to the search that it is given with.
        Self::new(&search)
    }

    /// Returns the same search within this radius. `None`: no place was offered by distance.
    pub(crate) fn bounded_by(&self, widest_km: Option<f64>) -> Self {
        let widest = widest_km.and_then(|km| Kilometres::new(km).ok()).unwrap_or(Kilometres::ZERO);
        Self { near: self.near.map(|near| Near { radius: Some(widest), ..near }), ..self.clone() }
    }

    /// Returns the same search, for schools that have such a club as well.
    pub(crate) fn with_club(&self, kind: ClubKind) -> Self {
        let mut validated = self.clone();
        validated.search.filter.clubs.push(kind.into());
        validated
    }

    /// Returns the search's radius.
    pub(crate) fn radius(&self) -> Option<Kilometres> {
        self.near?.radius
    }

    /// Returns how many rows to fetch: one more than the page holds, which shows whether there is a next page.
    pub(crate) fn fetch(&self) -> i64 {
        i64::from(self.search.limit) + 1
    }

    /// Returns the cursor of a page that ends at this position.
    pub(super) fn cursor(&self, position: &Position) -> Cursor {
        cursor::encode(position, self.words.as_ref().filter(|words| words.is_corrected), &self.search)
    }

    /// Truncates the fetched rows to a page. `position` returns a row's position in the order.
    pub(crate) fn page<R, T>(
        &self,
        mut rows: Vec<R>,
        position: impl Fn(&R) -> Position,
        item: impl Fn(R) -> T,
    ) -> Page<T> {
        let limit = usize::try_from(self.search.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| self.cursor(&position(row)));
        Page { items: rows.into_iter().map(item).collect(), next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Faith;

    fn home() -> LatLng {
        LatLng::from_lat_lng(52.0, -0.7).expect("in range")
    }

    #[test]
    fn contradictions_are_found_before_any_sql() {
        let km = |km| Kilometres::new(km).expect("a distance");
        let reason = |search: SchoolSearch| ValidatedSearch::new(&search).expect_err("refused");
        assert!(matches!(reason(SchoolSearch::open().within(km(1.0))), Error::InvalidSearch { .. }));
        assert!(matches!(reason(SchoolSearch::open().sort(Sort::Distance)), Error::InvalidSearch { .. }));
        assert!(matches!(reason(SchoolSearch::open().sort(Sort::Match)), Error::InvalidSearch { field: "sort", .. }));
        assert!(matches!(reason(SchoolSearch::near(home()).within(km(0.0))), Error::InvalidRadius { .. }));
        assert!(matches!(reason(SchoolSearch::open().limit(1_001)), Error::LimitTooLarge { given: 1_001, max: 1_000 }));
        assert!(matches!(reason(SchoolSearch::open().limit(u32::MAX)), Error::LimitTooLarge { .. }));
        assert!(matches!(reason(SchoolSearch::open().name(" ' ")), Error::InvalidText { field: "name", .. }));
        assert!(matches!(reason(SchoolSearch::open().name("a\0b")), Error::InvalidText { field: "name", .. }));
        assert!(matches!(reason(SchoolSearch::open().council("a\0")), Error::InvalidText { field: "councils", .. }));
        let faith = SchoolSearch::open().faith(Faith::Is("\0".to_owned()));
        assert!(matches!(reason(faith), Error::InvalidText { field: "faith", .. }));
        assert!(matches!(reason(SchoolSearch::open().name("a".repeat(201))), Error::TooLong { .. }));
        assert!(ValidatedSearch::new(&SchoolSearch::near(home()).within(km(1e9)).limit(0)).is_ok());
    }
}
