-- A single statement outside of any transaction, so that no writer waits while the index is built. If it is stopped, an
-- INVALID index is left, which the next `migrate up` drops and builds again.
CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_books_subject ON books (subject);
