-- Loses the subjects of books.
ALTER TABLE books DROP COLUMN subject;
