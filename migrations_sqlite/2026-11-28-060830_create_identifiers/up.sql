-- What else identifies a school: at most one row a school.
CREATE TABLE school_identifiers (
    id INTEGER NOT NULL PRIMARY KEY,
    school_id BIGINT NOT NULL
        CONSTRAINT fk_school_identifiers_school REFERENCES schools (id) ON DELETE CASCADE,
    -- With the establishment number it is the LAESTAB, also called the DfE number.
    la_code SMALLINT
        CONSTRAINT ck_identifiers_la_code CHECK (
            typeof(la_code) IN ('integer', 'null') AND la_code BETWEEN 1 AND 999
        ),
    establishment_number SMALLINT
        CONSTRAINT ck_identifiers_establishment_number CHECK (
            typeof(establishment_number) IN ('integer', 'null') AND establishment_number BETWEEN 0 AND 9999
        ),
    -- The UK Provider Reference Number.
    ukprn INTEGER
        CONSTRAINT ck_identifiers_ukprn CHECK (
            typeof(ukprn) IN ('integer', 'null') AND ukprn BETWEEN 10000000 AND 99999999
        ),
    -- The register that lists the school.
    source TEXT
        CONSTRAINT ck_identifiers_source CHECK (
            typeof(source) IN ('text', 'null') AND length(source) BETWEEN 1 AND 100
        ),
    CONSTRAINT uq_school_identifiers UNIQUE (school_id)
);

-- A closed school and the academy after it share a LAESTAB, so neither is unique.
CREATE INDEX ix_school_identifiers_laestab ON school_identifiers (la_code, establishment_number);
CREATE INDEX ix_school_identifiers_ukprn ON school_identifiers (ukprn);
