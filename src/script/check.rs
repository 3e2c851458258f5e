//! What Rhai does not check when it compiles: that only expressions stand in an expression, and that
//! every function exists and takes that many arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rhai::{AST, ASTNode, Expr, FnCallExpr, Position, Stmt};

use crate::model::Value;

use super::convert::to_value;
use super::error::ScriptError;
use super::functions::{ALIASES, HOLE, LATER, OWN, builtins, plain};
use super::grant::Grant;
use super::lexer::lex;
use super::rewrite::Rewritten;
use super::suggest::closest;

/// Who offers a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The sandbox.
    Builtin,
    /// The sandbox, to plugins only.
    BuiltinOfPlugins,
    /// The plugin with this index.
    Plugin(usize),
    /// The plugin with this index, for itself.
    PrivateTo(usize),
}

/// A function that can be called.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    pub(super) owner: Owner,
    /// Fewest and most arguments.
    pub(super) arity: (usize, usize),
    /// As a person writes it.
    pub(super) text: String,
}

/// Every function by name.
#[derive(Clone, Debug)]
pub(super) struct Table {
    functions: BTreeMap<String, Vec<Signature>>,
    /// What each plugin may do, by index.
    pub(super) grants: Vec<Grant>,
}

impl Table {
    /// With the functions of the sandbox.
    pub(super) fn new() -> Self {
        let mut table = Self { functions: BTreeMap::new(), grants: Vec::new() };
        for builtin in builtins() {
            let owner = if builtin.plugin_only { Owner::BuiltinOfPlugins } else { Owner::Builtin };
            let signature =
                Signature { owner, arity: builtin.arity(), text: builtin.signature.to_owned() };
            table.add(builtin.name(), signature);
        }
        table
    }

    /// Adds one.
    pub(super) fn add(&mut self, name: &str, signature: Signature) {
        self.functions.entry(name.to_owned()).or_default().push(signature);
    }

    /// The functions of this name.
    pub(super) fn named(&self, name: &str) -> &[Signature] {
        self.functions.get(name).map_or(&[], Vec::as_slice)
    }

    /// The names that `reader` may call.
    fn names(&self, reader: Reader) -> impl Iterator<Item = &str> {
        self.functions
            .iter()
            .filter(move |(_, all)| all.iter().any(|signature| reader.sees(&signature.owner)))
            .map(|(name, _)| name.as_str())
    }
}

/// Whose code is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// An expression of a rule.
    Expression,
    /// The plugin with this index.
    Plugin(usize),
}

impl Reader {
    fn sees(self, owner: &Owner) -> bool {
        match owner {
            Owner::Builtin | Owner::Plugin(_) => true,
            Owner::BuiltinOfPlugins => matches!(self, Self::Plugin(_)),
            Owner::PrivateTo(plugin) => self == Self::Plugin(*plugin),
        }
    }
}

/// What an expression uses.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The variables it reads, parameters of its closures among them.
    pub(super) variables: BTreeSet<String>,
    /// Whether a closure in it captures a variable.
    pub(super) captures: bool,
    /// The functions it calls, with those arguments that are literals.
    pub(super) calls: Vec<(String, Vec<Option<Value>>)>,
}

/// Looks through what Rhai compiled.
pub(super) fn check(
    ast: &AST,
    source: &str,
    rewritten: &Rewritten,
    table: &Table,
    reader: Reader,
) -> (Facts, Vec<ScriptError>) {
    let mut checker =
        Checker { source, rewritten, table, reader, facts: Facts::default(), errors: Vec::new() };
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        match path.last() {
            Some(ASTNode::Stmt(stmt)) => checker.stmt(stmt),
            Some(ASTNode::Expr(expr)) => checker.expr(expr),
            _ => {}
        }
        true
    });
    checker.errors.sort_by_key(|error| error.offset);
    (checker.facts, checker.errors)
}

