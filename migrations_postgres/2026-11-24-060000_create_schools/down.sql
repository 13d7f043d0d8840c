-- Loses every school.
-- The extension stays: it may have been there before, other tables may use it, and only its owner may drop it.
DROP TABLE schools;
