//! Wrong use does not compile, and says why. The sentences are in `tests/ui/*.stderr`.
//!
//! `cargo test --no-default-features --features sqlite,postgres --test ui`: apart from the other tests, since it builds
//! the crate's dependencies once more, and the fewer the better.

#[test]
fn wrong_use_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
