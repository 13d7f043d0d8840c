CREATE TABLE favourites (
    parent TEXT NOT NULL CHECK (parent <> ''),
    school_id INTEGER NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    note TEXT,
    PRIMARY KEY (parent, school_id)
) STRICT, WITHOUT ROWID;

-- For the cascade.
CREATE INDEX ix_favourites_school ON favourites (school_id);
