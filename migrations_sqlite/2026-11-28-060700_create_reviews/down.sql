-- Loses every review.
DROP TRIGGER tr_school_reviews_deleted_school;
DROP TRIGGER tr_school_reviews_new_urn;
DROP TRIGGER tr_school_reviews_new_school;
DROP TABLE school_reviews;
