-- Read by nothing since circles stand in ix_schools_catchment. The index of outlines alone stays, for PostGIS queries of a service's
-- own.
DROP INDEX ix_schools_catchment_circle;
