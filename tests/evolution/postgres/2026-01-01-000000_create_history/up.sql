-- The history, as this crate's own schema has it.
CREATE TABLE school_finder_migrations (
    version TEXT NOT NULL PRIMARY KEY
        CONSTRAINT ck_migration_version CHECK (length(version) = 14),
    -- Of the migration's text: one that was edited later is refused.
    checksum TEXT NOT NULL
        CONSTRAINT ck_migration_checksum CHECK (length(checksum) = 16),
    -- The oldest version whose builds may use the schema that the migration leaves.
    floor TEXT NOT NULL
        CONSTRAINT ck_migration_floor CHECK (length(floor) = 14 AND floor <= version)
);
