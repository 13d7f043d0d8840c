-- `charged_for` has the same values, so nothing is lost.
DROP TRIGGER tr_libraries_fee_update ON libraries;
DROP TRIGGER tr_libraries_fee_insert ON libraries;
DROP FUNCTION libraries_keep_fee;
ALTER TABLE libraries DROP COLUMN fee_per;
