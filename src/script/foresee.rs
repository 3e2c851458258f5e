//! What can be known of a condition without evaluating it: which constants it compares with, and when
//! it cannot fail. An index over many conditions is made of that.
//!
//! Only what the short way ([`super::direct`]) does is foreseen, and only where a plain look at the
//! value says the same as an evaluation; everything else counts as able to do anything.

use super::compare::Number;
use super::direct::{Direct, Step};
use crate::model::{Text, Value};

/// Bytes of a text that conditions are told apart by: longer ones are no names of things, and texts
/// of events are compared with them.
const CONSTANT_BYTES: usize = 256;

/// One clause of a condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreseen {
    /// While all of these hold, the clause is true or false and never an error.
    pub checks: Vec<Check>,
    /// If it is true, each of these is met; when a path is missing, it is not true.
    pub wants: Vec<Want>,
}

/// That a value is one of some constants, in the sense of `==`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Which value.
    pub path: Path,
    /// One of these.
    pub constants: Vec<Constant>,
}

/// That a value can be compared as the clause does it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Check {
    path: Path,
    kind: Kind,
    /// Whether the condition is false when the value is missing, and not an error.
    lenient: bool,
}

/// What a clause can do with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    /// `==` and `!=` with a scalar.
    Scalar,
    /// A condition by itself.
    Bool,
    /// Ordered among numbers.
    Number,
    /// Ordered among texts.
    Text,
}

/// A variable and what is read from it: `event.data.region`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    root: Text,
    steps: Vec<Step>,
}

/// What a path leads to.
enum Reached<'v> {
    Value(&'v Value),
    /// Evaluating says that it is missing.
    Missing,
    /// Only an evaluation knows.
    Unclear,
}

/// A scalar, such that `a == b` in an expression exactly if both give the same constant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Constant {
    /// `()`
    Null,
    /// A boolean.
    Bool(bool),
    /// A number without a fraction, whichever way it is written.
    Whole(i64),
    /// Any other number, by its bits.
    Fraction(u64),
    /// A text of a moderate length.
    Text(Text),
}

impl Constant {
    /// Of a value; `None` for what is never equal to a constant.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::Null),
            Value::Bool(flag) => Some(Self::Bool(*flag)),
            Value::Int(number) => Some(Self::Whole(*number)),
            Value::Float(number) => {
                let whole = *number as i64;
                // The cast saturates, so equality has to be asked for: exactly, as `==` does.
                let same = Number::Int(whole).order(Number::Float(*number));
                Some(match same {
                    Some(std::cmp::Ordering::Equal) => Self::Whole(whole),
                    _ => Self::Fraction(number.to_bits()),
                })
            }
            Value::Text(text) if text.len() <= CONSTANT_BYTES => Some(Self::Text(text.clone())),
            Value::Text(_)
            | Value::List(_)
            | Value::Map(_)
            | Value::Instant(_)
            | Value::Span(_) => None,
        }
    }
}

impl Path {
    /// The variable it begins with.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The constant it leads to in the value of its variable.
    #[must_use]
    pub fn constant(&self, root: &Value) -> Option<Constant> {
        match self.reach(root) {
            Reached::Value(value) => Constant::of(value),
            Reached::Missing | Reached::Unclear => None,
        }
    }

    fn reach<'v>(&self, root: &'v Value) -> Reached<'v> {
        let mut value = root;
        for step in &self.steps {
            let inner = match (value, step) {
                (Value::Map(map), Step::Key(key)) => map.get(key),
                (Value::List(items), Step::At(index)) => items.get(*index),
                (Value::Null, _) => None,
                // A text has characters, an instant has a year: properties that are no members.
                _ => return Reached::Unclear,
            };
            match inner {
                Some(inner) => value = inner,
                None => return Reached::Missing,
            }
        }
        Reached::Value(value)
    }
}

impl Check {
    /// The variable it looks at.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.path.root
    }

    /// Whether it holds, given the value of that variable.
    #[must_use]
    pub fn holds(&self, root: &Value) -> bool {
        match self.path.reach(root) {
            Reached::Value(value) => self.kind.fits(value),
            Reached::Missing => self.lenient,
            Reached::Unclear => false,
        }
    }
}

impl Kind {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Scalar => !matches!(value, Value::List(_) | Value::Map(_)),
            Self::Bool => matches!(value, Value::Bool(_)),
            Self::Number => match value {
                Value::Int(_) => true,
                Value::Float(number) => number.is_finite(),
                _ => false,
            },
            Self::Text => matches!(value, Value::Text(_)),
        }
    }
}

impl Foreseen {
    /// Of a clause; `None` if it may do anything.
    pub(super) fn of(direct: &Direct, lenient: bool) -> Option<Self> {
        let mut checks = Vec::new();
        collect(direct, lenient, &mut checks)?;
        Some(Self { checks, wants: wants(direct) })
    }
}

