DROP TABLE school_reviews;
