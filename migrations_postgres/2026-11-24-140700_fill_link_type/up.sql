-- The second step: what was there before the triggers.
UPDATE school_links SET link_type = reason WHERE link_type IS NULL AND reason IS NOT NULL;
