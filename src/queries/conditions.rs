//! The conditions of a search, as filters of a query.

use diesel::backend::Backend;
use diesel::dsl::{exists, not};
use diesel::expression::{AppearsOnTable, Expression, ValidGrouping, is_aggregate};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Bool, BoolOrNullableBool, Double, Integer, Nullable, SmallInt, Text};

use super::nearest::index_condition;
use super::phase_by_ages::counts_as;
use crate::geo::LatLng;
use crate::models::{Gender, Phase, Weekday};
use crate::request::{
    ClubFilter, Faith, FeeFilter, NO_FAITH, NoPhase, Ownership, RatingFilter, ReachFilter, SchoolFilter, Sort, Unrated,
};
use crate::search::{Position, Term, ValidatedSearch, Word, Words, end_of};
use crate::units::Money;

use super::super::dialect::{Db, few_rows, haversine};
use super::super::schema::{
    admissions_reach, private_school_fees, school_clubs, school_identifiers, school_words, schools,
};

diesel::infix_operator!(BitAnd, " & ", SmallInt);
diesel::infix_operator!(Minus, " - ", Double);

/// A boxed condition on a row of `schools`.
///
/// Diesel checks that it fits the table where it is created, but then accepts it in any query. The caller must use it
/// only in queries that have `schools` among their tables.
pub(in super::super) struct Condition(Box<dyn QueryFragment<Db> + Send>);

impl Condition {
    pub(in super::super) fn new<C>(condition: C) -> Self
    where
        C: AppearsOnTable<schools::table> + QueryFragment<Db> + Send + 'static,
        C::SqlType: BoolOrNullableBool,
    {
        Self(Box::new(condition))
    }

    /// Returns a condition on a row of `school_words`, for a query of that table alone.
    fn on_words<C>(condition: C) -> Self
    where
        C: AppearsOnTable<school_words::table> + QueryFragment<Db> + Send + 'static,
        C::SqlType: BoolOrNullableBool,
    {
        Self(Box::new(condition))
    }
}

impl Expression for Condition {
    type SqlType = Nullable<Bool>;
}

impl<Tables> AppearsOnTable<Tables> for Condition {}

impl<Groups> ValidGrouping<Groups> for Condition {
    type IsAggregate = is_aggregate::No;
}

// Its type does not determine its SQL.
impl QueryId for Condition {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Db> for Condition {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }
}

/// The condition "open now", which includes schools that are proposed to close.
///
/// It is literal SQL, since a partial index serves only queries that repeat its condition exactly: a bound parameter
/// (`status = ?`) does not match. Keep it equal to that of the migrations' `ix_schools_open_...` indexes. It is a type
/// of its own, since a query with [`diesel::dsl::sql`] is prepared anew each time.
#[derive(Debug, Clone, Copy, QueryId, ValidGrouping)]
pub(in super::super) struct OpenNow;

impl Expression for OpenNow {
    type SqlType = Bool;
}

impl AppearsOnTable<schools::table> for OpenNow {}

impl<DB: Backend> QueryFragment<DB> for OpenNow {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("schools.status IN ('open', 'proposed_to_close')");
        Ok(())
    }
}

/// The conditions of a search's filter, grouped by the indexes that serve them.
pub(in super::super) struct Conditions {
    /// [`OpenNow`], unless the search names statuses.
    pub(in super::super) open: Option<Condition>,
    /// The condition on the council.
    pub(in super::super) council: Option<Condition>,
    /// The condition on a word that few schools have.
    pub(in super::super) word: Option<Condition>,
    /// All other conditions.
    pub(in super::super) others: Vec<Condition>,
}

impl Conditions {
    /// Returns all conditions.
    pub(in super::super) fn all(self) -> impl Iterator<Item = Condition> {
        self.open.into_iter().chain(self.council).chain(self.word).chain(self.others)
    }
}

