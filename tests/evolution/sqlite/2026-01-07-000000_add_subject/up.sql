-- Serves builds from 2026-01-06-000000_require_fee_per on.
ALTER TABLE books ADD COLUMN subject TEXT;
