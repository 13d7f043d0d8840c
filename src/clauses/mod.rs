//! Clauses and lists that read the same on every backend. Each is a macro over the backend's own `schema` module, since
//! a function generic over the backend does not compile for boxed queries; what differs stays in the open, in the
//! backend's modules.

mod children;
mod written;

pub(crate) use children::{
    admissions, child_rows, child_selectable, child_values, clubs, delete_counts, fees, link_columns, link_values,
    links, performance, private_details, reviews, term_dates,
};
use diesel::backend::Backend;
use diesel::expression::ValidGrouping;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Bool, Double, SmallInt, Text};

use crate::models::NewSchool;

/// The condition "open now", which includes schools that are proposed to close.
///
/// It is literal SQL, since a partial index serves only queries that repeat its condition to the letter: a bound
/// parameter (`status = ?`) does not match. Keep it in step with the migrations' `ix_schools_open_...` indexes. A type
/// of its own and not [`diesel::dsl::sql`], whose queries are prepared anew each time.
#[derive(Debug, Clone, Copy, QueryId, ValidGrouping)]
pub(crate) struct OpenNow;

impl Expression for OpenNow {
    type SqlType = Bool;
}

impl<Tables> SelectableExpression<Tables> for OpenNow {}

impl<Tables> AppearsOnTable<Tables> for OpenNow {}

impl<DB: Backend> QueryFragment<DB> for OpenNow {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("schools.status IN ('open', 'proposed_to_close')");
        Ok(())
    }
}

/// A text where there is need of it, and elsewhere an empty one: a name takes as long as all of a school's numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IfNeeded<Column> {
    is_needed: bool,
    column: Column,
}

impl<Column> IfNeeded<Column> {
    pub(crate) const fn new(is_needed: bool, column: Column) -> Self {
        Self { is_needed, column }
    }
}

// Which of the two it is cannot be told from the type.
impl<Column> QueryId for IfNeeded<Column> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Column: Expression<SqlType = Text>> Expression for IfNeeded<Column> {
    type SqlType = Text;
}

impl<Tables, Column: Expression<SqlType = Text> + SelectableExpression<Tables>> SelectableExpression<Tables>
    for IfNeeded<Column>
{
}

impl<Tables, Column: Expression<SqlType = Text> + AppearsOnTable<Tables>> AppearsOnTable<Tables> for IfNeeded<Column> {}

impl<Groups, Column: ValidGrouping<Groups>> ValidGrouping<Groups> for IfNeeded<Column> {
    type IsAggregate = Column::IsAggregate;
}

impl<DB: Backend, Column: QueryFragment<DB>> QueryFragment<DB> for IfNeeded<Column> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if self.is_needed {
            return self.column.walk_ast(out);
        }
        out.push_sql("''");
        Ok(())
    }
}

diesel::infix_operator!(BitAnd, " & ", SmallInt);
diesel::infix_operator!(Minus, " - ", Double);

/// Narrows `$query` to rows whose column is one of a list's values; an empty list narrows nothing. A list of one is an
/// equation: SQLite prepares a query with a list in it anew each time, and walks an index in order only for an
/// equation.
macro_rules! filter_one_of {
    ($query:ident, $column:expr, $values:expr) => {
        match $values.as_slice() {
            [] => {}
            [value] => $query = $query.filter($column.eq(value)),
            values => $query = $query.filter($column.eq_any(values)),
        }
    };
}

/// Whether a school lacks a phase.
macro_rules! lacks_phase {
    ($table:ident, $gaps:expr) => {{
        let too = matches!($gaps, $crate::request::PhaseGaps::UnknownOrNotApplicable);
        let too = too.into_sql::<diesel::sql_types::Bool>().nullable();
        $table::phase.is_null().nullable().or(too.and($table::phase.eq(Phase::NotApplicable)))
    }};
}

/// Lets a model be selected from a backend's table. Every field is named once with its column, in the model's order;
/// one left out does not compile.
macro_rules! selectable {
    ($backend:ty, $table:ident, $model:ident { $($field:ident: $column:ident),+ $(,)? }) => {
        impl diesel::Selectable<$backend> for $model {
            type SelectExpression = $crate::clauses::Written<($($table::$column,)+)>;

            fn construct_selection() -> Self::SelectExpression {
                static SQL: std::sync::OnceLock<String> = std::sync::OnceLock::new();
                $crate::clauses::Written::new(($($table::$column,)+), &SQL)
            }
        }

        const _: fn(&$model) = |$model { $($field: _),+ }| ();
    };
}