/// Returns the conditions of a search: its radius, first as an index serves it and then exactly, and its filter.
pub(in super::super) fn conditions(validated: &ValidatedSearch) -> impl Iterator<Item = Condition> {
    let exact = validated.radius().map(|radius| Condition::new(distance(validated).le(radius.get())));
    index_condition(validated).into_iter().chain(exact).chain(filter_conditions(validated).all())
}

/// Returns the condition that a column has one of the values, or `None` for an empty list. A single value is compared
/// with `=`: SQLite prepares a query with a list anew each time, and reads an index in order only for `=`.
macro_rules! one_of {
    ($column:expr, $values:expr) => {
        match $values.as_slice() {
            [] => None,
            [value] => Some(Condition::new($column.eq(value.clone()))),
            values => Some(Condition::new($column.eq_any(values.to_vec()))),
        }
    };
}

diesel::alias!(admissions_reach as named: Named);

/// Returns the rows of a school's reach over so many years that count for an intake, or for any: those of intakes that
/// match, and where there is none, those without an intake, which may be of any.
macro_rules! reach_rows {
    ($intake:expr, $years:expr) => {{
        let intake: Option<String> = $intake;
        macro_rules! matches {
            ($column:expr) => {{
                let is_any = intake.is_none().into_sql::<Bool>().nullable();
                is_any.and($column.is_not_null().nullable()).or($column.eq(intake.clone().unwrap_or_default()))
            }};
        }
        let is_of_school = named.field(admissions_reach::school_id).eq(schools::id);
        let has_named = exists(named.filter(is_of_school).filter(matches!(named.field(admissions_reach::intake))));
        admissions_reach::table
            .filter(admissions_reach::school_id.eq(schools::id))
            .filter(admissions_reach::recency.eq(i64::from($years)))
            .filter(
                matches!(admissions_reach::intake)
                    .or(admissions_reach::intake.is_null().and(not(has_named)).nullable()),
            )
    }};
}

