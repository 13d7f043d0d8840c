-- Loses every school's town.
DROP TRIGGER tr_schools_words_update;
DROP TABLE school_vocabulary;
DROP TABLE school_towns;
DROP TABLE school_words;