/// The columns of every model of a school.
macro_rules! school_rows {
    ($backend:ty, $table:ident) => {
        $crate::clauses::selectable!(
            $backend,
            $table,
            School {
                id: id,
                urn: urn,
                name: name,
                council: council,
                status: status,
                phase: phase,
                school_type: type_,
                gender: gender,
                faith: faith,
                address: address,
                postcode: postcode,
                website_url: website_url,
                is_private: is_private,
                age_range_from: age_range_from,
                age_range_to: age_range_to,
                ofsted_rating: ofsted_rating,
                lat: lat,
                lng: lng,
                easting: easting,
                northing: northing,
                catchment_radius_km: catchment_radius_km,
                opened_on: opened_on,
                closed_on: closed_on,
                capacity: capacity,
                pupils: pupils,
                source_date: source_date,
                version: version,
            }
        );

        $crate::clauses::selectable!(
            $backend,
            $table,
            SchoolSummary {
                id: id,
                urn: urn,
                name: name,
                council: council,
                status: status,
                phase: phase,
                school_type: type_,
                gender: gender,
                faith: faith,
                postcode: postcode,
                is_private: is_private,
                age_range_from: age_range_from,
                age_range_to: age_range_to,
                ofsted_rating: ofsted_rating,
                lat: lat,
                lng: lng,
            }
        );
    };
}

/// Gives `$then!` every column but the id, with the field of a new school that its value is made of, and how.
macro_rules! school_columns {
    ($then:ident, $($context:tt)*) => {
        $then! { $($context)*;
            urn: urn => urn,
            name_folded: name => $crate::text::fold(name),
            name: name => name,
            council: council => council,
            status: status => status,
            phase: phase => phase,
            type_: school_type => school_type,
            gender: gender => gender,
            faith: faith => faith,
            address: address => address,
            postcode: postcode => postcode,
            website_url: website_url => website_url,
            is_private: is_private => is_private,
            age_range_from: age_range_from => age_range_from,
            age_range_to: age_range_to => age_range_to,
            ofsted_rating: ofsted_rating => ofsted_rating,
            lat: location => location.map(LatLng::lat),
            lng: location => location.map(LatLng::lng),
            easting: easting => easting,
            northing: northing => northing,
            catchment_radius_km: catchment_radius_km => catchment_radius_km,
            opened_on: opened_on => opened_on,
            closed_on: closed_on => closed_on,
            capacity: capacity => capacity,
            pupils: pupils => pupils,
            source_date: source_date => source_date,
        }
    };
}

/// A field that no column is made of does not compile.
const _: fn(&NewSchool) = |NewSchool {
                               urn: _,
                               name: _,
                               council: _,
                               status: _,
                               phase: _,
                               school_type: _,
                               gender: _,
                               faith: _,
                               address: _,
                               postcode: _,
                               website_url: _,
                               is_private: _,
                               age_range_from: _,
                               age_range_to: _,
                               ofsted_rating: _,
                               location: _,
                               easting: _,
                               northing: _,
                               catchment_radius_km: _,
                               opened_on: _,
                               closed_on: _,
                               capacity: _,
                               pupils: _,
                               source_date: _,
                           }| ();

/// Every column but the id with a new school's value: for an INSERT's `values` as for an UPDATE's `set`.
macro_rules! school_values {
    ($table:ident, $school:expr) => {
        $crate::clauses::school_columns!(school_values, each $table, $school)
    };
    (each $table:ident, $school:expr; $($column:ident: $field:ident => $value:expr,)+) => {
        ($(
            $table::$column.eq({
                let NewSchool { $field, .. } = $school;
                $value
            }),
        )+)
    };
}