/// Returns the conditions of a search's filter. The filter is destructured without `..`, so that a new field does not
/// compile until it is handled here.
pub(in super::super) fn filter_conditions(validated: &ValidatedSearch) -> Conditions {
    let SchoolFilter {
        councils,
        phases,
        no_phase,
        statuses,
        rating,
        ownership,
        age,
        gender,
        faith,
        clubs,
        fees,
        reach,
        // `validated.words` has its words.
        name: _,
    } = &validated.search.filter;
    let open = statuses.is_empty().then(|| Condition::new(OpenNow));
    let council = one_of!(schools::council, councils);
    let mut others: Vec<Condition> = one_of!(schools::status, statuses).into_iter().collect();
    match no_phase {
        NoPhase::Exclude => others.extend(one_of!(schools::phase, phases)),
        NoPhase::ByAges if phases.is_empty() => {}
        NoPhase::ByAges => {
            let has_none = schools::phase.is_null().nullable().or(schools::phase.eq(Phase::NotApplicable));
            others.push(Condition::new(schools::phase.eq_any(phases.clone()).or(has_none.and(counts_as(phases)))));
        }
    }
    match rating {
        Some(RatingFilter { at_least, unrated: Unrated::Exclude }) => {
            others.push(Condition::new(schools::ofsted_rating.le(*at_least)));
        }
        Some(RatingFilter { at_least, unrated: Unrated::Include }) => {
            let unrated = schools::ofsted_rating.is_null().nullable();
            others.push(Condition::new(schools::ofsted_rating.le(*at_least).or(unrated)));
        }
        None => {}
    }
    if let Some(ownership) = ownership {
        others.push(Condition::new(schools::is_private.eq(*ownership == Ownership::Private)));
    }
    if let Some(age) = age {
        others.push(Condition::new(schools::age_range_from.le(*age)));
        others.push(Condition::new(schools::age_range_to.ge(*age)));
    }
    match gender {
        Some(Gender::Mixed) => others.push(Condition::new(schools::gender.eq(Gender::Mixed))),
        Some(child @ (Gender::Boys | Gender::Girls)) => {
            others.push(Condition::new(schools::gender.eq(Gender::Mixed).or(schools::gender.eq(*child))));
        }
        None => {}
    }
    match faith {
        Some(Faith::Any) => others.push(Condition::new(schools::faith.ne(NO_FAITH))),
        Some(Faith::None) => others.push(Condition::new(schools::faith.eq(NO_FAITH))),
        Some(Faith::Is(name)) => others.push(Condition::new(schools::faith.eq(name.clone()))),
        None => {}
    }
    for ClubFilter { kind, on, until } in clubs {
        let of_kind =
            school_clubs::table.filter(school_clubs::school_id.eq(schools::id)).filter(school_clubs::kind.eq(*kind));
        let on_day = |day: &Weekday| BitAnd::new(school_clubs::days, day.bit().into_sql::<SmallInt>()).ne(0);
        others.push(match (on, until) {
            (None, None) => Condition::new(exists(of_kind)),
            (Some(day), None) => Condition::new(exists(of_kind.filter(on_day(day)))),
            (None, Some(time)) => Condition::new(exists(of_kind.filter(school_clubs::ends_at.ge(*time)))),
            (Some(day), Some(time)) => {
                Condition::new(exists(of_kind.filter(on_day(day)).filter(school_clubs::ends_at.ge(*time))))
            }
        });
    }
    if let Some(FeeFilter { academic_year, age, at_least, at_most }) = fees {
        let (low, high) = (at_least.clone().unwrap_or(Money::LEAST), at_most.clone().unwrap_or(Money::MOST));
        let fit = private_school_fees::table
            .filter(private_school_fees::school_id.eq(schools::id))
            .filter(private_school_fees::academic_year.eq(*academic_year))
            .filter(private_school_fees::age_from.le(*age))
            .filter(private_school_fees::age_to.ge(*age))
            .filter(private_school_fees::per_year.between(low, high));
        others.push(Condition::new(exists(fit)));
    }
    if let Some(ReachFilter { intake, years }) = reach {
        let least_km = admissions_reach::least_km.nullable();
        others
            .push(Condition::new(exists(reach_rows!(intake.clone(), *years).filter(least_km.ge(distance(validated))))));
    }
    let mut word = None;
    if let Some(words) = &validated.words {
        for (at, term) in words.terms.iter().enumerate() {
            if words.driver == Some(at) {
                word = Some(driving_condition(term));
            } else {
                others.push(term_condition(term));
            }
        }
    }
    Conditions { open, council, word, others }
}

/// Returns the conditions of a search on statuses and words alone, by which typing errors are corrected.
pub(super) fn word_conditions(validated: &ValidatedSearch) -> impl Iterator<Item = Condition> {
    let mut alone = validated.clone();
    alone.search.filter =
        SchoolFilter { statuses: validated.search.filter.statuses.clone(), ..SchoolFilter::default() };
    filter_conditions(&alone).all()
}

/// Returns the condition that a school matches a term of which few schools have a word: their ids come first.
fn driving_condition(term: &Term) -> Condition {
    match term {
        Term::Word(word) => {
            let ids = school_words::table.filter(word_is(word)).select(school_words::school_id);
            Condition::new(schools::id.eq_any(few_rows!(ids)))
        }
        Term::Urn(_) | Term::Laestab(_) => term_condition(term),
    }
}

/// Returns the condition that a school matches a term.
fn term_condition(term: &Term) -> Condition {
    match term {
        Term::Urn(urn) => Condition::new(schools::urn.eq(*urn)),
        Term::Laestab(laestab) => {
            let ids = school_identifiers::table
                .filter(school_identifiers::la_code.eq(laestab.la_code()))
                .filter(school_identifiers::establishment_number.eq(laestab.establishment_number()))
                .select(school_identifiers::school_id);
            Condition::new(schools::id.eq_any(ids))
        }
        Term::Word(word) => {
            let of_school = school_words::table.filter(school_words::school_id.eq(schools::id));
            Condition::new(exists(of_school.filter(word_is(word))))
        }
    }
}

