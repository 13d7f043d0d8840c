-- The checksum of each migration's text, recorded by the program that ran it: a text that was edited later is refused.
-- Diesel's own tool records none; the next `school-finder migrate up` does.
CREATE TABLE migration_checksums (
    version TEXT NOT NULL PRIMARY KEY
        -- A migration that is reverted, by whatever tool, may be edited.
        CONSTRAINT fk_migration_checksums_version REFERENCES __diesel_schema_migrations (version) ON DELETE CASCADE,
    checksum TEXT NOT NULL
        CONSTRAINT ck_checksum CHECK (length(checksum) = 16)
);
