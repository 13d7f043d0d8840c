//! Named types for quantities with a unit.

mod academic_year;
mod exact;
mod kilometres;

pub use academic_year::AcademicYear;
pub use exact::{Money, Score};
pub use kilometres::Kilometres;
