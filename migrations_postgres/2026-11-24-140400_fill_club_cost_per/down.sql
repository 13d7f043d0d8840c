-- What was filled in does not hurt.
SELECT 1;
