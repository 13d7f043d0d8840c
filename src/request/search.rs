//! A search for schools, and a page of its results.

use serde::{Deserialize, Serialize};

use super::cursor::Cursor;
use super::filter::{
    ClubFilter, Faith, FeeFilter, NoPhase, Ownership, RatingFilter, ReachFilter, SchoolFilter, Unrated,
};
use crate::error::{Error, Result};
use crate::geo::LatLng;
use crate::models::{Gender, Phase, Rating, Status, words};
use crate::units::Kilometres;

/// The most schools that one page may hold.
pub const MAX_LIMIT: u32 = 1_000;

/// The most values that one filter may list: each is a bound parameter.
const MAX_LIST: usize = 1_000;

/// The most clubs of one filter: each is a condition of its own.
const MAX_CLUBS: usize = 10;

/// The default size of a page.
const DEFAULT_LIMIT: u32 = 20;

/// A search: which schools to return, in which order, and how many.
///
/// Every method that takes a search validates it before any SQL. [`InvalidSearch`](Error::InvalidSearch) names the
/// field, as do [`InvalidRadius`](Error::InvalidRadius) for a radius of zero, [`LimitTooLarge`](Error::LimitTooLarge),
/// [`InvalidCursor`](Error::InvalidCursor), [`InvalidText`](Error::InvalidText) and [`TooLong`](Error::TooLong).
///
/// ```
/// use school_finder_db::models::Phase;
/// use school_finder_db::{Kilometres, LatLng, SchoolSearch};
///
/// let search = SchoolSearch::near(LatLng::from_lat_lng(52.0406, -0.7594)?)
///     .within(Kilometres::new(5.0)?)
///     .phase(Phase::Primary)
///     .limit(20);
/// # let _ = search;
/// # Ok::<(), school_finder_db::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SchoolSearch {
    /// The point to measure distances from. `None`: hits have no distance. Setting this field leaves `sort` unchanged;
    /// the constructor [`SchoolSearch::near`] sets both.
    pub near: Option<LatLng>,
    /// The largest distance from `near`, boundary included.
    pub within: Option<Kilometres>,
    /// The conditions that schools must meet.
    pub filter: SchoolFilter,
    /// The order of the schools. Every order ends with the id, and unknown values come last.
    pub sort: Sort,
    /// The size of a page. 0 returns an empty page; more than [`MAX_LIMIT`] is an error.
    pub limit: u32,
    /// The cursor to start after, from an earlier page of the same search.
    pub after: Option<Cursor>,
}

words! {
    /// The order of a search's hits.
    Sort, "sort" {
        /// Nearest first; schools without a location come last.
        Distance = "distance",
        /// By name, [folded](crate::text::fold).
        Name = "name",
        /// Best Ofsted rating first, then by folded name; unrated schools come last.
        Rating = "rating",
        /// Best match first: the whole name, then names that begin with the text, then (unless thousands of schools have
        /// each of the words) those of the same words in another order, then by how many of the text's words are in the
        /// name and not only in the town, the council or the postcode; equal ones by folded name. Requires a
        /// [`name`](SchoolFilter::name).
        Match = "match",
        /// Widest margin first. A year's margin is its last distance offered minus the school's distance from the
        /// search's point. An intake has the smallest margin of its years, and a school the widest of its intakes.
        /// Schools that offered every applicant a place in each of the years come first, nearest first. Requires a
        /// [`ReachFilter`].
        Margin = "margin",
    }
}

/// One page of rows, and the cursor of the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Page<T> {
    /// The rows, in order.
    pub items: Vec<T>,
    /// The cursor of the next page, or `None` on the last one.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Returns a page of these rows.
    pub const fn new(items: Vec<T>, next: Option<Cursor>) -> Self {
        Self { items, next }
    }
}

impl SchoolSearch {
    /// Searches all open schools, nearest to `point` first.
    pub fn near(point: LatLng) -> Self {
        Self { near: Some(point), sort: Sort::Distance, ..Self::open() }
    }

    /// Searches all open schools, by name. Schools that are proposed to close are open. [`status`](Self::status) and
    /// [`any_status`](Self::any_status) search others.
    pub fn open() -> Self {
        Self {
            near: None,
            within: None,
            filter: SchoolFilter::default(),
            sort: Sort::Name,
            limit: DEFAULT_LIMIT,
            after: None,
        }
    }

    /// Keeps only schools within this distance of the search's point.
    #[must_use]
    pub fn within(self, radius: Kilometres) -> Self {
        Self { within: Some(radius), ..self }
    }

    /// Adds a council. The first call limits the search to it.
    #[must_use]
    pub fn council(mut self, name: impl Into<String>) -> Self {
        self.filter.councils.push(name.into());
        self
    }

    /// Adds a phase. The first call limits the search to it. Schools without a phase in the register are then excluded:
    /// most special and independent schools have none. [`phase_by_ages`](Self::phase_by_ages) includes them.
    #[must_use]
    pub fn phase(mut self, phase: Phase) -> Self {
        self.filter.phases.push(phase);
        self
    }

