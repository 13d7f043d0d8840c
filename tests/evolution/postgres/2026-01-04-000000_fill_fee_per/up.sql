-- Second step: fill. The triggers keep the rows that are written from here on; these are the others.
UPDATE libraries SET fee_per = charged_for WHERE fee_per IS NULL AND charged_for IS NOT NULL;
