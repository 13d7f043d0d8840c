//! The enums with a word for each value, the same word on the command line, in JSON and in the database.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Text;

/// An enum with a word for each value, which is its text and its JSON.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $field:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns its word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        #[cfg(feature = "utoipa")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                use utoipa::openapi::{ObjectBuilder, Type};

                ObjectBuilder::new().schema_type(Type::String).enum_values(Some([$($word),+])).into()
            }
        }

        #[cfg(feature = "utoipa")]
        impl utoipa::ToSchema for $name {}

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::error::Error;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::error::Error::UnknownWord {
                        field: $field,
                        given: $crate::text::shortened(word),
                        expected: [$($word),+].join(", "),
                    }),
                }
            }
        }
    };
}

/// An enum of [`words!`] that is stored as text. The database repeats its words in a CHECK (`ck_status`, ...).
macro_rules! stored_words {
    ($(#[$doc:meta])* $name:ident, $($words:tt)*) => {
        words! {
            $(#[$doc])*
            #[derive(AsExpression, FromSqlRow)]
            #[diesel(sql_type = Text)]
            $name, $($words)*
        }

        // One implementation per backend, so that borrowed text is not copied.
        #[cfg(feature = "postgres")]
        impl FromSql<Text, diesel::pg::Pg> for $name {
            fn from_sql(value: diesel::pg::PgValue<'_>) -> deserialize::Result<Self> {
                Ok(std::str::from_utf8(value.as_bytes())?.parse()?)
            }
        }

        #[cfg(feature = "sqlite")]
        impl FromSql<Text, diesel::sqlite::Sqlite> for $name {
            fn from_sql(mut value: diesel::sqlite::SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
                Ok(value.read_text().parse()?)
            }
        }

        impl<DB: Backend> ToSql<Text, DB> for $name
        where
            str: ToSql<Text, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
                self.as_str().to_sql(out)
            }
        }
    };
}

pub(crate) use words;

stored_words! {
    /// Whether a school takes pupils.
    Status, "status" {
        /// Open.
        Open = "open",
        /// Closed: kept, so that old links and reviews still lead to it.
        Closed = "closed",
        /// Not open yet.
        ProposedToOpen = "proposed_to_open",
        /// Open, and planned to close.
        ProposedToClose = "proposed_to_close",
    }
}

impl Status {
    /// Returns whether such a school takes pupils now. One that is proposed to close does.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::ProposedToClose)
    }
}

stored_words! {
    /// The phase of education, as the register gives it.
    Phase, "phase" {
        /// Before school age.
        Nursery = "nursery",
        /// Reception to year 6, or a part of it.
        Primary = "primary",
        /// A middle school that counts as primary.
        MiddlePrimary = "middle_primary",
        /// A middle school that counts as secondary.
        MiddleSecondary = "middle_secondary",
        /// Year 7 upwards.
        Secondary = "secondary",
        /// Primary and secondary in one school.
        AllThrough = "all_through",
        /// Sixth-form and further-education colleges.
        SixteenPlus = "16_plus",
        /// No phase in the register: most special and independent schools.
        NotApplicable = "not_applicable",
    }
}

impl Phase {
    /// Returns the phase of a school that admits children at the age `from` and teaches them until they are `to`, or
    /// `None` unless `to` is greater than `from`.
    ///
    /// A school that ends by 5 is a nursery, and one that begins at 16 or later is 16 plus. A child is of primary age
    /// until 11 and of secondary age from then on (Education Act 1996, sections 2 and 5). Of the schools that teach
    /// across 11:
    ///
    /// - One that begins before 7 is all-through where it continues to 16, and otherwise a primary school that keeps
    ///   its pupils longer. One that begins at 7 and continues to 16 is all-through too.
    /// - One that begins later and continues to 16 is a secondary school that begins early.
    /// - Any other is a middle school. It counts as the phase it has more years of, and as secondary where they are
    ///   equal, as in the register's 9 to 13.
    ///
    /// `backfill phase` stores this phase. A search by ages
    /// ([`SchoolSearch::phase_by_ages`](crate::SchoolSearch::phase_by_ages)) matches by it.
    pub const fn of_ages(from: i16, to: i16) -> Option<Self> {
        Some(match (from, to) {
            _ if to <= from => return None,
            (16.., _) => Self::SixteenPlus,
            (_, ..=5) => Self::Nursery,
            (_, ..=11) => Self::Primary,
            (11.., _) => Self::Secondary,
            (..=7, 16..) => Self::AllThrough,
            (..7, _) => Self::Primary,
            (_, 16..) => Self::Secondary,
            _ if from + to < 22 => Self::MiddlePrimary,
            _ => Self::MiddleSecondary,
        })
    }

    /// Returns the phases by ages that a search for this phase matches: a middle or an all-through school teaches
    /// children of primary or secondary age too.
    pub(crate) const fn counted_by_ages(self) -> &'static [Self] {
        match self {
            Self::Primary => &[Self::Primary, Self::MiddlePrimary, Self::AllThrough],
            Self::Secondary => &[Self::Secondary, Self::MiddleSecondary, Self::AllThrough],
            Self::Nursery => &[Self::Nursery],
            Self::MiddlePrimary => &[Self::MiddlePrimary],
            Self::MiddleSecondary => &[Self::MiddleSecondary],
            Self::AllThrough => &[Self::AllThrough],
            Self::SixteenPlus => &[Self::SixteenPlus],
            Self::NotApplicable => &[],
        }
    }
}

stored_words! {
    /// The children that a school admits.
    Gender, "gender" {
        /// Boys and girls.
        Mixed = "mixed",
        /// Boys only.
        Boys = "boys",
        /// Girls only.
        Girls = "girls",
    }
}

stored_words! {
    /// The period that a club's cost is for.
    CostPer, "cost_per" {
        /// A day.
        Day = "day",
        /// A week.
        Week = "week",
        /// A term.
        Term = "term",
    }
}

stored_words! {
    /// When a club is held.
    ClubKind, "club" {
        /// Before school.
        Breakfast = "breakfast",
        /// After school.
        AfterSchool = "after_school",
    }
}

stored_words! {
    /// A part of a school year.
    Term, "term" {
        /// September to December.
        Autumn = "autumn",
        /// January to Easter.
        Spring = "spring",
        /// Easter to July.
        Summer = "summer",
    }
}

stored_words! {
    /// The kind of a link from one school to another.
    LinkKind, "link" {
        /// The other school preceded this one.
        Predecessor = "predecessor",
        /// The other school succeeded this one.
        Successor = "successor",
        /// They became one school: the one that is open.
        Merged = "merged",
        /// They are linked in another way, such as by a sixth form.
        Other = "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_both_ways() {
        for phase in Phase::ALL {
            assert_eq!(phase.as_str().parse::<Phase>().expect("its own word"), *phase);
            assert_eq!(serde_json::to_value(phase).expect("a string"), phase.as_str());
        }
        let error = "college".parse::<Phase>().expect_err("not a phase");
        assert!(error.to_string().contains("16_plus"), "{error}");
    }
}
