-- When a school is in session: three terms a year, first and last day included, and the half-term holidays in them.
CREATE TABLE school_term_dates (
    id INTEGER NOT NULL PRIMARY KEY,
    school_id BIGINT NOT NULL
        CONSTRAINT fk_school_term_dates_school REFERENCES schools (id) ON DELETE CASCADE,
    -- The year in which the academic year begins: 2024 is 2024/2025.
    academic_year SMALLINT NOT NULL
        CONSTRAINT ck_term_academic_year CHECK (
            typeof(academic_year) = 'integer' AND academic_year BETWEEN 1900 AND 2199
        ),
    term TEXT NOT NULL
        CONSTRAINT ck_term CHECK (term IN ('autumn', 'spring', 'summer')),
    starts_on DATE NOT NULL
        CONSTRAINT ck_term_starts_on CHECK (typeof(starts_on) = 'text' AND starts_on IS date(starts_on, '+0 days')),
    ends_on DATE NOT NULL,
    half_term_starts_on DATE
        CONSTRAINT ck_term_half_starts_on CHECK (
            typeof(half_term_starts_on) IN ('text', 'null')
            AND half_term_starts_on IS date(half_term_starts_on, '+0 days')
        ),
    half_term_ends_on DATE,
    CONSTRAINT uq_school_term_dates UNIQUE (school_id, academic_year, term),
    CONSTRAINT ck_term_dates CHECK (
        typeof(ends_on) = 'text' AND ends_on IS date(ends_on, '+0 days') AND ends_on > starts_on
    ),
    CONSTRAINT ck_term_half CHECK (
        typeof(half_term_ends_on) IN ('text', 'null') AND half_term_ends_on IS date(half_term_ends_on, '+0 days')
        AND (half_term_starts_on IS NULL) = (half_term_ends_on IS NULL)
        AND (
            half_term_starts_on IS NULL
            OR (
                half_term_starts_on > starts_on AND half_term_ends_on >= half_term_starts_on
                AND half_term_ends_on < ends_on
            )
        )
    )
);
