//! The blocks of `README.md` and `samples/*/README.md`, run as they stand, from the root of the repository.
//!
//! `TRYCMD=overwrite cargo test --test it samples` writes what the program says now; read the difference.

/// Standard width and no colour, and no configuration of the developer, so that a block reads the same everywhere.
#[test]
fn what_the_documents_show_is_what_the_program_says() {
    let nowhere = tempfile::tempdir().unwrap();
    let cases = trycmd::TestCases::new();
    cases
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .env("XDG_CONFIG_HOME", nowhere.path().to_str().unwrap())
        .default_bin_name("spandiff")
        .case("README.md")
        .case("samples/README.md")
        .case("samples/*/README.md");
    cases.run();
}
