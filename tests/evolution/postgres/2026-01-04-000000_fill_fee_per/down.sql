-- A filled value does no harm.
SELECT 1;
