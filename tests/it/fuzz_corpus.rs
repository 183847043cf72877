//! Replays the fuzzers' corpus through the same functions, with the same tight limits.

#[path = "../fuzz/checks.rs"]
mod checks;

use std::path::Path;

#[test]
fn the_corpus_is_read_without_a_surprise() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let targets = [
        ("otlp_proto", checks::otlp_proto as fn(&[u8])),
        ("read", checks::read),
        ("json", checks::json),
        ("diff", checks::diff),
        ("trees", checks::trees),
    ];
    let listed = std::fs::read_to_string(corpus.join("../Cargo.toml")).unwrap().matches("[[bin]]").count();
    assert_eq!(listed, targets.len(), "a target of Cargo.toml is not replayed");
    for (target, check) in targets {
        let mut files = 0;
        for entry in std::fs::read_dir(corpus.join(target)).unwrap() {
            check(&std::fs::read(entry.unwrap().path()).unwrap());
            files += 1;
        }
        assert!(files >= 4, "{files} files for {target}");
    }
}

/// Every prefix of every seed, and every seed with one byte changed.
#[test]
fn cut_and_changed_seeds_are_read_without_a_surprise() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/read");
    for entry in std::fs::read_dir(corpus).unwrap() {
        let seed = std::fs::read(entry.unwrap().path()).unwrap();
        for at in 0..seed.len() {
            checks::read(&seed[..at]);
            for value in [0, 0x0a, 0x7f, 0x80, 0xff] {
                let mut changed = seed.clone();
                changed[at] = value;
                checks::read(&changed);
                checks::otlp_proto(&changed);
            }
        }
    }
}
