-- Last step: contract, once no program reads the old column.
DROP TRIGGER tr_libraries_fee_update;
DROP TRIGGER tr_libraries_fee_insert;
ALTER TABLE libraries DROP COLUMN charged_for;
