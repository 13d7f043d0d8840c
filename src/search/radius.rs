//! The radii of an expanding search: small first and then wider, so that its cost follows the page and not the country.

use super::{Near, Position, ValidatedSearch};
use crate::geo::LatLng;
use crate::request::Sort;
use crate::units::Kilometres;

/// The first and last radius of an expanding search on a backend.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expansion {
    /// The radius of the first probe, in kilometres.
    pub first_km: f64,
    /// The widest radius that an index serves, in kilometres. Where it does not fill the page, the filter is rare, and
    /// one scan costs less than ever wider circles. The scan also finds the schools without a location.
    pub last_km: f64,
}

/// The radius of one probe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum SearchRadius {
    /// The whole of the search.
    Whole,
    /// This many kilometres: any school outside the probe is farther away.
    Km(f64),
}

impl ValidatedSearch {
    /// Returns the radius of the first probe, which begins at the search's point or at its cursor.
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

    /// Returns the radius of the probe after one that found `found` rows, or `None` where the search is complete. Where
    /// schools are spread evenly, their number grows with the square of the radius; the next probe aims a little beyond
    /// that.
    pub(crate) fn next_radius(&self, radius: SearchRadius, found: usize, expansion: Expansion) -> Option<SearchRadius> {
        let SearchRadius::Km(km) = radius else { return None };
        let wanted = usize::try_from(self.fetch()).unwrap_or(usize::MAX);
        if found >= wanted {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a page has at most 1,001 rows")]
        let growth = if found == 0 { 4.0 } else { (1.2 * (wanted as f64 / found as f64).sqrt()).clamp(1.5, 4.0) };
        // Each probe is wider than the one before it, so that the search ends.
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
