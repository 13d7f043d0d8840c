//! A bare number where kilometres are meant, and an id where a URN is.

use school_finder_db::ids::{SchoolId, Urn};
use school_finder_db::{SchoolSearch, sample};

fn main() {
    let _ = SchoolSearch::near(sample::home()).within(5.0);
    let _: Urn = SchoolId::new(110_533);
}
