//! Profile files: the generated code is what the schema says, and files keep what profiles hold.

use std::path::Path;

/// The Rust code of the schema, as `src/ingest/profile_codec/generated.rs` must be.
fn generated() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = protox::compile(["spandiff/v1/profile.proto"], [root.join("proto")]).unwrap();
    let out = tempfile::tempdir().unwrap();
    prost_build::Config::new().out_dir(out.path()).compile_fds(schema).unwrap();
    let code = std::fs::read_to_string(out.path().join("spandiff.v1.rs")).unwrap();
    format!(
        "//! Generated from proto/spandiff/v1/profile.proto by the test `the_code_is_what_the_schema_says`.\n{code}"
    )
}

#[test]
fn the_code_is_what_the_schema_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ingest/profile_codec/generated.rs");
    let expected = generated();
    if std::fs::read_to_string(&path).unwrap_or_default() != expected {
        let fresh = std::env::temp_dir().join("spandiff-generated.rs");
        std::fs::write(&fresh, expected).unwrap();
        panic!("{} is not what the schema says; copy {}", path.display(), fresh.display());
    }
}
