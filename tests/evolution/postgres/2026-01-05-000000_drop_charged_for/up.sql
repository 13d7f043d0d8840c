-- Last step: contract, once no program reads the old column.
DROP TRIGGER tr_libraries_fee_update ON libraries;
DROP TRIGGER tr_libraries_fee_insert ON libraries;
DROP FUNCTION libraries_keep_fee;
ALTER TABLE libraries DROP COLUMN charged_for;
