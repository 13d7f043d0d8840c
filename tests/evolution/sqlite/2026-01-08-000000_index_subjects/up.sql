CREATE INDEX ix_books_subject ON books (subject);
