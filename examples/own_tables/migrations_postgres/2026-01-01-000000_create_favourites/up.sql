CREATE TABLE favourites (
    parent text NOT NULL CHECK (parent <> ''),
    school_id bigint NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    note text,
    PRIMARY KEY (parent, school_id)
);

-- For the cascade.
CREATE INDEX ix_favourites_school ON favourites (school_id);
