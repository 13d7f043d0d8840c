//! Which columns make up each model.

use diesel::pg::Pg;

use super::schema::{
    admissions_history, private_school_details, private_school_fees, school_clubs, school_links, school_performance,
    school_reviews, school_term_dates, schools,
};
use crate::clauses;
use crate::models::{
    Admissions, Performance, PrivateDetails, PrivateFee, Review, School, SchoolClub, SchoolLink, SchoolSummary,
    TermDates,
};

clauses::school_rows!(Pg, schools);
clauses::child_rows!(Pg);
