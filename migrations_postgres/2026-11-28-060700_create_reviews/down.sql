-- Loses every review.
DROP TRIGGER tr_school_reviews_deleted_school ON schools;
DROP TRIGGER tr_school_reviews_new_urn ON schools;
DROP TRIGGER tr_school_reviews_new_school ON schools;
DROP FUNCTION school_reviews_return;
DROP FUNCTION school_reviews_follow_urn;
DROP FUNCTION school_reviews_find_new_schools;
DROP TABLE school_reviews;
DROP FUNCTION school_reviews_find_school;
