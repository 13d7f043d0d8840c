//! How far a search looks. An order by distance looks close by first and then farther, so that its cost follows the page
//! and not the country.

use super::cursor::Position;
use super::search::{Near, Settled, Sort};
use crate::geo::{BoundingBox, LatLng};
use crate::units::Kilometres;

/// Past this reach a look is at all that the search asks for: where so wide a circle does not fill the page, the filter
/// is a rare one, and an index of its own or one scan is cheaper than ever wider circles. It also finds the schools that
/// stand nowhere.
const LAST_REACH_KM: f64 = 400.0;

/// How much of the map one query looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reach {
    /// All that the search asks for.
    Whole,
    /// Only what lies so many kilometres from the search's point, about: any other school is farther.
    Partial(f64),
}

impl Settled {
    /// Where the search begins to look: so many kilometres from its point, or from its cursor on.
    pub(super) fn first_reach(&self, first_km: f64) -> Reach {
        let Some(Near { radius, .. }) = self.near else { return Reach::Whole };
        let begin = match (self.search.sort, &self.after) {
            (Sort::Distance, Some(Position::Distance { km: None, .. })) => return Reach::Whole,
            (Sort::Distance, Some(Position::Distance { km: Some(km), .. })) => km * 1.2 + first_km,
            (Sort::Distance, _) => first_km,
            (Sort::Name | Sort::Rating | Sort::Margin, _) => return Reach::Whole,
        };
        up_to(radius, begin)
    }

    /// The next, wider look after one that found so many rows, or nothing where these are the answer. Where schools stand
    /// evenly their number grows with the square of the reach; the wider look aims a little beyond that.
    pub(super) fn wider_reach(&self, reach: Reach, found: usize) -> Option<Reach> {
        let Reach::Partial(km) = reach else { return None };
        let wanted = usize::try_from(self.fetch()).unwrap_or(usize::MAX);
        if found >= wanted {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a page has at most 1,001 rows")]
        let growth = if found == 0 { 4.0 } else { (1.2 * (wanted as f64 / found as f64).sqrt()).clamp(1.5, 4.0) };
        // Each look is wider than the one before, so that there is a last one.
        let wider = if km > 0.0 { km * growth } else { LAST_REACH_KM };
        Some(up_to(self.near.and_then(|near| near.radius), wider))
    }

    /// The circle that a look is at: the search's own, or a smaller one.
    pub(crate) fn circle(&self, reach: Reach) -> Option<(LatLng, Kilometres)> {
        let Near { point, radius } = self.near?;
        match reach {
            Reach::Whole => Some((point, radius?)),
            Reach::Partial(km) => Some((point, Kilometres::new(km).ok()?)),
        }
    }

    /// A box round the circle that a look is at. Nothing where that is so wide that the box would leave out little.
    pub(crate) fn bounds(&self, reach: Reach) -> Option<BoundingBox> {
        let (point, km) = self.circle(reach).filter(|(_, km)| km.get() <= LAST_REACH_KM)?;
        Some(BoundingBox::around(point, km))
    }
}

pub(super) fn up_to(radius: Option<Kilometres>, km: f64) -> Reach {
    match radius {
        Some(radius) if km >= radius.get() => Reach::Whole,
        _ if km > LAST_REACH_KM => Reach::Whole,
        _ => Reach::Partial(km),
    }
}
