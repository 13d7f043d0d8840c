-- The boxes of outlines and circles in one index, as SQLite has one R*Tree of both: an index for each would be read
-- twice and the results combined. Most schools have neither, and are left out. Keep the expression in step with
-- `outline_or_circle` in src/postgres/functions.rs.
--
-- `buffering` keeps PostGIS from building the index from sorted boxes, which overlap more: a query would take a tenth
-- longer.
CREATE INDEX ix_schools_catchment
    ON schools USING gist ((COALESCE(catchment_geometry, catchment_circle))) WITH (buffering = on)
    WHERE COALESCE(catchment_geometry, catchment_circle) IS NOT NULL;

-- Outlines alone, for PostGIS queries of a service's own.
CREATE INDEX ix_schools_catchment_geometry ON schools USING gist (catchment_geometry);
