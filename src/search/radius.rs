//! How far an expanding search reaches: close by first and then farther, so that its cost follows the page and not the
//! country.

use super::{Near, Position, ValidatedSearch};
use crate::geo::LatLng;
use crate::request::Sort;
use crate::units::Kilometres;

/// How an expanding search begins and ends on a backend.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expansion {
    /// The radius of the first probe, in kilometres.
    pub first_km: f64,
    /// The widest radius that an index serves, in kilometres. Where so wide a circle does not fill the page, the filter
    /// is a rare one, and one scan is cheaper than ever wider circles. It also finds the schools without a location.
    pub last_km: f64,
}

/// The radius of one probe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum SearchRadius {
    /// All that the search asks for.
    Whole,
    /// So many kilometres: any school that a probe misses is farther.
    Km(f64),
}

impl ValidatedSearch {
    /// Returns the radius of the first probe: from the search's point, or from its cursor on.
    pub(crate) fn first_radius(&self, expansion: Expansion) -> SearchRadius {
        match (self.search.sort, &self.after) {
            (Sort::Distance, Some(Position::Distance { km: None, .. })) => SearchRadius::Whole,
            (Sort::Distance, Some(Position::Distance { km: Some(km), .. })) => {
                self.up_to(km * 1.2 + expansion.first_km, expansion)
            }
            (Sort::Distance, _) => self.up_to(expansion.first_km, expansion),
            (Sort::Name | Sort::Rating | Sort::Margin, _) => SearchRadius::Whole,
        }
    }

    /// Returns the radius of the probe after one that found so many rows, or `None` where these are the answer. Where
    /// schools are spread evenly their number grows with the square of the radius; the next probe aims a little beyond
    /// that.
    pub(crate) fn next_radius(&self, radius: SearchRadius, found: usize, expansion: Expansion) -> Option<SearchRadius> {
        let SearchRadius::Km(km) = radius else { return None };
        let wanted = usize::try_from(self.fetch()).unwrap_or(usize::MAX);
        if found >= wanted {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a page has at most 1,001 rows")]
        let growth = if found == 0 { 4.0 } else { (1.2 * (wanted as f64 / found as f64).sqrt()).clamp(1.5, 4.0) };
        // Each probe is wider than the one before it, so that there is a last one.
        Some(self.up_to(if km > 0.0 { km * growth } else { expansion.last_km }, expansion))
    }

    fn up_to(&self, km: f64, expansion: Expansion) -> SearchRadius {
        let is_whole = self.radius().is_some_and(|radius| km >= radius.get()) || km > expansion.last_km;
        if is_whole { SearchRadius::Whole } else { SearchRadius::Km(km) }
    }

    /// Returns the circle of a probe: the search's own, or a smaller one.
    pub(crate) fn circle(&self, radius: SearchRadius) -> Option<(LatLng, Kilometres)> {
        let Near { point, radius: asked } = self.near?;
        match radius {
            SearchRadius::Whole => Some((point, asked?)),
            SearchRadius::Km(km) => Some((point, Kilometres::new(km).ok()?)),
        }
    }
}
