-- `charged_for` has the same values, so nothing is lost.
DROP TRIGGER tr_libraries_fee_update;
DROP TRIGGER tr_libraries_fee_insert;
ALTER TABLE libraries DROP COLUMN fee_per;
