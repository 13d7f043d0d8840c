-- Loses all term dates.
DROP TABLE school_term_dates;
