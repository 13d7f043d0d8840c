-- Serves builds from 2026-01-06-000000_require_fee_per on.
CREATE INDEX ix_books_subject ON books (subject);