/// What must hold so that a test is true or false; `None` if nothing can be said.
fn collect(direct: &Direct, lenient: bool, checks: &mut Vec<Check>) -> Option<()> {
    let mut check = |direct: &Direct, kind: Kind| match direct {
        Direct::Path(root, steps) => {
            let path = Path { root: root.clone(), steps: steps.clone() };
            checks.push(Check { path, kind, lenient });
            Some(())
        }
        Direct::Literal(value) => kind.fits(value).then_some(()),
        _ => None,
    };
    match direct {
        Direct::Literal(_) | Direct::Path(..) => check(direct, Kind::Bool),
        Direct::Equal(_, both) => {
            check(&both.0, Kind::Scalar)?;
            check(&both.1, Kind::Scalar)
        }
        Direct::Ordered(_, both) => {
            let kind = match &**both {
                (Direct::Literal(literal), _) | (_, Direct::Literal(literal)) => match literal {
                    Value::Int(_) | Value::Float(_) => Kind::Number,
                    Value::Text(_) => Kind::Text,
                    _ => return None,
                },
                _ => return None,
            };
            check(&both.0, kind)?;
            check(&both.1, kind)
        }
        Direct::And(all) | Direct::Or(all) => {
            all.iter().try_for_each(|part| collect(part, lenient, checks))
        }
        Direct::Not(inner) => collect(inner, lenient, checks),
    }
}

/// What a true clause says about single values.
fn wants(direct: &Direct) -> Vec<Want> {
    match direct {
        Direct::Path(..) => want(direct, &Value::Bool(true)).into_iter().collect(),
        Direct::Not(inner) if matches!(**inner, Direct::Path(..)) => {
            want(inner, &Value::Bool(false)).into_iter().collect()
        }
        Direct::Equal(true, both) => match &**both {
            (path, Direct::Literal(literal)) | (Direct::Literal(literal), path) => {
                want(path, literal).into_iter().collect()
            }
            _ => Vec::new(),
        },
        Direct::And(all) => all.iter().flat_map(wants).collect(),
        // Each arm says something about the same value.
        Direct::Or(all) => {
            let mut arms = all.iter().map(wants);
            let mut found = arms.next().unwrap_or_default();
            for arm in arms {
                found.retain_mut(|want| {
                    let same = arm.iter().find(|other| other.path == want.path);
                    want.constants.extend(same.into_iter().flat_map(|s| s.constants.clone()));
                    same.is_some()
                });
            }
            found
        }
        _ => Vec::new(),
    }
}

fn want(path: &Direct, literal: &Value) -> Option<Want> {
    let Direct::Path(root, steps) = path else { return None };
    let path = Path { root: root.clone(), steps: steps.clone() };
    Some(Want { path, constants: vec![Constant::of(literal)?] })
}

#[cfg(test)]
mod tests {
    use super::super::{Names, Sandbox};
    use super::*;

    fn foreseen(source: &str) -> Option<Foreseen> {
        let sandbox = Sandbox::new(&[]).unwrap();
        let expr = sandbox.expr(source, &Names::of(&["a"])).unwrap();
        expr.direct().and_then(|direct| Foreseen::of(direct, true))
    }

    fn wanted(source: &str) -> Vec<Constant> {
        let foreseen = foreseen(source).unwrap();
        foreseen.wants.into_iter().flat_map(|want| want.constants).collect()
    }

    #[test]
    fn equal_values_are_one_constant_and_others_are_not() {
        let of = |value: Value| Constant::of(&value);
        assert_eq!(of(1.into()), of(Value::Float(1.0)));
        assert_eq!(of(0.into()), of(Value::Float(-0.0)));
        assert_ne!(of(1.into()), of("1".into()));
        assert_ne!(of(1.into()), of(true.into()));
        assert_ne!(of(0.into()), of(Value::Null));
        // 2^63 is no whole number of 64 bits, and casting it gives the one below.
        assert_ne!(of(i64::MAX.into()), of(Value::Float(9_223_372_036_854_775_808.0)));
        assert_eq!(of(Value::from("x".repeat(CONSTANT_BYTES + 1))), None);
    }

    #[test]
    fn what_a_clause_wants_is_found() {
        let text = |text: &str| Constant::Text(text.into());
        assert_eq!(wanted("a.k == \"x\""), [text("x")]);
        assert_eq!(wanted("1.0 == a.k"), [Constant::Whole(1)]);
        assert_eq!(wanted("a.k"), [Constant::Bool(true)]);
        assert_eq!(wanted("!a.k"), [Constant::Bool(false)]);
        assert_eq!(wanted("a.k == 1 || a.k == \"x\""), [Constant::Whole(1), text("x")]);
        assert_eq!(
            wanted("a.k == 1 || (a.j && a.k == 2)"),
            [Constant::Whole(1), Constant::Whole(2)]
        );
        for nothing in ["a.k != 1", "a.k > 1", "a.k == a.j", "a.k == 1 || a.j == 1", "!(a.k == 1)"]
        {
            assert_eq!(wanted(nothing), [], "{nothing}");
        }
    }

    #[test]
    fn what_may_fail_is_known() {
        let holds = |source: &str, value: Value| {
            foreseen(source).unwrap().checks.iter().all(|check| check.holds(&value))
        };
        let k = |value: Value| Value::from([("k", value)]);
        assert!(holds("a.k >= 80", k(80.into())));
        assert!(holds("a.k >= 80", k(Value::Float(0.5))));
        assert!(!holds("a.k >= 80", k("80".into())), "text and a number have no order");
        assert!(!holds("a.k >= 80", k(Value::Null)));
        assert!(holds("a.k >= 80", Value::Map(crate::model::Map::new())), "false when missing");
        assert!(holds("a.k.j == 1", k(Value::Null)), "missing as well");
        assert!(!holds("a.k.j == 1", k("text".into())), "texts have no members");
        assert!(!holds("a.k[0] == \"t\"", k("text".into())), "but characters");
        assert!(!holds("a.k", k(1.into())), "a number is no condition");
        assert!(foreseen("a.k > a.j").is_none());
        assert!(foreseen("a.k.len() > 1").is_none());
        assert!(foreseen("a.k > ()").is_none());
    }
}
