-- What others wrote. A review outlives its school: it keeps the URN and the name as they were when it was written, and
-- its school_id becomes NULL.
CREATE TABLE school_reviews (
    id INTEGER NOT NULL PRIMARY KEY,
    school_id BIGINT
        CONSTRAINT fk_school_reviews_school REFERENCES schools (id) ON DELETE SET NULL,
    urn INTEGER NOT NULL
        CONSTRAINT ck_review_urn CHECK (typeof(urn) = 'integer' AND urn BETWEEN 1 AND 9999999),
    school_name TEXT NOT NULL
        CONSTRAINT ck_review_school_name CHECK (typeof(school_name) = 'text' AND length(school_name) BETWEEN 1 AND 200),
    source TEXT NOT NULL
        CONSTRAINT ck_review_source CHECK (typeof(source) = 'text' AND length(source) BETWEEN 1 AND 200),
    -- In stars: 5 is best.
    rating SMALLINT
        CONSTRAINT ck_review_rating CHECK (typeof(rating) IN ('integer', 'null') AND rating BETWEEN 1 AND 5),
    snippet TEXT
        CONSTRAINT ck_review_snippet CHECK (typeof(snippet) IN ('text', 'null') AND length(snippet) BETWEEN 1 AND 2000),
    reviewed_on DATE
        CONSTRAINT ck_review_reviewed_on CHECK (
            typeof(reviewed_on) IN ('text', 'null') AND reviewed_on IS date(reviewed_on, '+0 days')
        )
);

CREATE INDEX ix_school_reviews_school ON school_reviews (school_id);
CREATE INDEX ix_school_reviews_urn ON school_reviews (urn);

-- A review that was stored before its school gets that school's id.
CREATE TRIGGER tr_school_reviews_new_school AFTER INSERT ON schools BEGIN
    UPDATE school_reviews SET school_id = NEW.id WHERE urn = NEW.urn AND school_id IS NULL;
END;

CREATE TRIGGER tr_school_reviews_new_urn AFTER UPDATE OF urn ON schools WHEN NEW.urn <> OLD.urn BEGIN
    UPDATE school_reviews SET school_id = NEW.id WHERE urn = NEW.urn AND school_id IS NULL;
END;

-- A review whose URN is corrected belongs to the school of the new one.
CREATE TRIGGER tr_school_reviews_update AFTER UPDATE OF urn ON school_reviews WHEN NEW.urn <> OLD.urn BEGIN
    UPDATE school_reviews SET school_id = (SELECT id FROM schools WHERE urn = NEW.urn) WHERE id = NEW.id;
END;

-- A merger moves reviews on. When the school that they were moved to is deleted, they return to the school of their
-- URN.
CREATE TRIGGER tr_school_reviews_deleted_school BEFORE DELETE ON schools BEGIN
    UPDATE school_reviews
        SET school_id = (SELECT id FROM schools WHERE schools.urn = school_reviews.urn AND id <> OLD.id)
        WHERE school_id = OLD.id AND urn <> OLD.urn;
END;
