-- The words by which people look for schools, as Rust computes them: of the name, the town, the council and the
-- postcode. `migrate up` fills these tables; `migrate check --data` compares them with the schools.
CREATE TABLE school_words (
    word TEXT NOT NULL
        CONSTRAINT ck_school_word CHECK (typeof(word) = 'text' AND length(word) BETWEEN 1 AND 200),
    school_id BIGINT NOT NULL
        CONSTRAINT fk_school_words_school REFERENCES schools (id) ON DELETE CASCADE,
    -- Whether the word is in the name.
    in_name BOOLEAN NOT NULL
        CONSTRAINT ck_school_word_in_name CHECK (typeof(in_name) = 'integer' AND in_name IN (0, 1)),
    PRIMARY KEY (word, school_id)
) WITHOUT ROWID;

-- Whether a school has a word: for searches that find schools by something else.
CREATE INDEX ix_school_words_school ON school_words (school_id, word, in_name);

-- The texts that a school's words were computed from: its town, which is in no column of schools, and its name, council
-- and postcode as they were.
CREATE TABLE school_towns (
    school_id INTEGER NOT NULL PRIMARY KEY
        CONSTRAINT fk_school_towns_school REFERENCES schools (id) ON DELETE CASCADE,
    town TEXT
        CONSTRAINT ck_town CHECK (typeof(town) IN ('text', 'null') AND length(town) BETWEEN 1 AND 100),
    name TEXT NOT NULL
        CONSTRAINT ck_town_name CHECK (typeof(name) = 'text'),
    council TEXT
        CONSTRAINT ck_town_council CHECK (typeof(council) IN ('text', 'null')),
    postcode TEXT
        CONSTRAINT ck_town_postcode CHECK (typeof(postcode) IN ('text', 'null'))
);

-- Every word of school_words that has letters alone, forwards and backwards. A word with a typing error is found by its
-- beginning or its end. A word may outlive its schools.
CREATE TABLE school_vocabulary (
    word TEXT NOT NULL PRIMARY KEY
        CONSTRAINT ck_vocabulary_word CHECK (typeof(word) = 'text' AND length(word) BETWEEN 1 AND 200),
    reversed TEXT NOT NULL
        CONSTRAINT ck_vocabulary_reversed CHECK (typeof(reversed) = 'text' AND length(reversed) = length(word))
);
CREATE INDEX ix_school_vocabulary_reversed ON school_vocabulary (reversed, word);

-- A school's name, council and postcode are those that its words were computed from. The sentence is read by programs
-- that know nothing of this crate. A name without its fold is refused by the trigger for that.
CREATE TRIGGER tr_schools_words_update AFTER UPDATE OF name, council, postcode ON schools
    WHEN EXISTS (
        SELECT 1 FROM school_towns WHERE school_id = NEW.id
        AND (name IS NOT NEW.name OR council IS NOT NEW.council OR postcode IS NOT NEW.postcode)
    ) AND EXISTS (SELECT 1 FROM folded_names WHERE name = NEW.name AND name_folded = NEW.name_folded)
BEGIN
    SELECT raise(
        ABORT,
        'school_words has other words: write by school-finder-db, or update school_towns first and repair the words'
    );
END;
