-- Postgres gets one index of outlines and circles, as the R*Tree schools_catchment is one. Nothing is to be done.
SELECT 1;
