-- Changes that SQLite cannot make in place: a column becomes NOT NULL, and a limit is set. `sqlite::TableRebuild` wrote
-- the script. Rows that were written without the column are filled; the default fills later ones.
PRAGMA foreign_keys = OFF;
BEGIN IMMEDIATE;
PRAGMA legacy_alter_table = ON;

CREATE TABLE libraries_rebuilt (
    -- AUTOINCREMENT: an id is never used again after its library was deleted.
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL
        CONSTRAINT uq_libraries_name UNIQUE
        CONSTRAINT ck_library_name CHECK (typeof(name) = 'text' AND length(name) BETWEEN 1 AND 200),
    -- What a late book costs, in pence.
    fee INTEGER
        CONSTRAINT ck_library_fee CHECK (typeof(fee) IN ('integer', 'null') AND fee BETWEEN 0 AND 10000),
    fee_per TEXT NOT NULL DEFAULT 'day'
        CONSTRAINT ck_library_fee_per CHECK (fee_per IN ('day', 'week', 'term'))
);

INSERT INTO libraries_rebuilt (
    "id",
    "name",
    "fee",
    "fee_per"
)
SELECT
    "id",
    "name",
    min(fee, 10000),
    coalesce(fee_per, 'day')
FROM libraries;

-- An id is never handed out twice, also where the newest rows were deleted.
DELETE FROM sqlite_sequence WHERE name = 'libraries_rebuilt';
INSERT INTO sqlite_sequence (name, seq) SELECT 'libraries_rebuilt', seq FROM sqlite_sequence WHERE name = 'libraries';

DROP TABLE libraries;
ALTER TABLE libraries_rebuilt RENAME TO libraries;

CREATE INDEX ix_libraries_fee ON libraries (fee) WHERE fee IS NOT NULL;

CREATE TRIGGER tr_libraries_renamed AFTER UPDATE OF name ON libraries BEGIN
    UPDATE books SET library_name = NEW.name WHERE library_id = NEW.id;
END;

-- Every row still points to a row.
CREATE TEMP TABLE rebuild_check (broken INTEGER CONSTRAINT ck_rebuild_keeps_references CHECK (broken = 0));
INSERT INTO rebuild_check SELECT count(*) FROM pragma_foreign_key_check;
DROP TABLE rebuild_check;

PRAGMA legacy_alter_table = OFF;
COMMIT;
PRAGMA foreign_keys = ON;
