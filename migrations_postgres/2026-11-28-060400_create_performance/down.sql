-- Loses all published results.
DROP TABLE school_performance;
