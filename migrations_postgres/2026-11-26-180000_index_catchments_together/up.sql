-- Outlines and circles in one index: a question of both was two looks and a bitmap of what they found. Most schools have neither,
-- and an index that leaves them out costs their imports nothing. Keep the expression in step with `outline_or_circle` in
-- src/postgres/functions.rs.
--
-- `buffering` keeps PostGIS from building it of sorted boxes, which overlap more: a question would take a tenth longer. A statement
-- of its own, outside of any transaction, so that nobody who writes has to wait.
CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_schools_catchment
    ON schools USING gist ((COALESCE(catchment_geometry, catchment_circle))) WITH (buffering = on)
    WHERE COALESCE(catchment_geometry, catchment_circle) IS NOT NULL;
