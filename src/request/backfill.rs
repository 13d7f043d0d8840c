//! The parameters of a backfill.

/// Which schools lack a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PhaseGaps {
    /// Schools whose phase is unknown.
    #[default]
    Unknown,
    /// Also schools whose phase is "not applicable" in the register: most special and independent schools.
    UnknownOrNotApplicable,
}
