-- Loses every school's town.
DROP TRIGGER tr_schools_words_update ON schools;
DROP FUNCTION schools_check_words();
DROP TABLE school_vocabulary;
DROP TABLE school_towns;
DROP TABLE school_words;
