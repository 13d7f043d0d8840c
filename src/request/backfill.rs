//! What a backfill asks for.

/// Which schools lack a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PhaseGaps {
    /// Those of which it is not known.
    #[default]
    Unknown,
    /// Those as well of which the register says "not applicable": most special and independent schools.
    UnknownOrNotApplicable,
}
