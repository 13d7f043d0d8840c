//! Clauses and lists that read the same on every backend. Each is a macro over the backend's own `schema` module, since
//! a function generic over the backend does not compile for boxed queries; what differs stays in the open, in the
//! backend's modules.

use diesel::backend::Backend;
use diesel::expression::ValidGrouping;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::Bool;

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

/// A column is one of a list's values. A list of one is an equation: SQLite prepares a query with a list in it anew
/// each time, and walks an index in order only for an equation.
macro_rules! one_of {
    ($column:expr, $values:expr) => {
        match $values.as_slice() {
            [value] => Box::new($column.eq(value).nullable()),
            values => Box::new($column.eq_any(values).nullable()),
        }
    };
}

/// Lets a model be selected from a backend's table. Every field is named once with its column, in the model's order;
/// one left out does not compile.
macro_rules! selectable {
    ($backend:ty, $table:ident, $model:ident { $($field:ident: $column:ident),+ $(,)? }) => {
        impl diesel::Selectable<$backend> for $model {
            type SelectExpression = ($($table::$column,)+);

            fn construct_selection() -> Self::SelectExpression {
                ($($table::$column,)+)
            }
        }

        const _: fn(&$model) = |$model { $($field: _),+ }| ();
    };
}

/// The columns of every model of a school.
macro_rules! school_rows {
    ($backend:ty, $table:ident) => {
        $crate::twin::selectable!(
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
            }
        );

        $crate::twin::selectable!(
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

/// Every column but the id with a new school's value: for an INSERT's `values` as for an UPDATE's `set`. The fields are
/// destructured without `..`, so that a new one does not compile until it is written.
macro_rules! school_values {
    ($table:ident, $school:expr) => {{
        let NewSchool {
            urn,
            name,
            council,
            status,
            phase,
            school_type,
            gender,
            faith,
            address,
            postcode,
            website_url,
            is_private,
            age_range_from,
            age_range_to,
            ofsted_rating,
            location,
            easting,
            northing,
            catchment_radius_km,
            opened_on,
            closed_on,
            capacity,
            pupils,
            source_date,
        } = $school;
        (
            $table::urn.eq(urn),
            $table::name_folded.eq($crate::text::fold(name)),
            $table::name.eq(name),
            $table::council.eq(council),
            $table::status.eq(status),
            $table::phase.eq(phase),
            $table::type_.eq(school_type),
            $table::gender.eq(gender),
            $table::faith.eq(faith),
            $table::address.eq(address),
            $table::postcode.eq(postcode),
            $table::website_url.eq(website_url),
            $table::is_private.eq(is_private),
            $table::age_range_from.eq(age_range_from),
            $table::age_range_to.eq(age_range_to),
            $table::ofsted_rating.eq(ofsted_rating),
            $table::lat.eq(location.map(LatLng::lat)),
            $table::lng.eq(location.map(LatLng::lng)),
            $table::easting.eq(easting),
            $table::northing.eq(northing),
            $table::catchment_radius_km.eq(catchment_radius_km),
            $table::opened_on.eq(opened_on),
            $table::closed_on.eq(closed_on),
            $table::capacity.eq(capacity),
            $table::pupils.eq(pupils),
            $table::source_date.eq(source_date),
        )
    }};
}

/// A [`SchoolFilter`](crate::request::SchoolFilter) as one boxed condition of type `$condition` (a boxed expression of
/// `Nullable<Bool>`). The filter is destructured without `..`, so that a new one does not compile until every backend
/// answers it.
macro_rules! school_conditions {
    ($condition:ty, $table:ident, $settled:expr) => {{
        let settled: &Settled = $settled;
        let SchoolFilter { councils, phases, statuses, rating, ownership, age, gender, faith, name: _ } =
            &settled.search.filter;
        let mut all: $condition = if statuses.is_empty() {
            Box::new($crate::twin::OpenNow.nullable())
        } else {
            $crate::twin::one_of!($table::status, statuses)
        };
        if !councils.is_empty() {
            let council: $condition = $crate::twin::one_of!($table::council, councils);
            all = Box::new(all.and(council));
        }
        if !phases.is_empty() {
            let phase: $condition = $crate::twin::one_of!($table::phase, phases);
            all = Box::new(all.and(phase));
        }
        match rating {
            Some(RatingFilter { at_most, unrated: Unrated::Exclude }) => {
                all = Box::new(all.and($table::ofsted_rating.le(at_most)));
            }
            Some(RatingFilter { at_most, unrated: Unrated::Include }) => {
                all =
                    Box::new(all.and($table::ofsted_rating.le(at_most).or($table::ofsted_rating.is_null().nullable())));
            }
            None => {}
        }
        match ownership {
            Some(Ownership::State) => all = Box::new(all.and($table::is_private.eq(false))),
            Some(Ownership::Private) => all = Box::new(all.and($table::is_private.eq(true))),
            None => {}
        }
        if let Some(age) = age {
            all = Box::new(all.and($table::age_range_from.le(age)).and($table::age_range_to.ge(age)));
        }
        match gender {
            Some(Gender::Mixed) => all = Box::new(all.and($table::gender.eq(Gender::Mixed))),
            Some(child @ (Gender::Boys | Gender::Girls)) => {
                all = Box::new(all.and($table::gender.eq(Gender::Mixed).or($table::gender.eq(child))));
            }
            None => {}
        }
        match faith {
            Some(Faith::Any) => all = Box::new(all.and($table::faith.ne(NO_FAITH))),
            Some(Faith::None) => all = Box::new(all.and($table::faith.eq(NO_FAITH))),
            Some(Faith::Is(name)) => all = Box::new(all.and($table::faith.eq(name))),
            None => {}
        }
        if let Some(folded) = &settled.name {
            let pattern = $crate::text::like_anywhere(folded);
            all = Box::new(all.and($table::name_folded.like(pattern).escape($crate::text::LIKE_ESCAPE).nullable()));
        }
        all
    }};
}

/// "Comes after this place" as one boxed condition, in the order that the search sorts by. Unknown values come last.
macro_rules! after_position {
    ($condition:ty, $table:ident, $distance:expr, $position:expr) => {{
        let condition: $condition = match $position {
            Position::Distance { km: Some(km), id } => Box::new(
                $distance
                    .gt(km)
                    .or($distance.eq(km).and($table::id.gt(id).nullable()))
                    .or($distance.is_null().nullable()),
            ),
            Position::Distance { km: None, id } => {
                Box::new($distance.is_null().nullable().and($table::id.gt(id).nullable()))
            }
            Position::Name { name, id } => Box::new(
                $table::name_folded.gt(name).or($table::name_folded.eq(name).and($table::id.gt(id))).nullable(),
            ),
            Position::Rating { rating: Some(rating), name, id } => Box::new(
                $table::ofsted_rating
                    .gt(rating)
                    .or($table::ofsted_rating.eq(rating).and(
                        $table::name_folded.gt(name).or($table::name_folded.eq(name).and($table::id.gt(id))).nullable(),
                    ))
                    .or($table::ofsted_rating.is_null().nullable()),
            ),
            Position::Rating { rating: None, name, id } => Box::new(
                $table::ofsted_rating
                    .is_null()
                    .and($table::name_folded.gt(name).or($table::name_folded.eq(name).and($table::id.gt(id))))
                    .nullable(),
            ),
        };
        condition
    }};
}

pub(crate) use {after_position, one_of, school_conditions, school_rows, school_values, selectable};
