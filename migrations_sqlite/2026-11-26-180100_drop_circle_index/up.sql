-- Postgres drops the index of circles alone. Nothing is to be done.
SELECT 1;
