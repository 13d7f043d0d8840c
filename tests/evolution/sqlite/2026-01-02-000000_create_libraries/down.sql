-- Loses every library and its books.
DROP TABLE books;
DROP TABLE libraries;
