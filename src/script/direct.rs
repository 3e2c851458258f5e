//! The short way for what most expressions are: `event.data.score >= 80 && event.data.region == "EU"`,
//! `event.data.email`.
//!
//! Properties, literals, comparisons and `&& || !` are evaluated here on our own values, without a
//! scope of Rhai's and about ten times faster. Only a plain success counts: whatever is missing, of
//! the wrong type or merely unusual goes to Rhai, which alone decides what is an error and says so. A
//! property test holds the two against each other.

use std::cmp::Ordering;

use rhai::{AST, ASTFlags, ASTNode, Expr, Stmt};

use crate::model::{Text, Value};

use super::compare::Number;
use super::scope::Values;

/// An expression that needs no Rhai.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Direct {
    /// A value.
    Literal(Value),
    /// A variable and what is read from it.
    Path(Text, Vec<Step>),
    /// `==`, or with false `!=`.
    Equal(bool, Box<(Direct, Direct)>),
    /// `<`, `<=`, `>`, `>=`: true for these orders.
    Ordered([Ordering; 2], Box<(Direct, Direct)>),
    /// `&&`.
    And(Vec<Direct>),
    /// `||`.
    Or(Vec<Direct>),
    /// `!`.
    Not(Box<Direct>),
}

/// What is read from a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Step {
    /// A member of an object.
    Key(Text),
    /// An element of a list, from 0.
    At(usize),
}

impl Direct {
    /// From what Rhai compiled, if all of it can be done here.
    pub(super) fn of(ast: &AST) -> Option<Self> {
        let mut direct = None;
        ast.walk(&mut |path: &[ASTNode<'_>]| {
            if let [ASTNode::Stmt(Stmt::Expr(expr))] = path {
                direct = Self::from_expr(expr);
            }
            false
        });
        direct
    }

    /// The value, given those of variables; `None` if Rhai has to be asked.
    pub(super) fn value(&self, values: &Values) -> Option<Value> {
        match self {
            Self::Literal(value) => Some(value.clone()),
            Self::Path(..) => self.place(values).cloned(),
            _ => self.test(values).map(Value::Bool),
        }
    }

    /// The boolean; `None` if Rhai has to be asked.
    pub(super) fn test(&self, values: &Values) -> Option<bool> {
        match self {
            Self::Literal(_) | Self::Path(..) => match self.place(values)? {
                Value::Bool(flag) => Some(*flag),
                _ => None,
            },
            Self::Equal(wanted, both) => {
                Some(equal(both.0.place(values)?, both.1.place(values)?)? == *wanted)
            }
            Self::Ordered(orders, both) => {
                Some(orders.contains(&order(both.0.place(values)?, both.1.place(values)?)?))
            }
            Self::And(all) => {
                for part in all {
                    if !part.test(values)? {
                        return Some(false);
                    }
                }
                Some(true)
            }
            Self::Or(all) => {
                for part in all {
                    if part.test(values)? {
                        return Some(true);
                    }
                }
                Some(false)
            }
            Self::Not(inner) => inner.test(values).map(|flag| !flag),
        }
    }

    /// Where the value is kept: comparisons of comparisons are Rhai's.
    fn place<'v>(&'v self, values: &'v Values) -> Option<&'v Value> {
        match self {
            Self::Literal(value) => Some(value),
            Self::Path(root, steps) => {
                steps.iter().try_fold(values.get(root)?, |value, step| match (value, step) {
                    (Value::Map(map), Step::Key(key)) => map.get(key),
                    (Value::List(items), Step::At(index)) => items.get(*index),
                    _ => None,
                })
            }
            _ => None,
        }
    }

