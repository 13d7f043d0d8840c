DROP TABLE school_finder_migrations;
