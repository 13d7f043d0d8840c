-- The words by which people look for schools, as Rust computes them: of the name, the town, the council and the
-- postcode. `migrate up` fills these tables; `migrate check --data` compares them with the schools.
CREATE TABLE school_words (
    word TEXT COLLATE "C" NOT NULL
        CONSTRAINT ck_school_word CHECK (length(word) BETWEEN 1 AND 200),
    school_id BIGINT NOT NULL
        CONSTRAINT fk_school_words_school REFERENCES schools (id) ON DELETE CASCADE,
    -- Whether the word is in the name.
    in_name BOOLEAN NOT NULL,
    PRIMARY KEY (word, school_id)
);

-- Whether a school has a word: for searches that find schools by something else.
CREATE INDEX ix_school_words_school ON school_words (school_id, word, in_name);

-- The texts that a school's words were computed from: its town, which is in no column of schools, and its name, council
-- and postcode as they were.
CREATE TABLE school_towns (
    school_id BIGINT PRIMARY KEY
        CONSTRAINT fk_school_towns_school REFERENCES schools (id) ON DELETE CASCADE,
    town TEXT
        CONSTRAINT ck_town CHECK (length(town) BETWEEN 1 AND 100),
    name TEXT NOT NULL,
    council TEXT,
    postcode TEXT
);

-- Every word of school_words that has letters alone, forwards and backwards. A word with a typing error is found by its
-- beginning or its end. A word may outlive its schools.
CREATE TABLE school_vocabulary (
    word TEXT COLLATE "C" PRIMARY KEY
        CONSTRAINT ck_vocabulary_word CHECK (length(word) BETWEEN 1 AND 200),
    reversed TEXT COLLATE "C" NOT NULL
        CONSTRAINT ck_vocabulary_reversed CHECK (length(reversed) = length(word))
);
CREATE INDEX ix_school_vocabulary_reversed ON school_vocabulary (reversed, word);

-- A school's name, council and postcode are those that its words were computed from. The trigger names no column, whose
-- type could not be changed then.
CREATE FUNCTION schools_check_words() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF (NEW.name, NEW.council, NEW.postcode) IS DISTINCT FROM (OLD.name, OLD.council, OLD.postcode) AND EXISTS (
        SELECT FROM school_towns WHERE school_id = NEW.id
        AND (name, council, postcode) IS DISTINCT FROM (NEW.name, NEW.council, NEW.postcode)
    ) THEN
        RAISE EXCEPTION
            'school_words has other words: write by school-finder-db, or update school_towns first and repair the words'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'tr_schools_words';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER tr_schools_words_update AFTER UPDATE ON schools
    FOR EACH ROW EXECUTE FUNCTION schools_check_words();
