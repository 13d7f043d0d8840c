-- The strips serve every circle: the R*Tree and its triggers cost each write and are read by nothing.
DROP TRIGGER tr_schools_location_insert;
DROP TRIGGER tr_schools_location_update;
DROP TRIGGER tr_schools_location_delete;
DROP TABLE schools_location;
DROP INDEX ix_schools_lat_lng;
