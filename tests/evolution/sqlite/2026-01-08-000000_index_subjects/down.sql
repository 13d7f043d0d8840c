DROP INDEX ix_books_subject;
