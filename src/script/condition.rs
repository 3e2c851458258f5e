//! [`Condition`]: an expression that must give a boolean and can say why it was false.

use crate::model::{Tested, Text, Value, limits};

use super::chains::{clauses, operands};
use super::error::{EvalError, ScriptError};
use super::foresee::Foreseen;
use super::host::Host;
use super::sandbox::{Expr, Sandbox};
use super::scope::{Names, Scope};

/// Bytes of a clause that a verdict quotes, so that its operands have room beside it.
const CLAUSE_BYTES: usize = limits::VERDICT_BYTES / 2;

/// A compiled condition, split at its top-level `&&` into clauses.
#[derive(Debug)]
pub struct Condition {
    clauses: Vec<Clause>,
    /// A missing property makes it false (`where`, `allow`) instead of an error.
    lenient: bool,
}

/// One clause and what explains it when it is false.
#[derive(Debug)]
struct Clause {
    /// Where it begins in the text of the condition.
    start: usize,
    expr: Expr,
    operands: Vec<Expr>,
}

/// What a condition came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// It holds.
    True,
    /// It does not: the failing clause and its operands, such as
    /// `event.data.score >= 80 was false: event.data.score = 49`.
    False(Text),
}

impl Condition {
    /// Compiles a condition; `lenient` for `where` and `allow`.
    ///
    /// # Errors
    /// As [`Sandbox::expr`].
    pub fn compile(
        sandbox: &Sandbox,
        source: &str,
        names: &Names,
        lenient: bool,
    ) -> Result<Self, Vec<ScriptError>> {
        let mut ranges = clauses(source);
        if ranges.iter().any(|range| source[range.clone()].trim().is_empty()) {
            // Something is wrong beside an `&&`: let Rhai say what.
            ranges = std::iter::once(0..source.len()).collect();
        }
        let mut compiled = Vec::with_capacity(ranges.len());
        let mut errors = Vec::new();
        for range in ranges {
            let clause = &source[range.clone()];
            let start = range.start + (clause.len() - clause.trim_start().len());
            let text = clause.trim();
            let expr = match sandbox.parse(text, names) {
                Ok(expr) => expr,
                Err(found) => {
                    errors.extend(found.into_iter().map(|error| error.shifted(start)));
                    continue;
                }
            };
            let operands =
                operands(text).into_iter().filter_map(|text| sandbox.expr(text, names).ok());
            compiled.push(Clause { start, expr, operands: operands.collect() });
        }
        if errors.is_empty() { Ok(Self { clauses: compiled, lenient }) } else { Err(errors) }
    }

