-- A single statement outside of any transaction, so that no writer waits while the index is built. If it is stopped, an
-- INVALID index is left, which the next `migrate up` drops and builds again.
-- Serves builds from 2026-01-06-000000_require_fee_per on.
CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_books_subject ON books (subject);
