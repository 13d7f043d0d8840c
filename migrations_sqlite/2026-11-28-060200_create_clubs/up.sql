-- Breakfast and after-school clubs: on which days, until when, and what they cost.
CREATE TABLE school_clubs (
    id INTEGER NOT NULL PRIMARY KEY,
    school_id BIGINT NOT NULL
        CONSTRAINT fk_school_clubs_school REFERENCES schools (id) ON DELETE CASCADE,
    kind TEXT NOT NULL
        CONSTRAINT ck_club_kind CHECK (kind IN ('breakfast', 'after_school')),
    name TEXT
        CONSTRAINT ck_club_name CHECK (typeof(name) IN ('text', 'null') AND length(name) BETWEEN 1 AND 200),
    -- The days it is held on: Monday is 1, Tuesday 2, Wednesday 4, Thursday 8, Friday 16, added up.
    days SMALLINT
        CONSTRAINT ck_club_days CHECK (typeof(days) IN ('integer', 'null') AND days BETWEEN 1 AND 31),
    starts_at TIME
        CONSTRAINT ck_club_starts_at CHECK (
            typeof(starts_at) IN ('text', 'null') AND starts_at IS time(starts_at, '+0 seconds')
        ),
    ends_at TIME,
    -- In pence: a NUMERIC of SQLite is a float, which is not exact.
    cost BIGINT
        CONSTRAINT ck_club_cost CHECK (typeof(cost) IN ('integer', 'null') AND cost BETWEEN 0 AND 9999999999),
    -- What the cost is for. A program that does not state it means a day.
    cost_per TEXT NOT NULL DEFAULT 'day'
        CONSTRAINT ck_club_cost_per CHECK (cost_per IN ('day', 'week', 'term')),
    CONSTRAINT ck_club_times CHECK (
        typeof(ends_at) IN ('text', 'null') AND ends_at IS time(ends_at, '+0 seconds')
        AND (starts_at IS NULL OR ends_at IS NULL OR ends_at > starts_at)
    )
);

CREATE INDEX ix_school_clubs_school ON school_clubs (school_id, kind);
