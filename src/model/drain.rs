//! Names that differ in one place, many times: that place holds an identifier that masking did not recognise.
//!
//! After the log parser Drain, but on the set of all names instead of a stream, so that their order cannot matter.
//! Names alike in separators and first word are put together; in each such cluster the places with the most words
//! become `{}` until few names are left. A place whose words both sides share is a vocabulary and stays: names that
//! are equal on both sides need no help to be matched.

use crate::model::Pair;
use crate::model::masking::MASK;
use std::collections::{BTreeMap, BTreeSet};

/// A place with so many different words or fewer keeps them, and so does a cluster with so many names.
const FEW_WORDS: usize = 8;
/// Words in a name that are looked at; longer names are left alone.
const MAX_WORDS: usize = 64;

/// The template of each name, `None` for names that stay. A name says on which sides it stands.
pub fn templates(names: &[(&str, Pair<bool>)]) -> Vec<Option<String>> {
    let mut clusters: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let words: Vec<Vec<&str>> = names.iter().map(|(name, _)| words_of(name)).collect();
    for (index, ((name, _), words)) in names.iter().zip(&words).enumerate() {
        // A name of one word is all identity there is.
        if words.len() > 1 && words.len() <= MAX_WORDS {
            clusters.entry(skeleton(name, words)).or_default().push(index);
        }
    }
    let mut result = vec![None; names.len()];
    for members in clusters.into_values().filter(|members| members.len() > FEW_WORDS) {
        let rows: Vec<(&[&str], Pair<bool>)> =
            members.iter().filter_map(|&index| Some((words.get(index)?.as_slice(), names.get(index)?.1))).collect();
        let masked = masked_places(&rows);
        for &index in members.iter().filter(|_| !masked.is_empty()) {
            if let (Some(slot), Some((name, _)), Some(words)) =
                (result.get_mut(index), names.get(index), words.get(index))
            {
                *slot = Some(rewritten(name, words, &masked));
            }
        }
    }
    result
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric()
}

fn words_of(name: &str) -> Vec<&str> {
    name.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect()
}

/// The name with its words but the first left out.
fn skeleton(name: &str, words: &[&str]) -> String {
    let mut skeleton = words.first().copied().unwrap_or_default().to_owned();
    let mut inside = false;
    for c in name.chars() {
        if !is_word(c) {
            skeleton.push(c);
        } else if !inside {
            skeleton.push('\0');
        }
        inside = is_word(c);
    }
    skeleton
}

/// The places to mask in names of one skeleton.
fn masked_places(rows: &[(&[&str], Pair<bool>)]) -> BTreeSet<usize> {
    let width = rows.first().map_or(0, |(words, _)| words.len());
    // How many words each place has; places with few words or with a shared vocabulary are out.
    let mut places: Vec<(usize, usize)> = (1..width)
        .filter_map(|place| {
            let words = words_at(rows, place);
            let shared = words.values().filter(|sides| sides.before && sides.after).count();
            (words.len() > FEW_WORDS && shared * 2 < words.len()).then_some((words.len(), place))
        })
        .collect();
    places.sort_unstable_by_key(|&entry| std::cmp::Reverse(entry));
    let mut masked = BTreeSet::new();
    for (_, place) in places {
        masked.insert(place);
        if names_left(rows, &masked) <= FEW_WORDS {
            break;
        }
    }
    masked
}

fn words_at<'a>(rows: &[(&[&'a str], Pair<bool>)], place: usize) -> BTreeMap<&'a str, Pair<bool>> {
    let mut words: BTreeMap<&str, Pair<bool>> = BTreeMap::new();
    for (row, sides) in rows {
        if let Some(word) = row.get(place) {
            let entry = words.entry(word).or_default();
            *entry = Pair::new(entry.before || sides.before, entry.after || sides.after);
        }
    }
    words
}

