//! The radii of an expanding search: small first and then wider, so that its cost follows the page and not the country.

use super::{Near, ValidatedSearch};
use crate::geo::LatLng;
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

/// The radius of each probe, in kilometres: any school outside is farther away. The whole of a search is infinite.
impl ValidatedSearch {
    /// Returns the radius of the first probe, which begins at the search's point or at its cursor.
    pub(crate) fn first_radius(&self, expansion: Expansion) -> f64 {
        // A search driven by a word reads few schools, wherever they are.
        if self.has_driver() {
            return f64::INFINITY;
        }
        let after_km = self.after.as_ref().map_or(0.0, |after| after.km.unwrap_or(f64::INFINITY));
        self.up_to(after_km * 1.2 + expansion.first_km, expansion)
    }

    /// Returns the radius of the probe after one that found too few rows. Where schools are spread evenly, their number
    /// grows with the square of the radius; the next probe aims a little beyond that.
    pub(super) fn next_radius(&self, km: f64, found: usize, expansion: Expansion) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a page has at most 1,001 rows")]
        let missing = self.fetch() as f64 / found as f64;
        self.up_to(km * (1.2 * missing.sqrt()).clamp(1.5, 4.0), expansion)
    }

    fn up_to(&self, km: f64, expansion: Expansion) -> f64 {
        let is_whole = self.radius().is_some_and(|radius| km >= radius.get()) || km > expansion.last_km;
        if is_whole { f64::INFINITY } else { km }
    }

    /// Returns the circle of a probe: the search's own, or a smaller one.
    pub(crate) fn circle(&self, probe_km: f64) -> Option<(LatLng, Kilometres)> {
        let Near { point, radius } = self.near?;
        let km = radius.map_or(probe_km, |radius| radius.get().min(probe_km));
        Some((point, Kilometres::new(km).ok()?))
    }
}
