//! What was probably meant by a word that is not known.

/// Words this much alike, of 1, are taken for one that was meant.
const ALIKE: f64 = 0.7;

/// The candidate most like `word`, if one is much like it: a slip of the fingers, a part left out.
pub fn closest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .into_iter()
        .map(|candidate| (likeness(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Edits count, transposed letters once, case and dashes not at all.
fn likeness(word: &str, candidate: &str) -> f64 {
    let plain = |text: &str| text.to_lowercase().replace(['_', '-'], "");
    let (word, candidate) = (plain(word), plain(candidate));
    let edits = strsim::normalized_damerau_levenshtein(&word, &candidate);
    let short = word.chars().count().min(candidate.chars().count());
    // One slip in a short word is a large part of it: `vras` for `vars`, `evnt` for `event`.
    let one_slip = short >= 3 && strsim::damerau_levenshtein(&word, &candidate) == 1;
    let likeness = if one_slip { edits.max(ALIKE) } else { edits };
    // Nobody mistypes the first letter of a short word: `gold` is not meant to be `old`.
    if word.chars().next() == candidate.chars().next() || edits >= 0.8 { likeness } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_understood_and_strangers_are_not() {
        let names = ["event", "vars", "steps", "old", "starts_with", "to_lower"];
        for (word, meant) in [
            ("evnt", Some("event")),
            ("vras", Some("vars")),
            ("startsWith", Some("starts_with")),
            ("to_lowr", Some("to_lower")),
            ("gold", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(closest(word, names), meant, "{word}");
        }
    }
}
