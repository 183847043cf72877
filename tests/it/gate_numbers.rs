//! Short versions of the bench `numbers`: no wolf is cried, and what is there is found.

use crate::numbers::{SCATTER, SHIFTED, nothing_changed, one_slower};

#[test]
fn nothing_is_found_where_nothing_changed() {
    for climate in [SCATTER, SHIFTED] {
        let counts = nothing_changed(8, 100, climate, 41);
        // 5 % of the runs may be flagged: of eight more than two are hardly chance (p = 0.6 %).
        assert!(counts.flagged <= 2 && counts.failed == 0, "{counts:?}");
    }
}

#[test]
fn a_path_half_as_slow_again_is_found_from_200_traces_on() {
    let counts = one_slower(8, 200, 1.5, SCATTER, 43);
    assert!(counts.named >= 6 && counts.first >= 6, "{counts:?}");
}

#[test]
fn a_fifth_more_is_found_from_2000_traces_on() {
    let counts = one_slower(2, 2_000, 1.2, SCATTER, 47);
    assert_eq!((counts.named, counts.first), (2, 2), "{counts:?}");
}
