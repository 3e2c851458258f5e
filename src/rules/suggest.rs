//! "Did you mean": the nearest of the names that would have been right.

use crate::script::closest;

/// The nearest of `known` to what was written, if one is near enough to be meant: a slip of the
/// fingers, or the word cut short.
#[must_use]
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Letters that a word cut short must have to be recognised.
    const CUT: usize = 4;
    let known: Vec<&str> = known.into_iter().filter(|candidate| *candidate != written).collect();
    closest(written, known.iter().copied()).or_else(|| {
        let cut = |candidate: &&str| written.len() >= CUT && candidate.starts_with(written);
        known.iter().copied().find(cut)
    })
}

/// Names listed in a message: more would bury it.
const LISTED: usize = 16;

/// `did you mean …?` for the nearest name, or the list of what there is, if it is short.
#[must_use]
pub fn hint<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(near) = nearest(written, known.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    match known.len() {
        0 => None,
        1 => Some(format!("there is only {}", list(&known))),
        n if n <= LISTED => Some(format!("there are {}", list(&known))),
        _ => None,
    }
}

/// `a`, `b` and `c`, for people.
#[must_use]
pub fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let keys = ["template", "subject", "text", "purpose", "on_timeout", "cc", "to"];
        assert_eq!(nearest("tempalte", keys), Some("template"));
        assert_eq!(nearest("on-timeout", keys), Some("on_timeout"));
        assert_eq!(nearest("Purpose", keys), Some("purpose"));
        assert_eq!(nearest("attempts", keys), None);
        assert_eq!(nearest("xy", keys), None);
        assert_eq!(nearest("templ", keys), Some("template"));
    }

    #[test]
    fn a_short_list_is_shown_when_nothing_is_near() {
        assert_eq!(hint("zzz", ["a", "b"]).as_deref(), Some("there are `a` and `b`"));
        assert_eq!(hint("zzz", []), None);
    }
}