    /// Clauses that surely give no boolean, and would fail each time.
    #[must_use]
    pub fn never_boolean(&self) -> Vec<ScriptError> {
        let mistake = |clause: &Clause| {
            let what = clause.expr.never_boolean()?;
            Some(ScriptError {
                offset: clause.start,
                len: clause.expr.source().len(),
                message: format!("this is {what}, and a condition must give true or false"),
                help: Some("compare it with something: `… == …`, `… > …`".to_owned()),
            })
        };
        self.clauses.iter().filter_map(mistake).collect()
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// [`EvalError`]; anything but a boolean is one.
    pub fn test(&self, scope: &Scope, host: &dyn Host) -> Result<Test, EvalError> {
        for clause in &self.clauses {
            match clause.expr.test(scope, host) {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return clause.why(scope, host).map(Test::False),
                Ok(Err(value)) => return Err(self.not_boolean(clause, &value)),
                Err(EvalError::Missing(path)) if self.lenient => {
                    let source = shortened(clause.expr.source(), CLAUSE_BYTES);
                    let text = format!("{source} was false: {path} is missing");
                    return Ok(Test::False(shortened(&text, limits::VERDICT_BYTES).into()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Test::True)
    }

    /// What each of its clauses comes to, those after a false one as well: for people, not for deciding.
    #[must_use]
    pub fn told(&self, place: &str, scope: &Scope, host: &dyn Host) -> Vec<Tested> {
        let tell = |clause: &Clause| {
            let (held, error) = match clause.expr.test(scope, host) {
                Ok(Ok(flag)) => (Some(flag), None),
                Ok(Err(value)) => (None, Some(self.not_boolean(clause, &value).to_string().into())),
                Err(EvalError::Missing(path)) if self.lenient => {
                    (Some(false), Some(format!("{path} is missing").into()))
                }
                Err(error) => (None, Some(Text::from(error.to_string()))),
            };
            let operand = |expr: &Expr| {
                let value = match expr.eval(scope, host) {
                    Ok(value) => shortened(&shown(&value), limits::VERDICT_BYTES),
                    Err(EvalError::Missing(_)) => "missing".to_owned(),
                    Err(_) => return None,
                };
                Some((Text::from(expr.source()), Text::from(value)))
            };
            Tested {
                place: place.into(),
                clause: shortened(clause.expr.source(), limits::VERDICT_BYTES).into(),
                held,
                operands: clause.operands.iter().filter_map(operand).collect(),
                error,
            }
        };
        self.clauses.iter().map(tell).collect()
    }

    /// What is known of its first clauses without evaluating them, up to one that may do anything;
    /// and whether that is all of them.
    #[must_use]
    pub fn foreseen(&self) -> (Vec<Foreseen>, bool) {
        let known = |clause: &Clause| Foreseen::of(clause.expr.direct()?, self.lenient);
        let clauses: Vec<_> = self.clauses.iter().map_while(known).collect();
        let all = clauses.len() == self.clauses.len();
        (clauses, all)
    }

    /// Its expressions.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.clauses.iter().map(|clause| &clause.expr)
    }

    fn not_boolean(&self, clause: &Clause, value: &Value) -> EvalError {
        let what = if self.clauses.len() == 1 {
            "the condition".to_owned()
        } else {
            format!("`{}`", shortened(clause.expr.source(), CLAUSE_BYTES))
        };
        let gave = match value {
            Value::Null => "nothing (`()`)".to_owned(),
            value => format!("{} ({})", shortened(&shown(value), CLAUSE_BYTES), value.type_name()),
        };
        EvalError::Failed(format!("{what} gave {gave}; it must give true or false").into())
    }
}

impl Clause {
    /// Why it was false. Its operands are evaluated again, which is pure and only done when false.
    fn why(&self, scope: &Scope, host: &dyn Host) -> Result<Text, EvalError> {
        let mut text = format!("{} was false", shortened(self.expr.source(), CLAUSE_BYTES));
        let mut separator = ": ";
        for operand in &self.operands {
            let value = match operand.eval(scope, host) {
                Ok(value) => format!(" = {}", shown(&value)),
                Err(EvalError::Missing(_)) => " is missing".to_owned(),
                Err(EvalError::Failed(_)) => continue,
                Err(error) => return Err(error),
            };
            text.push_str(separator);
            text.push_str(operand.source());
            text.push_str(&value);
            separator = ", ";
            if text.len() > limits::VERDICT_BYTES {
                break;
            }
        }
        Ok(shortened(&text, limits::VERDICT_BYTES).into())
    }
}

/// A value in a message: texts in quotes.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "()".to_owned(),
        Value::Text(_) => value.to_json().to_string(),
        other => other.to_string(),
    }
}

/// On one line and at most `bytes` long, cut with `…` where a character ends.
fn shortened(text: &str, bytes: usize) -> String {
    const ELLIPSIS: char = '…';
    if text.contains('\n') {
        let line = text.split('\n').map(str::trim).filter(|line| !line.is_empty());
        return shortened(&line.collect::<Vec<_>>().join(" "), bytes);
    }
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes - ELLIPSIS.len_utf8());
    format!("{}{ELLIPSIS}", &text[..end])
}
