-- A parent and its children.
CREATE TABLE libraries (
    -- AUTOINCREMENT: an id is never used again after its library was deleted.
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL
        CONSTRAINT uq_libraries_name UNIQUE
        CONSTRAINT ck_library_name CHECK (typeof(name) = 'text' AND length(name) BETWEEN 1 AND 200),
    -- What a late book costs, in pence.
    fee INTEGER
        CONSTRAINT ck_library_fee CHECK (typeof(fee) IN ('integer', 'null') AND fee >= 0),
    charged_for TEXT
        CONSTRAINT ck_library_charged_for CHECK (charged_for IN ('day', 'week', 'term'))
);

CREATE INDEX ix_libraries_fee ON libraries (fee) WHERE fee IS NOT NULL;

CREATE TABLE books (
    id INTEGER NOT NULL PRIMARY KEY,
    library_id BIGINT NOT NULL
        CONSTRAINT fk_books_library REFERENCES libraries (id) ON DELETE CASCADE,
    title TEXT NOT NULL
        CONSTRAINT ck_book_title CHECK (typeof(title) = 'text' AND length(title) BETWEEN 1 AND 200),
    -- The library's name. A trigger keeps it up to date.
    library_name TEXT
);

CREATE INDEX ix_books_library ON books (library_id);

CREATE TRIGGER tr_libraries_renamed AFTER UPDATE OF name ON libraries BEGIN
    UPDATE books SET library_name = NEW.name WHERE library_id = NEW.id;
END;