    fn from_expr(expr: &Expr) -> Option<Self> {
        if let Some(literal) = literal(expr) {
            return Some(Self::Literal(literal));
        }
        match expr {
            Expr::Variable(variable, ..) if variable.2.is_empty() => {
                Some(Self::Path(variable.1.as_str().into(), Vec::new()))
            }
            Expr::Dot(chain, flags, _) | Expr::Index(chain, flags, _) => {
                let Expr::Variable(root, ..) = &chain.lhs else { return None };
                let mut steps = Vec::new();
                let dot = matches!(expr, Expr::Dot(..));
                collect(dot, &chain.rhs, *flags, &mut steps)?;
                root.2.is_empty().then(|| Self::Path(root.1.as_str().into(), steps))
            }
            Expr::And(all, _) => {
                all.iter().map(Self::from_expr).collect::<Option<_>>().map(Self::And)
            }
            Expr::Or(all, _) => {
                all.iter().map(Self::from_expr).collect::<Option<_>>().map(Self::Or)
            }
            Expr::FnCall(call, _) if call.is_operator_call() => match &call.args[..] {
                [a] if call.name == "!" => Some(Self::Not(Box::new(Self::from_expr(a)?))),
                [a, b] => {
                    use Ordering::{Equal, Greater, Less};
                    let both = Box::new((Self::from_expr(a)?, Self::from_expr(b)?));
                    match call.name.as_str() {
                        "==" => Some(Self::Equal(true, both)),
                        "!=" => Some(Self::Equal(false, both)),
                        "<" => Some(Self::Ordered([Less, Less], both)),
                        "<=" => Some(Self::Ordered([Less, Equal], both)),
                        ">" => Some(Self::Ordered([Greater, Greater], both)),
                        ">=" => Some(Self::Ordered([Greater, Equal], both)),
                        _ => None,
                    }
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// The steps of a chain: `rhs` is what stands behind a `.` (or in the brackets of an index), and if it
/// is a chain itself, its left side is this step and its right side the rest.
fn collect(dot: bool, rhs: &Expr, flags: ASTFlags, steps: &mut Vec<Step>) -> Option<()> {
    if flags.intersects(ASTFlags::NEGATED) {
        return None;
    }
    match rhs {
        Expr::Dot(chain, inner, _) | Expr::Index(chain, inner, _)
            if !flags.intersects(ASTFlags::BREAK) =>
        {
            steps.push(step(dot, &chain.lhs)?);
            collect(matches!(rhs, Expr::Dot(..)), &chain.rhs, *inner, steps)
        }
        last => {
            steps.push(step(dot, last)?);
            Some(())
        }
    }
}

fn step(dot: bool, expr: &Expr) -> Option<Step> {
    match expr {
        Expr::Property(property, _) if dot => Some(Step::Key(property.2.as_str().into())),
        Expr::StringConstant(key, _) if !dot => Some(Step::Key(key.as_str().into())),
        Expr::IntegerConstant(index, _) if !dot => usize::try_from(*index).ok().map(Step::At),
        _ => None,
    }
}

fn literal(expr: &Expr) -> Option<Value> {
    match expr {
        Expr::BoolConstant(flag, _) => Some(Value::Bool(*flag)),
        Expr::IntegerConstant(number, _) => Some(Value::Int(*number)),
        Expr::FloatConstant(number, _) if number.is_finite() => Some(Value::Float(**number)),
        Expr::StringConstant(text, _) => Some(Value::text(text.as_str())),
        Expr::Unit(_) => Some(Value::Null),
        _ => None,
    }
}

/// Of scalars; lists and objects are Rhai's.
fn equal(a: &Value, b: &Value) -> Option<bool> {
    match (a, b) {
        (Value::List(_) | Value::Map(_), _) | (_, Value::List(_) | Value::Map(_)) => None,
        (Value::Null, Value::Null) => Some(true),
        (Value::Bool(a), Value::Bool(b)) => Some(a == b),
        // Of the remaining pairs those of one type have an order, and the others are unequal.
        _ => Some(order(a, b) == Some(Ordering::Equal)),
    }
}

/// Of numbers, texts, instants and spans among themselves.
fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Instant(a), Value::Instant(b)) => Some(a.cmp(b)),
        (Value::Span(a), Value::Span(b)) => Some(a.cmp(b)),
        _ => number(a)?.order(number(b)?),
    }
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Int(number) => Some(Number::Int(*number)),
        Value::Float(number) => Some(Number::Float(*number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Names, NoRecords, Sandbox, Scope};
    use super::*;
    use crate::model::{Instant, Span};

    fn direct(source: &str) -> Option<Direct> {
        let sandbox = Sandbox::new(&[]).unwrap();
        sandbox.expr(source, &Names::of(&["a", "b"])).unwrap().direct().cloned()
    }

    #[test]
    fn the_short_way_is_taken_where_it_can_be() {
        for source in [
            "a",
            "a.b.c",
            "a.new",
            "a[0]",
            "a.b[1].c",
            "a[\"x\"].y[0]",
            "1",
            "()",
            "a.b >= 80",
            "a.b == \"x\" && !(a.c != 1.5) || b.d < now",
            "a.in.type",
        ] {
            assert!(direct(source).is_some(), "{source}");
        }
        for source in [
            "a?.b",
            "a.b.len()",
            "a[b]",
            "a[-1]",
            "a.b + 1",
            "if a { 1 } else { 2 }",
            "[a]",
            "a ?? 1",
            "record(\"x/1\").b",
            "`${a}`",
            "a[b.c].d",
        ] {
            assert!(direct(source).is_none(), "{source}");
        }
    }

    fn scalars() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (-3_i64..3).prop_map(Value::Int),
            prop::sample::select(vec![-0.0, 0.0, 0.5, 1.0, 2.0, 1e300]).prop_map(Value::Float),
            prop::sample::select(vec!["", "a", "b", "1"]).prop_map(Value::from),
            (0_i64..3).prop_map(|micros| Value::Instant(Instant::from_micros(micros))),
            (0_i64..3).prop_map(|micros| Value::Span(Span::from_micros(micros))),
            Just(Value::List(vec![Value::Int(1)])),
            Just(Value::from([("k", Value::Int(1))])),
        ]
    }

    fn sources() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec![
            "a",
            "b",
            "a.k",
            "b.k",
            "a[0]",
            "1",
            "0.5",
            "\"a\"",
            "true",
            "()",
            "a.missing",
            "now",
        ])
        .prop_map(str::to_owned);
        leaf.prop_recursive(3, 16, 2, |inner| {
            let operator = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">=", "&&", "||"]);
            prop_oneof![
                (inner.clone(), operator, inner.clone())
                    .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
                inner.prop_map(|inner| format!("!({inner})")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
        #[test]
        fn both_ways_agree(source in sources(), a in scalars(), b in scalars()) {
            thread_local!(static SANDBOX: Sandbox = Sandbox::new(&[]).unwrap());
            let mut scope = Scope::new(Instant::from_micros(1));
            scope.set("a", &a);
            scope.set("b", &b);
            // What Rhai refuses to compile is no concern of ours.
            let compiled = SANDBOX.with(|s| s.expr(&source, &Names::of(&["a", "b"])));
            if let Ok(expr) = compiled
                && let Some(found) = expr.direct().and_then(|direct| direct.value(scope.values()))
            {
                prop_assert_eq!(Some(found), expr.eval_in_rhai(&scope, &NoRecords).ok(), "{}", source);
            }
        }
    }
}