/// Returns the condition that a word of a school's name matches.
pub(super) fn in_name(word: &Word) -> Condition {
    let of_school = school_words::table.filter(school_words::school_id.eq(schools::id));
    Condition::new(exists(of_school.filter(word_is(word)).filter(school_words::in_name)))
}

/// Returns the condition that the word in a row of `school_words` matches.
pub(super) fn word_is(word: &Word) -> Condition {
    let begins = |prefix: &str| school_words::word.ge(prefix.to_owned()).and(school_words::word.lt(end_of(prefix)));
    match (&word.prefix, word.whole.as_slice()) {
        (Some(prefix), []) => Condition::on_words(begins(prefix)),
        (Some(prefix), whole) => Condition::on_words(begins(prefix).or(school_words::word.eq_any(whole.to_vec()))),
        (None, [word]) => Condition::on_words(school_words::word.eq(word.clone())),
        (None, words) => Condition::on_words(school_words::word.eq_any(words.to_vec())),
    }
}

diesel::define_sql_function! {
    /// The number of a text's characters.
    fn length(text: Text) -> Integer;
}

/// The rank of a school's name in the order by match: 0 is the whole text, 1 begins with it, and 2 has all its words
/// and no more letters. From 3 on the rank counts the words that are not in the name.
pub(in super::super) struct Rank {
    is_whole: Condition,
    begins: Condition,
    has_no_others: Vec<Condition>,
    in_name: Vec<Condition>,
}

impl Rank {
    /// The rank of a name that has all words, and others.
    pub(in super::super) const ALL: i32 = 3;

    pub(in super::super) fn new(words: &Words) -> Self {
        Self {
            is_whole: Condition::new(schools::name_folded.eq(words.text.clone())),
            begins: Condition::new(begins(words)),
            has_no_others: has_no_others(words),
            in_name: words_in_name(words).collect(),
        }
    }

    /// The ranks up to [`ALL`](Self::ALL) whose schools are found in the order of an index, without reading most of it.
    /// A search of frequent words has no others: names that have no other letters count as those that have.
    pub(super) const INDEXED: [i32; 3] = [0, 1, Self::ALL];

    /// Returns the conditions that a school has one of these ranks.
    pub(super) fn is(words: &Words, rank: i32) -> Vec<Condition> {
        let text = || words.text.clone();
        match rank {
            0 => vec![Condition::new(schools::name_folded.eq(text()))],
            1 => vec![Condition::new(begins(words).and(schools::name_folded.ne(text())))],
            // Not a range on each side of the beginning, from which SQLite would read every school and then sort them.
            _ => words_in_name(words).chain([Condition::new(not(begins(words)))]).collect(),
        }
    }
}

fn letters(words: &Words) -> i32 {
    i32::try_from(words.text.chars().count()).unwrap_or(i32::MAX)
}

/// Returns the conditions that a name has all words and no more letters than the text.
fn has_no_others(words: &Words) -> Vec<Condition> {
    let is_short = Condition::new(length(schools::name_folded).le(letters(words)));
    [is_short].into_iter().chain(words_in_name(words)).collect()
}

fn begins(words: &Words) -> Begins {
    schools::name_folded.ge(words.text.clone()).and(schools::name_folded.lt(end_of(&words.text)))
}

type Begins =
    diesel::dsl::And<diesel::dsl::GtEq<schools::name_folded, String>, diesel::dsl::Lt<schools::name_folded, String>>;

fn words_in_name(words: &Words) -> impl Iterator<Item = Condition> {
    words.terms.iter().filter_map(|term| match term {
        Term::Word(word) => Some(in_name(word)),
        Term::Urn(_) | Term::Laestab(_) => None,
    })
}

impl Expression for Rank {
    type SqlType = Integer;
}

impl AppearsOnTable<schools::table> for Rank {}

impl SelectableExpression<schools::table> for Rank {}

impl ValidGrouping<()> for Rank {
    type IsAggregate = is_aggregate::No;
}

