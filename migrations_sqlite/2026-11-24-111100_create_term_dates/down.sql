DROP TABLE school_term_dates;
