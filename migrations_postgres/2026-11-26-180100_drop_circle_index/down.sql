CREATE INDEX ix_schools_catchment_circle ON schools USING gist (catchment_circle);