// The number of its words is in its SQL.
impl QueryId for Rank {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Db> for Rank {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        let Self { is_whole, begins, has_no_others, in_name } = self;
        out.push_sql("CASE WHEN ");
        is_whole.walk_ast(out.reborrow())?;
        out.push_sql(" THEN 0 WHEN ");
        begins.walk_ast(out.reborrow())?;
        out.push_sql(" THEN 1 WHEN ");
        for (at, condition) in has_no_others.iter().enumerate() {
            if at > 0 {
                out.push_sql(" AND ");
            }
            condition.walk_ast(out.reborrow())?;
        }
        out.push_sql(" THEN 2 ELSE 3");
        for condition in in_name {
            out.push_sql(" + CASE WHEN ");
            condition.walk_ast(out.reborrow())?;
            out.push_sql(" THEN 0 ELSE 1 END");
        }
        out.push_sql(" END");
        Ok(())
    }
}

/// Returns the condition that a school comes after the search's cursor in an order of the database; unknown values come
/// last. `None` without a cursor, and in an order by distance, which is computed in Rust.
pub(in super::super) fn after_cursor(validated: &ValidatedSearch) -> Option<Condition> {
    let Position { km, rank, rating, name, id } = validated.after.as_ref()?;
    let (name, id) = (name.clone(), *id);
    let later_name = || {
        let is_tied = schools::name_folded.eq(name.clone()).and(schools::id.gt(id));
        schools::name_folded.gt(name.clone()).or(is_tied)
    };
    Some(match (validated.search.sort, rating) {
        (Sort::Distance, _) => return None,
        (Sort::Margin, _) => {
            let km = -km.unwrap_or_default();
            let (less, equal) = (margin(validated).lt(km), margin(validated).eq(km));
            Condition::new(less.or(equal.and(schools::id.gt(id).nullable())))
        }
        // The second condition implies the first, but the first lets an index scan start at the name.
        (Sort::Match, _) => {
            let (words, after) = (validated.words.as_ref()?, rank.unwrap_or_default());
            let same_rank = Rank::new(words).eq(after).and(later_name());
            Condition::new(Rank::new(words).gt(after).or(same_rank))
        }
        (Sort::Name, _) => Condition::new(schools::name_folded.ge(name.clone()).and(later_name())),
        (Sort::Rating, Some(rating)) => {
            let same_rating = schools::ofsted_rating.eq(*rating).and(later_name().nullable());
            let later = schools::ofsted_rating.gt(*rating).or(same_rating);
            Condition::new(later.or(schools::ofsted_rating.is_null().nullable()))
        }
        (Sort::Rating, None) => Condition::new(schools::ofsted_rating.is_null().and(later_name())),
    })
}

/// A school's distance from a point in kilometres; NULL where there is no point or the school has no location.
pub type Distance = haversine<Option<f64>, Option<f64>, schools::lat, schools::lng>;

/// Returns the distance of a school from the search's point.
pub(in super::super) fn distance(validated: &ValidatedSearch) -> Distance {
    distance_from(validated.near.map(|near| near.point))
}

pub(super) fn distance_from(point: Option<LatLng>) -> Distance {
    let (lat, lng) = (point.map(|point| point.lat().degrees()), point.map(|point| point.lng().degrees()));
    haversine(lat, lng, schools::lat, schools::lng)
}

/// Returns the margin in kilometres by which offers of past years reached beyond the distance to the search's point:
/// the least of the search's years, and the best of its intakes.
pub(in super::super) fn margin(
    validated: &ValidatedSearch,
) -> impl SelectableExpression<schools::table, SqlType = Nullable<Double>>
+ ValidGrouping<(), IsAggregate = is_aggregate::No>
+ QueryFragment<Db>
+ QueryId
+ Send
+ 'static {
    let ReachFilter { intake, years } = validated.search.filter.reach.clone().unwrap_or_default();
    let least = reach_rows!(intake, years).select(diesel::dsl::max(admissions_reach::least_km)).single_value();
    Minus::new(least, distance(validated))
}