/// What an expression gives that is surely no boolean, as people call it.
pub(super) fn never_boolean(ast: &AST) -> Option<String> {
    /// Operators that give no boolean of anything.
    const NEVER: [&str; 6] = ["+", "-", "*", "/", "%", "**"];
    let mut found = None;
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        let ([ASTNode::Stmt(Stmt::Expr(expr))], true) = (path, found.is_none()) else {
            return false;
        };
        found = match &**expr {
            Expr::FnCall(call, _) if NEVER.contains(&call.name.as_str()) => {
                Some(format!("the result of `{}`", call.name))
            }
            Expr::Array(..) => Some("a list".to_owned()),
            Expr::Map(..) => Some("an object".to_owned()),
            Expr::InterpolatedString(..) => Some("text".to_owned()),
            other => other
                .get_literal_value(None)
                .and_then(|literal| to_value(&literal).ok())
                .filter(|value| !matches!(value, Value::Bool(_)))
                .map(|value| value.type_name().to_owned()),
        };
        false
    });
    found
}

struct Checker<'a> {
    source: &'a str,
    rewritten: &'a Rewritten,
    table: &'a Table,
    reader: Reader,
    facts: Facts,
    errors: Vec<ScriptError>,
}

impl Checker<'_> {
    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Share(..) => self.facts.captures = true,
            Stmt::FnCall(call, position) => self.call(call, *position, false),
            Stmt::Expr(_) | Stmt::If(..) | Stmt::Block(_) | Stmt::Noop(_) => {}
            Stmt::Import(_, position) | Stmt::Export(_, position) => {
                self.refuse(*position, "modules cannot be used".to_owned(), None);
            }
            other if self.reader == Reader::Expression => self.refuse(
                other.position(),
                "statements cannot stand in an expression".to_owned(),
                Some("an expression is one value; put more into a function of a plugin".to_owned()),
            ),
            _ => {}
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::FnCall(call, position) => self.call(call, *position, false),
            Expr::MethodCall(call, position) => self.call(call, *position, true),
            Expr::Variable(variable, _, position) => {
                let constant_of_plugin = self.reader != Reader::Expression
                    && variable.2.path.first().is_some_and(|root| root.name == "global");
                if !variable.2.is_empty() && !constant_of_plugin {
                    self.refuse(*position, "modules cannot be used".to_owned(), None);
                }
                self.facts.variables.insert(variable.1.to_string());
            }
            Expr::ThisPtr(position) => self.refuse(
                *position,
                "`this` cannot be used".to_owned(),
                Some("give the function a parameter".to_owned()),
            ),
            _ => {}
        }
    }

    fn call(&mut self, call: &FnCallExpr, position: Position, method: bool) {
        if call.is_operator_call() || self.is_ours(call, position) {
            return;
        }
        if call.is_qualified() {
            return self.refuse(position, "modules cannot be used".to_owned(), None);
        }
        let receiver = method.then_some(None);
        let literals = call
            .args
            .iter()
            .map(|arg| arg.get_literal_value(None).and_then(|literal| to_value(&literal).ok()));
        let args: Vec<_> = receiver.into_iter().chain(literals).collect();
        let name = plain(&call.name);
        if let Some((message, help)) = self.wrong(name, args.len(), method) {
            self.refuse(position, message, help);
        } else if let Some((message, help)) = self.withheld(name, &args) {
            self.refuse(position, message, Some(help));
        }
        self.facts.calls.push((name.to_owned(), args));
    }

    /// Whether the compiler or the rewriting made this call, not the author.
    fn is_ours(&self, call: &FnCallExpr, position: Position) -> bool {
        let offset = self.rewritten.offset(position);
        let written =
            self.source.get(offset..).is_some_and(|rest| rest.starts_with(plain(&call.name)));
        !written && [OWN, HOLE, "curry"].contains(&call.name.as_str())
    }

    /// What is wrong with calling `name` with `count` arguments, the receiver of a method included.
    fn wrong(&self, name: &str, count: usize, method: bool) -> Option<(String, Option<String>)> {
        let all = self.table.named(name);
        let visible: Vec<_> = all.iter().filter(|s| self.reader.sees(&s.owner)).collect();
        if visible.is_empty() {
            return Some(self.unknown(name, all));
        }
        let Some(found) = visible.iter().find(|s| (s.arity.0..=s.arity.1).contains(&count)) else {
            let own = usize::from(method);
            let mut counts: Vec<usize> = visible
                .iter()
                .flat_map(|s| s.arity.0..=s.arity.1)
                .map(|n| n.saturating_sub(own))
                .collect();
            counts.sort_unstable();
            counts.dedup();
            let help =
                visible.iter().map(|s| format!("`{}`", s.text)).collect::<Vec<_>>().join(" or ");
            return Some((
                format!(
                    "`{name}` takes {} here, not {}",
                    arguments(&counts),
                    count - own.min(count)
                ),
                Some(help),
            ));
        };
        if method && matches!(found.owner, Owner::Plugin(_) | Owner::PrivateTo(_)) {
            return Some((
                format!("`{name}` is a function of a plugin, not a method"),
                Some(format!("write `{}`", found.text)),
            ));
        }
        None
    }

    /// Why a plugin may not call a function of the language, or not with these arguments.
    fn withheld(&self, name: &str, args: &[Option<Value>]) -> Option<(String, String)> {
        let Reader::Plugin(at) = self.reader else { return None };
        let ours = |signature: &Signature| {
            matches!(signature.owner, Owner::Builtin | Owner::BuiltinOfPlugins)
        };
        let grant =
            self.table.grants.get(at).filter(|_| self.table.named(name).iter().any(ours))?;
        grant.withholds(name).or_else(|| grant.withholds_this(name, args))
    }

    fn unknown(&self, name: &str, hidden: &[Signature]) -> (String, Option<String>) {
        if LATER.contains(&name) {
            return (format!("`{name}` is not supported yet"), None);
        }
        match hidden.first().map(|signature| &signature.owner) {
            Some(Owner::PrivateTo(_)) => {
                return (
                    format!("`{name}` is private to its plugin"),
                    Some("remove `private` before its `fn`".to_owned()),
                );
            }
            Some(Owner::BuiltinOfPlugins) => {
                let help = match name {
                    "push" | "append" | "insert" => "write `list + [x]`",
                    "remove" | "retain" | "dedup" => "write `list.filter(|x| …)`",
                    _ => "use a function that gives a new value, or one of a plugin",
                };
                return (
                    format!("`{name}` changes a value, and an expression only reads"),
                    Some(help.to_owned()),
                );
            }
            _ => {}
        }
        let meant = ALIASES
            .iter()
            .find(|(alias, _)| *alias == name)
            .map(|(_, meant)| *meant)
            .or_else(|| closest(name, self.table.names(self.reader)));
        let help = meant.map(|meant| {
            if meant == "now" {
                return "`now` is a variable: write it without `()`".to_owned();
            }
            let signatures = self.table.named(meant);
            let text = signatures.first().map_or(meant, |signature| signature.text.as_str());
            format!("did you mean `{text}`?")
        });
        (format!("there is no function `{name}`"), help)
    }

    fn refuse(&mut self, position: Position, message: String, help: Option<String>) {
        let place = covered(self.source, self.rewritten.offset(position));
        self.errors.push(ScriptError { offset: place.start, len: place.len(), message, help });
    }
}

/// The token at `offset`, from there on: what an error there covers. At the end of the text it is
/// the last character that is not blank.
pub(super) fn covered(source: &str, offset: usize) -> Range<usize> {
    let text = source.trim_end();
    if offset >= text.len() {
        let last = text.chars().next_back().map_or(0, char::len_utf8);
        return text.len() - last..text.len();
    }
    let end = lex(source)
        .iter()
        .find(|token| (token.start..token.end).contains(&offset))
        .map(|token| token.end)
        .or_else(|| Some(offset + source.get(offset..)?.chars().next()?.len_utf8()));
    offset..end.unwrap_or(text.len())
}

fn arguments(counts: &[usize]) -> String {
    match counts {
        [] | [0] => "no arguments".to_owned(),
        [1] => "1 argument".to_owned(),
        [all @ .., last] if !all.is_empty() => {
            let all: Vec<_> = all.iter().map(usize::to_string).collect();
            format!("{} or {last} arguments", all.join(", "))
        }
        [n, ..] => format!("{n} arguments"),
    }
}