fn names_left(rows: &[(&[&str], Pair<bool>)], masked: &BTreeSet<usize>) -> usize {
    let left: BTreeSet<Vec<&str>> = rows
        .iter()
        .map(|(row, _)| {
            row.iter().enumerate().filter(|(place, _)| !masked.contains(place)).map(|(_, &word)| word).collect()
        })
        .collect();
    left.len()
}

fn rewritten(name: &str, words: &[&str], masked: &BTreeSet<usize>) -> String {
    let mut out = String::new();
    let mut rest = name;
    for (place, word) in words.iter().enumerate() {
        let Some((before, after)) = rest.split_once(word) else { break };
        out.push_str(before);
        out.push_str(if masked.contains(&place) { MASK } else { word });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BEFORE: Pair<bool> = Pair::new(true, false);
    const AFTER: Pair<bool> = Pair::new(false, true);
    const BOTH: Pair<bool> = Pair::new(true, true);

    fn word(index: usize) -> String {
        // Words without digits, as masking leaves them.
        (0..4).map(|place| char::from(b'a' + (index / 7usize.pow(place) % 7) as u8)).collect()
    }

    fn run(names: &[(String, Pair<bool>)]) -> Vec<Option<String>> {
        templates(&names.iter().map(|(name, sides)| (name.as_str(), *sides)).collect::<Vec<_>>())
    }

    #[test]
    fn a_place_with_many_words_becomes_a_hole() {
        let names: Vec<_> = (0..40)
            .map(|index| (format!("load user {}", word(index)), if index % 2 == 0 { BEFORE } else { AFTER }))
            .chain([("save user x".to_owned(), BOTH), ("single".to_owned(), BOTH)])
            .collect();
        let result = run(&names);
        assert!(result.iter().take(40).all(|template| template.as_deref() == Some("load user {}")));
        assert_eq!(result.get(40..), Some(&[None, None][..]));
    }

    #[test]
    fn a_vocabulary_that_both_sides_share_stays() {
        let names: Vec<_> =
            (0..60).map(|index| (format!("GET /api/{}", word(index)), if index < 40 { BOTH } else { AFTER })).collect();
        assert!(run(&names).iter().all(Option::is_none));
    }

    #[test]
    fn names_of_one_word_stay() {
        let names: Vec<_> = (0..100).map(|index| (word(index), BEFORE)).collect();
        assert!(run(&names).iter().all(Option::is_none));
    }

    #[test]
    fn only_the_places_that_vary_are_masked() {
        let names: Vec<_> = (0..90)
            .map(|index| (format!("PUT /{}/{}/cart", ["a", "b", "c"][index % 3], word(index)), BEFORE))
            .collect();
        let mut kinds: Vec<String> = run(&names).into_iter().flatten().collect();
        assert_eq!(kinds.len(), 90);
        kinds.sort();
        kinds.dedup();
        assert_eq!(kinds, ["PUT /a/{}/cart", "PUT /b/{}/cart", "PUT /c/{}/cart"]);
    }

    proptest! {
        #[test]
        fn the_order_of_names_and_sides_does_not_matter(
            mut names in proptest::collection::vec(("[ab]{1,2} [a-d]{1,3}/[xy]", any::<bool>()), 0..80),
            shift in 0usize..80,
        ) {
            names.sort();
            names.dedup_by(|a, b| a.0 == b.0);
            let names: Vec<_> =
                names.into_iter().map(|(name, side)| (name, if side { BEFORE } else { AFTER })).collect();
            let expected: BTreeMap<String, Option<String>> =
                names.iter().map(|(name, _)| name.clone()).zip(run(&names)).collect();
            let mut turned: Vec<_> = names.iter().map(|(name, sides)| (name.clone(), sides.swapped())).collect();
            turned.rotate_left(shift % names.len().max(1));
            let found: BTreeMap<String, Option<String>> =
                turned.iter().map(|(name, _)| name.clone()).zip(run(&turned)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