/// Narrows a boxed `$query` to what a [`SchoolFilter`](crate::request::SchoolFilter) lets through. The filter is
/// destructured without `..`, so that a new one does not compile until every backend answers it.
macro_rules! filter_schools {
    ($query:ident, $table:ident, $validated:expr) => {
        use diesel::dsl::exists;
        use diesel::sql_types::SmallInt;
        use $crate::models::{Gender, Phase, Weekday};
        use $crate::request::{
            ClubFilter, Faith, FeeFilter, NO_FAITH, NoPhase, Ownership, RatingFilter, ReachFilter, SchoolFilter,
            Unrated,
        };
        use $crate::units::Money;
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
            name: _,
        } = &$validated.search.filter;
        if statuses.is_empty() {
            $query = $query.filter($crate::clauses::OpenNow);
        }
        $crate::clauses::filter_one_of!($query, $table::status, statuses);
        $crate::clauses::filter_one_of!($query, $table::council, councils);
        match no_phase {
            NoPhase::Exclude => $crate::clauses::filter_one_of!($query, $table::phase, phases),
            NoPhase::ByAges if phases.is_empty() => {}
            NoPhase::ByAges => {
                let teaches = |age: i16| $table::age_range_from.le(age).and($table::age_range_to.ge(age));
                let counts = |asked: bool| asked.into_sql::<diesel::sql_types::Bool>().nullable();
                let [nursery, primary, secondary, sixteen_plus, all_through] =
                    $validated.search.filter.phases_by_ages();
                let by_ages = counts(nursery)
                    .and(teaches(3))
                    .or(counts(primary).and(teaches(7)))
                    .or(counts(secondary).and(teaches(13)))
                    .or(counts(sixteen_plus).and(teaches(17)))
                    .or(counts(all_through).and(teaches(7)).and(teaches(13)));
                let has_none = $table::phase.is_null().nullable().or($table::phase.eq(Phase::NotApplicable));
                $query = $query.filter($table::phase.eq_any(phases).or(has_none.and(by_ages)));
            }
        }
        match rating {
            Some(RatingFilter { at_most, unrated: Unrated::Exclude }) => {
                $query = $query.filter($table::ofsted_rating.le(at_most));
            }
            Some(RatingFilter { at_most, unrated: Unrated::Include }) => {
                $query =
                    $query.filter($table::ofsted_rating.le(at_most).or($table::ofsted_rating.is_null().nullable()));
            }
            None => {}
        }
        match ownership {
            Some(Ownership::State) => $query = $query.filter($table::is_private.eq(false)),
            Some(Ownership::Private) => $query = $query.filter($table::is_private.eq(true)),
            None => {}
        }
        if let Some(age) = age {
            $query = $query.filter($table::age_range_from.le(age)).filter($table::age_range_to.ge(age));
        }
        match gender {
            Some(Gender::Mixed) => $query = $query.filter($table::gender.eq(Gender::Mixed)),
            Some(child @ (Gender::Boys | Gender::Girls)) => {
                $query = $query.filter($table::gender.eq(Gender::Mixed).or($table::gender.eq(child)));
            }
            None => {}
        }
        match faith {
            Some(Faith::Any) => $query = $query.filter($table::faith.ne(NO_FAITH)),
            Some(Faith::None) => $query = $query.filter($table::faith.eq(NO_FAITH)),
            Some(Faith::Is(name)) => $query = $query.filter($table::faith.eq(name)),
            None => {}
        }
        for ClubFilter { kind, on, until } in clubs {
            let of_kind =
                school_clubs::table.filter(school_clubs::school_id.eq($table::id)).filter(school_clubs::kind.eq(kind));
            let on_day =
                |day: Weekday| $crate::clauses::BitAnd::new(school_clubs::days, day.bit().into_sql::<SmallInt>()).ne(0);
            match (on, until) {
                (None, None) => $query = $query.filter(exists(of_kind)),
                (Some(day), None) => $query = $query.filter(exists(of_kind.filter(on_day(*day)))),
                (None, Some(time)) => $query = $query.filter(exists(of_kind.filter(school_clubs::ends_at.ge(time)))),
                (Some(day), Some(time)) => {
                    $query = $query.filter(exists(of_kind.filter(on_day(*day)).filter(school_clubs::ends_at.ge(time))));
                }
            }
        }
        if let Some(FeeFilter { academic_year, age, at_least, at_most }) = fees {
            let fit = private_school_fees::table
                .filter(private_school_fees::school_id.eq($table::id))
                .filter(private_school_fees::academic_year.eq(academic_year))
                .filter(private_school_fees::age_from.le(age))
                .filter(private_school_fees::age_to.ge(age));
            let (low, high) = (at_least.clone().unwrap_or(Money::LEAST), at_most.clone().unwrap_or(Money::MOST));
            $query = $query.filter(exists(fit.filter(private_school_fees::per_year.between(low, high))));
        }
        if let Some(ReachFilter { intake, years }) = reach {
            let reached = admissions_reach::table
                .filter(admissions_reach::school_id.eq($table::id))
                .filter(admissions_reach::recency.eq(i64::from(*years)))
                .filter(admissions_reach::least_km.nullable().ge(distance($validated)));
            match intake {
                None => $query = $query.filter(exists(reached)),
                Some(intake) => $query = $query.filter(exists(reached.filter(admissions_reach::intake.eq(intake)))),
            }
        }
        if let Some(folded) = &$validated.name {
            let pattern = $crate::text::like_anywhere(folded);
            $query = $query.filter($table::name_folded.like(pattern).escape($crate::text::LIKE_ESCAPE));
        }
    };
}

