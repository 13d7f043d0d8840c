ALTER TABLE libraries DROP CONSTRAINT ck_library_fee;
ALTER TABLE libraries ADD CONSTRAINT ck_library_fee CHECK (fee >= 0);
ALTER TABLE libraries ALTER COLUMN fee_per DROP NOT NULL, ALTER COLUMN fee_per DROP DEFAULT;
