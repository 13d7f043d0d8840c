-- Where open schools stand: nearly every search is for those, and half of a whole register closed long ago. A statement of
-- its own, outside of any transaction, so that nobody who writes has to wait. One that was stopped leaves an INVALID index,
-- which `school-finder migrate up` drops and builds again. Keep the condition in step with `OpenNow` in src/twin.
CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_schools_open_location ON schools USING gist (location)
    WHERE status IN ('open', 'proposed_to_close');
