-- A number for the text of each migration that was run, by the program that ran it: one that was edited later is told by
-- it. Diesel's own tool writes none; the next `school-finder migrate up` does.
CREATE TABLE migration_checksums (
    version TEXT NOT NULL PRIMARY KEY
        CONSTRAINT ck_checksum_version CHECK (typeof(version) = 'text'),
    checksum TEXT NOT NULL
        CONSTRAINT ck_checksum CHECK (typeof(checksum) = 'text' AND length(checksum) = 16)
);

-- A migration that is reverted, by whatever tool, may be edited. A trigger, since foreign keys are off while migrations run.
CREATE TRIGGER tr_migration_checksums_reverted AFTER DELETE ON __diesel_schema_migrations BEGIN
    DELETE FROM migration_checksums WHERE version = OLD.version;
END;