    /// Adds a status. The first call limits the search to it, in place of the open ones.
    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.filter.statuses.push(status);
        self
    }

    /// Searches schools of every status, closed and proposed ones included.
    ///
    /// ```
    /// use school_finder_db::{SchoolSearch, models::Status};
    ///
    /// assert_eq!(SchoolSearch::open().any_status().filter.statuses, Status::ALL);
    /// ```
    #[must_use]
    pub fn any_status(mut self) -> Self {
        self.filter.statuses = Status::ALL.to_vec();
        self
    }

    /// Keeps only schools rated this or better. `unrated` includes or excludes schools without a rating. Today's
    /// register has no ratings, because Ofsted no longer gives a school one overall grade.
    #[must_use]
    pub fn rated(mut self, at_least: Rating, unrated: Unrated) -> Self {
        self.filter.rating = Some(RatingFilter { at_least, unrated });
        self
    }

    /// Keeps only state or only private schools.
    #[must_use]
    pub fn ownership(mut self, ownership: Ownership) -> Self {
        self.filter.ownership = Some(ownership);
        self
    }

    /// Keeps only schools that teach children of this age in years.
    #[must_use]
    pub fn age(mut self, years: i16) -> Self {
        self.filter.age = Some(years);
        self
    }

    /// Keeps only schools that admit a child of this gender; see [`SchoolFilter::gender`].
    #[must_use]
    pub fn gender(mut self, gender: Gender) -> Self {
        self.filter.gender = Some(gender);
        self
    }

    /// Keeps only schools of some, no, or one faith.
    #[must_use]
    pub fn faith(mut self, faith: Faith) -> Self {
        self.filter.faith = Some(faith);
        self
    }

    /// Matches schools without a phase in the register by their ages; see [`NoPhase`].
    #[must_use]
    pub fn phase_by_ages(mut self) -> Self {
        self.filter.no_phase = NoPhase::ByAges;
        self
    }

    /// Keeps only schools with such a club. Two calls require both clubs.
    #[must_use]
    pub fn club(mut self, club: impl Into<ClubFilter>) -> Self {
        self.filter.clubs.push(club.into());
        self
    }

    /// Keeps only schools with a fee in a range.
    #[must_use]
    pub fn fees(mut self, fees: FeeFilter) -> Self {
        self.filter.fees = Some(fees);
        self
    }

    /// Keeps only schools that would have offered a child at the search's point a place; see [`ReachFilter`].
    #[must_use]
    pub fn reached(mut self, reach: ReachFilter) -> Self {
        self.filter.reach = Some(reach);
        self
    }

    /// Keeps only schools with each word of this text; see [`SchoolFilter::name`].
    #[must_use]
    pub fn name(mut self, text: impl Into<String>) -> Self {
        self.filter.name = Some(text.into());
        self
    }

    /// Sets the order.
    #[must_use]
    pub fn sort(self, sort: Sort) -> Self {
        Self { sort, ..self }
    }

    /// Sets the size of a page.
    #[must_use]
    pub fn limit(self, limit: u32) -> Self {
        Self { limit, ..self }
    }

    /// Starts after this cursor.
    #[must_use]
    pub fn after(self, cursor: Cursor) -> Self {
        Self { after: Some(cursor), ..self }
    }

    /// Returns an error for a search that contradicts itself or exceeds a limit. The cursor is not read.
    pub(crate) fn check(&self) -> Result<()> {
        // Destructured without `..`, so that a new condition does not compile until it is validated here.
        let SchoolFilter {
            councils,
            phases,
            no_phase: _,
            statuses,
            rating: _,
            ownership: _,
            age: _,
            gender: _,
            faith,
            clubs,
            fees,
            reach,
            name,
        } = &self.filter;
        if let Some(point) = self.near {
            point.refuse_swapped()?;
        }
        if self.limit > MAX_LIMIT {
            return Err(Error::LimitTooLarge { given: self.limit, max: MAX_LIMIT });
        }
        let has_point = self.near.is_some();
        let least_above_most =
            matches!(fees, Some(FeeFilter { at_least: Some(least), at_most: Some(most), .. }) if least > most);
        let invalid = [
            ("within", self.within.is_some() && !has_point, "a radius needs a point to be measured from"),
            (
                "sort",
                self.sort == Sort::Distance && !has_point,
                "an order by distance needs a point to be measured from",
            ),
            ("sort", self.sort == Sort::Margin && reach.is_none(), "an order by margin needs a reach filter"),
            ("sort", self.sort == Sort::Match && name.is_none(), "an order by match needs a name to search for"),
            ("near", reach.is_some() && !has_point, "a reach filter needs the point of a home"),
            ("reach", reach.as_ref().is_some_and(|reach| reach.years == 0), "`years` of `reach` must be at least 1"),
            ("fees", least_above_most, "of the fees, `at_least` is greater than `at_most`"),
            ("clubs", clubs.len() > MAX_CLUBS, "a filter may list at most 10 clubs"),
            ("councils", councils.len() > MAX_LIST, "a filter may list at most 1,000 councils"),
            ("phases", phases.len() > MAX_LIST, "a filter may list at most 1,000 phases"),
            ("statuses", statuses.len() > MAX_LIST, "a filter may list at most 1,000 statuses"),
        ];
        if let Some((field, _, reason)) = invalid.into_iter().find(|(_, is_invalid, _)| *is_invalid) {
            return Err(Error::InvalidSearch { field, reason });
        }
        if self.within.is_some_and(|radius| radius.get() == 0.0) {
            return Err(Error::InvalidRadius { value: 0.0 });
        }
        // SQLite would search for a NUL; Postgres rejects the parameter.
        let has_nul = |text: &String| text.contains('\0');
        let texts = [
            ("intake", reach.as_ref().and_then(|reach| reach.intake.as_ref()).is_some_and(has_nul)),
            ("councils", councils.iter().any(has_nul)),
            ("faith", matches!(faith, Some(Faith::Is(name)) if has_nul(name))),
        ];
        match texts.into_iter().find(|(_, has_nul)| *has_nul) {
            Some((field, _)) => Err(Error::InvalidText { field, reason: "holds a NUL character" }),
            None => Ok(()),
        }
    }
}
