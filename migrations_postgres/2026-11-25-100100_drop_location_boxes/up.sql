-- The strips serve every circle: these indexes cost each write and are read by nothing. The GiST index ix_schools_location
-- stays, for PostGIS queries of a service's own.
DROP INDEX ix_schools_open_location;
DROP INDEX ix_schools_lat_lng;
