-- Loses every club.
DROP TABLE school_clubs;
