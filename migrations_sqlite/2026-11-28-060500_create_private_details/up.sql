-- What only private schools have: at most one row a school.
CREATE TABLE private_school_details (
    id INTEGER NOT NULL PRIMARY KEY,
    school_id BIGINT NOT NULL
        CONSTRAINT fk_private_school_details_school REFERENCES schools (id) ON DELETE CASCADE,
    fees_notes TEXT
        CONSTRAINT ck_private_fees_notes CHECK (
            typeof(fees_notes) IN ('text', 'null') AND length(fees_notes) BETWEEN 1 AND 2000
        ),
    day_starts_at TIME
        CONSTRAINT ck_private_day_starts_at CHECK (
            typeof(day_starts_at) IN ('text', 'null') AND day_starts_at IS time(day_starts_at, '+0 seconds')
        ),
    day_ends_at TIME,
    transport TEXT
        CONSTRAINT ck_private_transport CHECK (
            typeof(transport) IN ('text', 'null') AND length(transport) BETWEEN 1 AND 2000
        ),
    CONSTRAINT uq_private_school_details UNIQUE (school_id),
    CONSTRAINT ck_private_day CHECK (
        typeof(day_ends_at) IN ('text', 'null') AND day_ends_at IS time(day_ends_at, '+0 seconds')
        AND (day_starts_at IS NULL OR day_ends_at IS NULL OR day_ends_at > day_starts_at)
    )
);

-- What a private school charges, by the ages that a fee is for.
CREATE TABLE private_school_fees (
    id INTEGER NOT NULL PRIMARY KEY,
    school_id BIGINT NOT NULL
        CONSTRAINT fk_private_school_fees_school REFERENCES schools (id) ON DELETE CASCADE,
    -- The year in which the academic year begins: 2024 is 2024/2025.
    academic_year SMALLINT NOT NULL
        CONSTRAINT ck_fee_academic_year CHECK (
            typeof(academic_year) = 'integer' AND academic_year BETWEEN 1900 AND 2199
        ),
    age_from SMALLINT NOT NULL
        CONSTRAINT ck_fee_age_from CHECK (typeof(age_from) = 'integer' AND age_from BETWEEN 0 AND 19),
    age_to SMALLINT NOT NULL,
    -- In pence.
    per_term BIGINT
        CONSTRAINT ck_fee_per_term CHECK (
            typeof(per_term) IN ('integer', 'null') AND per_term BETWEEN 0 AND 9999999999
        ),
    per_year BIGINT
        CONSTRAINT ck_fee_per_year CHECK (
            typeof(per_year) IN ('integer', 'null') AND per_year BETWEEN 0 AND 9999999999
        ),
    CONSTRAINT uq_private_school_fees UNIQUE (school_id, academic_year, age_from, age_to),
    CONSTRAINT ck_fee_ages CHECK (typeof(age_to) = 'integer' AND age_to BETWEEN age_from AND 99)
);
