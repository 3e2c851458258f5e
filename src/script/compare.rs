//! When two values are equal, and which comes first.
//!
//! Integers and floats are one type, compared exactly (Rhai's own comparison allows an epsilon).
//! Values of different types are never equal, and ordering them is an error.

use std::cmp::Ordering;

use rhai::Dynamic;

use crate::model::{Instant, Span};

use super::convert::type_name;

/// `==`.
pub(super) fn equal(a: &Dynamic, b: &Dynamic) -> bool {
    if a.is_shared() || b.is_shared() {
        return equal(&a.flatten_clone(), &b.flatten_clone());
    }
    if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
        return a.order(b) == Some(Ordering::Equal);
    }
    if let (Ok(a), Ok(b)) = (a.as_array_ref(), b.as_array_ref()) {
        return a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| equal(a, b));
    }
    if let (Ok(a), Ok(b)) = (a.as_map_ref(), b.as_map_ref()) {
        return a.len() == b.len()
            && a.iter().zip(b.iter()).all(|((ka, a), (kb, b))| ka == kb && equal(a, b));
    }
    if let (Ok(a), Ok(b)) = (a.as_bool(), b.as_bool()) {
        return a == b;
    }
    if a.is_unit() || b.is_unit() {
        return a.is_unit() && b.is_unit();
    }
    ordered(a, b) == Some(Ordering::Equal)
}

/// Which comes first.
///
/// # Errors
/// That these two cannot be ordered.
pub(super) fn order(a: &Dynamic, b: &Dynamic) -> Result<Ordering, String> {
    if a.is_shared() || b.is_shared() {
        return order(&a.flatten_clone(), &b.flatten_clone());
    }
    let result = match (Number::of(a), Number::of(b)) {
        (Some(a), Some(b)) => a.order(b),
        _ => ordered(a, b),
    };
    result.ok_or_else(|| {
        let (a, b) = (type_name(a), type_name(b));
        if a == b { format!("{a} has no order") } else { format!("{a} and {b} cannot be ordered") }
    })
}

/// Text, instants and spans.
fn ordered(a: &Dynamic, b: &Dynamic) -> Option<Ordering> {
    if let (Ok(a), Ok(b)) = (a.as_immutable_string_ref(), b.as_immutable_string_ref()) {
        return Some(a.as_str().cmp(b.as_str()));
    }
    if let (Some(a), Some(b)) = (a.read_lock::<Instant>(), b.read_lock::<Instant>()) {
        return Some(a.cmp(&b));
    }
    if let (Some(a), Some(b)) = (a.read_lock::<Span>(), b.read_lock::<Span>()) {
        return Some(a.cmp(&b));
    }
    // A character is a text of one.
    let text = |value: &Dynamic| {
        value
            .as_char()
            .map(String::from)
            .or_else(|_| value.as_immutable_string_ref().map(|text| text.as_str().to_owned()))
    };
    match (text(a), text(b)) {
        (Ok(a), Ok(b)) => Some(a.cmp(&b)),
        _ => None,
    }
}

/// A number of either kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    /// Whole.
    Int(i64),
    /// Any.
    Float(f64),
}

impl Number {
    fn of(value: &Dynamic) -> Option<Self> {
        value.as_int().map(Self::Int).or_else(|_| value.as_float().map(Self::Float)).ok()
    }

    /// `None` if one of them is not a number (NaN).
    pub(super) fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
            (Self::Int(a), Self::Float(b)) => int_with_float(a, b),
            (Self::Float(a), Self::Int(b)) => int_with_float(b, a).map(Ordering::reverse),
        }
    }
}

/// Exact: an `i64` as a float may have been rounded, so the whole parts are compared as integers.
fn int_with_float(a: i64, b: f64) -> Option<Ordering> {
    const TWO_63: f64 = 9_223_372_036_854_775_808.0;
    if b.is_nan() {
        return None;
    }
    if b >= TWO_63 {
        return Some(Ordering::Less);
    }
    if b < -TWO_63 {
        return Some(Ordering::Greater);
    }
    let whole = b.trunc();
    Some(a.cmp(&(whole as i64)).then_with(|| whole.partial_cmp(&b).unwrap_or(Ordering::Equal)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn int(number: i64) -> Dynamic {
        number.into()
    }

    fn float(number: f64) -> Dynamic {
        number.into()
    }

    #[test]
    fn integers_and_floats_are_compared_exactly() {
        let big = 9_007_199_254_740_993; // 2^53 + 1: not a float
        assert_eq!(order(&int(big), &float(9_007_199_254_740_992.0)), Ok(Ordering::Greater));
        assert!(!equal(&int(big), &float(9_007_199_254_740_992.0)));
        assert!(equal(&int(1), &float(1.0)));
        assert_eq!(order(&int(1), &float(1.5)), Ok(Ordering::Less));
        assert_eq!(order(&int(-1), &float(-1.5)), Ok(Ordering::Greater));
        assert_eq!(order(&float(1e300), &int(i64::MAX)), Ok(Ordering::Greater));
        assert_eq!(order(&int(i64::MAX), &float(9.3e18)), Ok(Ordering::Less));
        assert!(!equal(&float(1.0), &float(1.0 + f64::EPSILON)));
        assert!(order(&float(f64::NAN), &int(1)).is_err());
        assert!(!equal(&float(f64::NAN), &float(f64::NAN)));
    }

    #[test]
    fn different_types_are_unequal_and_have_no_order() {
        let all: [Dynamic; 8] = [
            Dynamic::UNIT,
            true.into(),
            int(1),
            "1".into(),
            Dynamic::from_array(vec![]),
            Dynamic::from_map(rhai::Map::new()),
            Dynamic::from(Instant::from_micros(1)),
            Dynamic::from(Span::from_micros(1)),
        ];
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert_eq!(equal(a, b), i == j, "{a:?} {b:?}");
                if i != j {
                    assert!(order(a, b).is_err(), "{a:?} {b:?}");
                }
            }
        }
        assert_eq!(
            order(&int(1), &"1".into()),
            Err("a number and text cannot be ordered".to_owned())
        );
        assert_eq!(order(&true.into(), &false.into()), Err("a boolean has no order".to_owned()));
    }

    #[test]
    fn a_character_is_a_text() {
        assert!(equal(&'a'.into(), &"a".into()));
        assert_eq!(order(&'a'.into(), &"b".into()), Ok(Ordering::Less));
    }

    proptest! {
        #[test]
        fn order_of_mixed_numbers_agrees_with_itself(a in any::<i64>(), b in any::<f64>()) {
            if let Ok(order_ab) = order(&int(a), &float(b)) {
                prop_assert_eq!(order(&float(b), &int(a)), Ok(order_ab.reverse()));
                prop_assert_eq!(equal(&int(a), &float(b)), order_ab == Ordering::Equal);
            }
        }
    }
}
