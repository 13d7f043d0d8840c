DROP TRIGGER tr_schools_location_delete;
DROP TRIGGER tr_schools_location_update;
DROP TRIGGER tr_schools_location_insert;
DROP TABLE schools_location;
