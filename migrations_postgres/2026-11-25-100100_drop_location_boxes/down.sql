CREATE INDEX ix_schools_open_location ON schools USING gist (location) WHERE status IN ('open', 'proposed_to_close');
CREATE INDEX ix_schools_lat_lng ON schools (lat, lng);
