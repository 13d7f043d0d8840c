DROP TABLE school_clubs;
