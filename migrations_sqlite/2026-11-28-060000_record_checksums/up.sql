-- The checksum of each migration's text, recorded by the program that ran it: a text that was edited later is refused.
-- Diesel's own tool records none; the next `school-finder migrate up` does.
CREATE TABLE migration_checksums (
    version TEXT NOT NULL PRIMARY KEY
        CONSTRAINT ck_checksum_version CHECK (typeof(version) = 'text'),
    checksum TEXT NOT NULL
        CONSTRAINT ck_checksum CHECK (typeof(checksum) = 'text' AND length(checksum) = 16)
);

-- A migration that is reverted, by whatever tool, may be edited. A trigger does it, since foreign keys are off while
-- migrations run.
CREATE TRIGGER tr_migration_checksums_reverted AFTER DELETE ON __diesel_schema_migrations BEGIN
    DELETE FROM migration_checksums WHERE version = OLD.version;
END;