/// Narrows a boxed `$query` to the radius of a search. `$candidates` is the backend's condition that an index answers,
/// and `haversine` decides.
macro_rules! within_radius {
    ($query:ident, $validated:expr, $candidates:expr) => {
        if let Some(candidates) = $candidates {
            $query = $query.filter(candidates);
        }
        if let Some(radius) = $validated.radius() {
            $query = $query.filter(distance($validated).le(radius.get()));
        }
    };
}

/// Narrows a boxed `$query` to what comes after a place, in the order that the search sorts by. Unknown values come
/// last.
macro_rules! filter_after {
    ($query:ident, $table:ident, $validated:expr, $position:expr) => {
        match $position {
            Position::Margin { km, id } => {
                let margin = || $crate::clauses::margin!($table, $validated);
                $query = $query.filter(margin().lt(km).or(margin().eq(km).and($table::id.gt(id).nullable())));
            }
            // Rust puts these in order.
            Position::Distance { .. } => {}
            Position::Name { name, id } => {
                // The first condition says nothing new, but an index can begin at it.
                $query = $query
                    .filter($table::name_folded.ge(name))
                    .filter($table::name_folded.gt(name).or($table::name_folded.eq(name).and($table::id.gt(id))));
            }
            Position::Rating { rating: Some(rating), name, id } => {
                let later_name = $table::name_folded.gt(name).or($table::name_folded.eq(name).and($table::id.gt(id)));
                $query = $query.filter(
                    $table::ofsted_rating
                        .gt(rating)
                        .or($table::ofsted_rating.eq(rating).and(later_name.nullable()))
                        .or($table::ofsted_rating.is_null().nullable()),
                );
            }
            Position::Rating { rating: None, name, id } => {
                $query = $query
                    .filter($table::ofsted_rating.is_null())
                    .filter($table::name_folded.gt(name).or($table::name_folded.eq(name).and($table::id.gt(id))));
            }
        }
    };
}

/// Puts a boxed `$query` into the search's order. Every order ends in the id and has unknown values last.
macro_rules! order_schools {
    ($query:ident, $table:ident, $validated:expr) => {
        match $validated.search.sort {
            Sort::Margin => $query.order_by(($crate::clauses::margin!($table, $validated).desc(), $table::id.asc())),
            // Rust puts these in order.
            Sort::Distance => $query,
            Sort::Name => $query.order_by(($table::name_folded.asc(), $table::id.asc())),
            Sort::Rating => $query.order_by((
                $table::ofsted_rating.is_null().asc(),
                $table::ofsted_rating.asc(),
                $table::name_folded.asc(),
                $table::id.asc(),
            )),
        }
    };
}

/// By how many kilometres the offers of past years reached beyond the distance to the search's point: of the years that
/// are asked for the least, of the intakes that are let through the best.
macro_rules! margin {
    ($table:ident, $validated:expr) => {{
        let reach = $validated.search.filter.reach.as_ref();
        let intake = reach.and_then(|reach| reach.intake.clone());
        let is_any = intake.is_none().into_sql::<diesel::sql_types::Bool>().nullable();
        let least = admissions_reach::table
            .filter(admissions_reach::school_id.eq($table::id))
            .filter(admissions_reach::recency.eq(reach.map_or(1, |reach| i64::from(reach.years))))
            .filter(is_any.or(admissions_reach::intake.eq(intake.unwrap_or_default())))
            .select(diesel::dsl::max(admissions_reach::least_km))
            .single_value();
        $crate::clauses::Minus::new(least, distance($validated))
    }};
}

/// What every facet is counted by.
macro_rules! facet_columns {
    ($table:ident) => {
        (
            $table::council,
            $table::phase,
            $table::status,
            $table::ofsted_rating,
            $table::gender,
            $table::faith,
            $table::is_private,
        )
    };
}

pub(crate) use written::Written;
pub(crate) use {
    facet_columns, filter_after, filter_one_of, filter_schools, lacks_phase, margin, order_schools, school_columns,
    school_rows, school_values, selectable, within_radius,
};
