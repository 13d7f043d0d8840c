-- The third step. What a program that does not know of the column wrote in between is filled first; from now on the default
-- does that. SQLite does not make a column NOT NULL in place: the script is from `sqlite::TableRebuild`.
PRAGMA foreign_keys = OFF;
BEGIN IMMEDIATE;
PRAGMA legacy_alter_table = ON;

CREATE TABLE school_clubs_rebuilt (
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
    -- In pence: a NUMERIC of SQLite is a float, and money must not be one.
    cost BIGINT
        CONSTRAINT ck_club_cost CHECK (typeof(cost) IN ('integer', 'null') AND cost BETWEEN 0 AND 9999999999),
    cost_per TEXT NOT NULL DEFAULT 'day'
        CONSTRAINT ck_club_cost_per CHECK (cost_per IN ('day', 'week', 'term')),
    CONSTRAINT ck_club_times CHECK (
        typeof(ends_at) IN ('text', 'null') AND ends_at IS time(ends_at, '+0 seconds')
        AND (starts_at IS NULL OR ends_at IS NULL OR ends_at > starts_at)
    )
);

INSERT INTO school_clubs_rebuilt (
    "id",
    "school_id",
    "kind",
    "name",
    "days",
    "starts_at",
    "ends_at",
    "cost",
    "cost_per"
)
SELECT
    "id",
    "school_id",
    "kind",
    "name",
    "days",
    "starts_at",
    "ends_at",
    "cost",
    coalesce(cost_per, 'day')
FROM school_clubs;

DROP TABLE school_clubs;
ALTER TABLE school_clubs_rebuilt RENAME TO school_clubs;

CREATE INDEX ix_school_clubs_school ON school_clubs (school_id, kind);

-- Every row still points to a row.
CREATE TEMP TABLE rebuild_check (broken INTEGER CONSTRAINT ck_rebuild_keeps_references CHECK (broken = 0));
INSERT INTO rebuild_check SELECT count(*) FROM pragma_foreign_key_check;
DROP TABLE rebuild_check;

PRAGMA legacy_alter_table = OFF;
COMMIT;
PRAGMA foreign_keys = ON;
