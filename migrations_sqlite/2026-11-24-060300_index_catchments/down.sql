DROP TRIGGER tr_schools_catchment_delete;
DROP TRIGGER tr_schools_catchment_update;
DROP TRIGGER tr_schools_catchment_insert;
DROP VIEW schools_catchment_box;
DROP TABLE schools_catchment;
