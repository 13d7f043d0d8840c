-- The register names a phase for most schools; NULL where it does not say, 'not_applicable' where it says so.
ALTER TABLE schools ADD COLUMN phase TEXT
    CONSTRAINT ck_phase CHECK (phase IN (
        'nursery', 'primary', 'middle_primary', 'middle_secondary', 'secondary', 'all_through', '16_plus',
        'not_applicable'
    ));

CREATE INDEX ix_schools_open_phase_name ON schools (phase, name_folded, id)
    WHERE status IN ('open', 'proposed_to_close');
