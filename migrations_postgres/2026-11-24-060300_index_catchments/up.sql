-- The boxes round the outlines of catchments. ck_catchment_geometry has refused what must not get here.
CREATE INDEX ix_schools_catchment_geometry ON schools USING gist (catchment_geometry);
