DROP TABLE school_performance;
