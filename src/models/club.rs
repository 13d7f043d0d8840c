//! Breakfast and after-school clubs.

use chrono::NaiveTime;
use diesel::Queryable;
use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::sql_types::SmallInt;
use serde::{Deserialize, Serialize};

use super::checks::{check_text, check_time};
use super::words::{ClubKind, CostPer, words};
use crate::error::Result;
use crate::newtype::sql_value;
use crate::units::Money;

/// A club that a school holds before or after lessons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Queryable)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct SchoolClub {
    /// When the club is held.
    pub kind: ClubKind,
    /// The club's name. At most 200 characters.
    pub name: Option<String>,
    /// The days on which it is held.
    pub days: Option<Weekdays>,
    /// When it starts, in whole seconds.
    pub starts_at: Option<NaiveTime>,
    /// When it ends, after it starts.
    pub ends_at: Option<NaiveTime>,
    /// The cost of a day, a week or a term.
    pub cost: Option<Money>,
    /// The period that the cost is for.
    pub cost_per: CostPer,
}

impl SchoolClub {
    pub(crate) fn validate(&self) -> Result<()> {
        let Self { kind: _, name, days: _, starts_at, ends_at, cost: _, cost_per: _ } = self;
        check_text("club name", name.as_ref(), 200)?;
        check_time("club starts_at", *starts_at)?;
        check_time("club ends_at", *ends_at)
    }
}

words! {
    /// A school day.
    #[expect(missing_docs, reason = "the days of the week")]
    Weekday, "day" {
        Monday = "monday",
        Tuesday = "tuesday",
        Wednesday = "wednesday",
        Thursday = "thursday",
        Friday = "friday",
    }
}

impl Weekday {
    /// Returns its bit in [`Weekdays`].
    pub(crate) const fn bit(self) -> i16 {
        1 << self as i16
    }
}

/// One or more school days. In JSON a list; in the database the sum of 1 for Monday, 2, 4, 8 and 16 for Friday.
///
/// ```
/// use school_finder_db::models::{Weekday, Weekdays};
///
/// let days = Weekdays::new([Weekday::Monday, Weekday::Friday]).expect("a day at least");
/// assert!(days.includes(Weekday::Friday) && !days.includes(Weekday::Tuesday));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, AsExpression, FromSqlRow)]
#[diesel(sql_type = SmallInt)]
#[serde(try_from = "Vec<Weekday>", into = "Vec<Weekday>")]
pub struct Weekdays(i16);

impl Weekdays {
    /// Monday to Friday.
    pub const EVERY: Self = Self(31);

    /// Returns these days, or `None` where there is none: a club whose days are unknown has `None`.
    pub fn new(days: impl IntoIterator<Item = Weekday>) -> Option<Self> {
        let days = days.into_iter().fold(0, |days, day| days | day.bit());
        (days > 0).then_some(Self(days))
    }

    /// Returns whether these days include `day`.
    pub const fn includes(self, day: Weekday) -> bool {
        self.0 & day.bit() != 0
    }

    /// Returns the days, in order.
    pub fn days(self) -> impl Iterator<Item = Weekday> {
        Weekday::ALL.iter().copied().filter(move |day| self.includes(*day))
    }
}

impl TryFrom<Vec<Weekday>> for Weekdays {
    type Error = &'static str;

    fn try_from(days: Vec<Weekday>) -> Result<Self, Self::Error> {
        Self::new(days).ok_or("no day is given: leave the days out where they are not known")
    }
}

impl From<Weekdays> for Vec<Weekday> {
    fn from(days: Weekdays) -> Self {
        days.days().collect()
    }
}

sql_value!(Weekdays: SmallInt as i16, |days| match days {
    1..=31 => Ok(Self(days)),
    _ => Err("a set of school days lies between 1 and 31"),
});
