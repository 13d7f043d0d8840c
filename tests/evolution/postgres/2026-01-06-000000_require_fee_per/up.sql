-- Changes that Postgres makes in place and SQLite by a rebuild: a column becomes NOT NULL, and a limit is set.
--
-- Rows that were written without the column are filled first; the default fills later ones. Because the constraint was
-- validated, SET NOT NULL reads no row. All of this is one transaction, which holds its lock to the end: for a large
-- table see docs/migrations.md.
ALTER TABLE libraries ALTER COLUMN fee_per SET DEFAULT 'day';
UPDATE libraries SET fee_per = 'day' WHERE fee_per IS NULL;
ALTER TABLE libraries ADD CONSTRAINT ck_library_fee_per_known CHECK (fee_per IS NOT NULL) NOT VALID;
ALTER TABLE libraries VALIDATE CONSTRAINT ck_library_fee_per_known;
ALTER TABLE libraries ALTER COLUMN fee_per SET NOT NULL;
ALTER TABLE libraries DROP CONSTRAINT ck_library_fee_per_known;

ALTER TABLE libraries DROP CONSTRAINT ck_library_fee;
UPDATE libraries SET fee = 10000 WHERE fee > 10000;
ALTER TABLE libraries ADD CONSTRAINT ck_library_fee CHECK (fee BETWEEN 0 AND 10000);
