-- How often the row was changed. Whoever edits a school says which version they saw, so that nobody overwrites what they
-- have not read.
ALTER TABLE schools ADD COLUMN version INTEGER NOT NULL DEFAULT 1
    CONSTRAINT ck_version CHECK (version >= 1);
