-- Published results. A publisher suppresses a value that would identify single children: it is unknown, and not zero.
CREATE TABLE school_performance (
    id INTEGER NOT NULL PRIMARY KEY,
    school_id BIGINT NOT NULL
        CONSTRAINT fk_school_performance_school REFERENCES schools (id) ON DELETE CASCADE,
    -- What was measured, such as 'progress_8'.
    metric TEXT NOT NULL
        CONSTRAINT ck_performance_metric CHECK (typeof(metric) = 'text' AND length(metric) BETWEEN 1 AND 100),
    -- The calendar year in which the results came out.
    year SMALLINT NOT NULL
        CONSTRAINT ck_performance_year CHECK (typeof(year) = 'integer' AND year BETWEEN 1900 AND 2199),
    -- In thousandths, exact; NULL where the publisher suppressed it.
    value BIGINT
        CONSTRAINT ck_performance_value CHECK (
            typeof(value) IN ('integer', 'null') AND value BETWEEN -999999999999 AND 999999999999
        ),
    is_suppressed BOOLEAN NOT NULL
        CONSTRAINT ck_performance_is_suppressed CHECK (typeof(is_suppressed) = 'integer' AND is_suppressed IN (0, 1)),
    national_average BIGINT
        CONSTRAINT ck_performance_national_average CHECK (
            typeof(national_average) IN ('integer', 'null') AND national_average BETWEEN -999999999999 AND 999999999999
        ),
    source TEXT
        CONSTRAINT ck_performance_source CHECK (
            typeof(source) IN ('text', 'null') AND length(source) BETWEEN 1 AND 500
        ),
    CONSTRAINT uq_school_performance UNIQUE (school_id, metric, year),
    CONSTRAINT ck_performance_suppressed CHECK (NOT is_suppressed OR value IS NULL)
);
