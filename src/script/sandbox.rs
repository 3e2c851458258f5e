//! [`Sandbox`]: one configured Rhai engine with the plugins of a rule set; [`Expr`] its compiled expressions.

use std::sync::{Arc, OnceLock};

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
    BasicMathPackage, BasicStringPackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{
    AST, Dynamic, Engine, EvalAltResult, ImmutableString, Module, OptimizationLevel, Position,
};

use crate::model::{Instant, Text, Value};

use super::check::{Facts, Owner, Reader, Table, check, never_boolean};
use super::convert::to_value;
use super::direct::Direct;
use super::error::{EvalError, ScriptError};
use super::explain::{PluginText, eval_error, parse_error};
use super::functions;
use super::grant::Grant;
use super::host::{self, Evaluation, Host};

pub use super::host::Stop;
use super::limits;
use super::plugins::{Function, PluginSource, Plugins};
use super::rewrite::Rewritten;
use super::scope::{Names, Scope, Shared};

/// A Rhai engine with every limit set and the functions of its plugins registered. Cheap to clone.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    engine: Engine,
    table: Table,
    plugins: Vec<PluginText>,
    functions: Vec<Function>,
    modules: Vec<Arc<Module>>,
    /// The same for what runs off the loop: bound by time, and made when it is first needed.
    patient: OnceLock<Engine>,
}

/// A compiled expression. Cheap to clone.
#[derive(Clone)]
pub struct Expr(Arc<Compiled>);

struct Compiled {
    source: Text,
    rewritten: Rewritten,
    ast: AST,
    facts: Facts,
    /// The short way, if there is one.
    direct: Option<Direct>,
    sandbox: Sandbox,
}

impl Sandbox {
    /// With the functions of `plugins`.
    ///
    /// # Errors
    /// Every mistake of every plugin: (index into `plugins`, error).
    pub fn new(plugins: &[PluginSource]) -> Result<Self, Vec<(usize, ScriptError)>> {
        let mut engine = engine();
        let mut table = Table::new();
        let mut compiled = Plugins::compile(&engine, plugins, &mut table)?;
        for caller in callers(plugins.len()) {
            functions::register_for(&mut engine, caller);
        }
        compiled.register(&mut engine)?;
        let builtin =
            functions::builtins().filter(|builtin| !builtin.plugin_only).map(|builtin| Function {
                name: builtin.name().to_owned(),
                params: builtin.params(),
                plugin: None,
                doc: builtin.doc.to_owned(),
            });
        let (plugins, defined, modules) = compiled.into_parts();
        let functions = builtin.chain(defined).collect();
        let patient = OnceLock::new();
        Ok(Self(Arc::new(Inner { engine, table, plugins, functions, modules, patient })))
    }

    /// Compiles one expression that may use `names`.
    ///
    /// # Errors
    /// Unknown names and functions, statements, `'x'`, and whatever Rhai refuses.
    pub fn expr(&self, source: &str, names: &Names) -> Result<Expr, ScriptError> {
        self.parse(source, names).map_err(|mut errors| errors.swap_remove(0))
    }

    /// The same, with every mistake that can be told apart; the first one first, and at least one.
    ///
    /// # Errors
    /// As [`Sandbox::expr`].
    pub fn parse(&self, source: &str, names: &Names) -> Result<Expr, Vec<ScriptError>> {
        if source.trim().is_empty() {
            return Err(vec![whole(source, "the expression is empty".to_owned())]);
        }
        if source.len() > limits::EXPRESSION_BYTES {
            let message =
                format!("the expression is longer than {} bytes", limits::EXPRESSION_BYTES);
            return Err(vec![whole(source, message)]);
        }
        let rewritten = Rewritten::new(source, None).map_err(|error| vec![error])?;
        let mut known = rhai::Scope::new();
        for name in names.all() {
            known.push_constant(name, ());
        }
        let ast = self
            .0
            .engine
            .compile_expression_with_scope(&known, &rewritten.text)
            .map_err(|error| vec![parse_error(&error, source, &rewritten, names.all())])?;
        let (facts, errors) = check(&ast, source, &rewritten, &self.0.table, Reader::Expression);
        if !errors.is_empty() {
            return Err(errors);
        }
        let (source, direct, sandbox) = (source.into(), Direct::of(&ast), self.clone());
        Ok(Expr(Arc::new(Compiled { source, rewritten, ast, facts, direct, sandbox })))
    }

    /// Calls a function of a plugin off the loop, where no count of operations bounds it: `is_late`
    /// tells when it has taken too long. Texts in `args` may stand for secrets.
    ///
    /// # Errors
    /// [`EvalError`]; a function that does not exist, or not with so many arguments, among them.
    pub fn call(
        &self,
        function: &str,
        args: &[Shared],
        now: Instant,
        host: &dyn Host,
        is_late: &Stop<'_>,
    ) -> Result<Value, EvalError> {
        let names: Vec<String> = (0..args.len()).map(|at| format!("arg{at}")).collect();
        let mut scope = Scope::new(now);
        let known = names.iter().fold(Names::default(), |known, name| known.and(name.clone()));
        for (name, value) in names.iter().zip(args) {
            scope.share(name.clone(), value);
        }
        let call = format!("{function}({})", names.join(", "));
        let expr =
            self.expr(&call, &known).map_err(|error| EvalError::Failed(error.message.into()))?;
        expr.eval_patiently(&scope, host, is_late)
    }

    /// What the plugin may do that defines the public `function` of so many arguments; `None`: none does.
    #[must_use]
    pub fn grant(&self, function: &str, arity: usize) -> Option<&Grant> {
        self.0.table.named(function).iter().find_map(|signature| match signature.owner {
            Owner::Plugin(at) if signature.arity == (arity, arity) => self.0.table.grants.get(at),
            _ => None,
        })
    }

    /// Whether a plugin has a public `function` that takes so many arguments.
    #[must_use]
    pub fn defines(&self, function: &str, arity: usize) -> bool {
        self.0.table.named(function).iter().any(|signature| {
            matches!(signature.owner, Owner::Plugin(_)) && signature.arity == (arity, arity)
        })
    }

    /// Every function that an expression may call: the sandbox's own, then the plugins'.
    #[must_use]
    pub fn functions(&self) -> &[Function] {
        &self.0.functions
    }
}

impl Expr {
    /// The expression as written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Its value.
    ///
    /// # Errors
    /// [`EvalError`].
    pub fn eval(&self, scope: &Scope, host: &dyn Host) -> Result<Value, EvalError> {
        match self.direct().and_then(|direct| direct.value(scope.values())) {
            Some(value) => Ok(value),
            None => self.eval_in_rhai(scope, host),
        }
    }

    /// Its boolean, or the value it gave instead.
    pub(super) fn test(
        &self,
        scope: &Scope,
        host: &dyn Host,
    ) -> Result<Result<bool, Value>, EvalError> {
        match self.direct().and_then(|direct| direct.test(scope.values())) {
            Some(flag) => Ok(Ok(flag)),
            None => Ok(match self.eval_in_rhai(scope, host)? {
                Value::Bool(flag) => Ok(flag),
                other => Err(other),
            }),
        }
    }

    /// What it gives, if that is surely no boolean.
    pub(super) fn never_boolean(&self) -> Option<String> {
        never_boolean(&self.0.ast)
    }

    /// The short way, if there is one.
    pub(super) fn direct(&self) -> Option<&Direct> {
        self.0.direct.as_ref()
    }

    /// Its value by the long way.
    pub(super) fn eval_in_rhai(&self, scope: &Scope, host: &dyn Host) -> Result<Value, EvalError> {
        self.eval_on(&self.0.sandbox.0.engine, scope, host, None)
    }

    /// Its value, however many operations it takes, until `is_late`.
    fn eval_patiently(
        &self,
        scope: &Scope,
        host: &dyn Host,
        is_late: &Stop<'_>,
    ) -> Result<Value, EvalError> {
        let inner = &*self.0.sandbox.0;
        let patient = inner.patient.get_or_init(|| {
            let mut engine = engine();
            for caller in callers(inner.plugins.len()) {
                functions::register_for(&mut engine, caller);
            }
            for module in &inner.modules {
                engine.register_global_module(module.clone());
            }
            // Time bounds it, not a count.
            engine.set_max_operations(0).on_progress(|operations| {
                (operations % limits::LOOK_EVERY == 0 && host::is_late())
                    .then(|| Dynamic::from(LATE))
            });
            engine
        });
        self.eval_on(patient, scope, host, Some(is_late))
    }

    fn eval_on(
        &self,
        engine: &Engine,
        scope: &Scope,
        host: &dyn Host,
        is_late: Option<&Stop<'_>>,
    ) -> Result<Value, EvalError> {
        let Compiled { source, rewritten, ast, facts, sandbox, .. } = &*self.0;
        let plugins = &sandbox.0.plugins;
        let evaluation = Evaluation::new(host, plugins, is_late);
        let eval =
            |scope: &mut rhai::Scope<'static>| engine.eval_ast_with_scope::<Dynamic>(scope, ast);
        let result = if facts.captures {
            // Capturing turns a variable into a shared one, for good and for everybody.
            let mut own = scope.copy_of(&facts.variables);
            evaluation.run(|| eval(&mut own))?
        } else {
            scope.with(&facts.variables, |lent| evaluation.run(|| eval(lent)))??
        };
        let value = result.map_err(|error| {
            let called = is_unplaced(&error).then(|| self.called_plugin()).flatten();
            let error = eval_error(*error, source, rewritten, plugins);
            match (called, error) {
                (Some(called), EvalError::Failed(text)) => {
                    EvalError::InPlugin(format!("{called}: {text}").into())
                }
                (_, error) => error,
            }
        })?;
        to_value(&value).map_err(|error| EvalError::Failed(format!("`{source}`: {error}").into()))
    }

    /// The first function of a plugin that it calls, as messages name it.
    fn called_plugin(&self) -> Option<String> {
        let inner = &*self.0.sandbox.0;
        self.0.facts.calls.iter().find_map(|(name, _)| {
            inner.table.named(name).iter().find_map(|signature| match signature.owner {
                Owner::Plugin(at) => Some(format!("{}: `{name}`", inner.plugins.get(at)?.file)),
                _ => None,
            })
        })
    }

    /// Whether it calls a function of this name.
    #[must_use]
    pub fn calls(&self, function: &str) -> bool {
        self.0.facts.calls.iter().any(|(name, _)| name == function)
    }

    /// The arguments of each call of `function`; those that are not literals are `None`.
    pub fn literal_calls<'e>(
        &'e self,
        function: &'e str,
    ) -> impl Iterator<Item = &'e [Option<Value>]> {
        self.0
            .facts
            .calls
            .iter()
            .filter(move |(name, _)| name == function)
            .map(|(_, args)| args.as_slice())
    }

    /// The variables it reads, and the parameters of its closures.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.facts.variables.iter().map(String::as_str)
    }
}

impl std::fmt::Debug for Expr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expr({})", self.source())
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sandbox({} plugins)", self.0.plugins.len())
    }
}

/// The rules, and each of so many plugins.
fn callers(plugins: usize) -> impl Iterator<Item = functions::Caller> {
    std::iter::once(None).chain((0..plugins).map(Some))
}

/// Why an evaluation is stopped that takes too long.
const LATE: &str = "it took too long";

/// Without plugins. Rhai's packages are made once for the process: they are the same for all.
pub(super) fn engine() -> Engine {
    static PACKAGES: OnceLock<Vec<Arc<rhai::Module>>> = OnceLock::new();
    let mut engine = Engine::new_raw();
    let packages = PACKAGES.get_or_init(|| {
        vec![
            ArithmeticPackage::new().as_shared_module(),
            LogicPackage::new().as_shared_module(),
            BasicMathPackage::new().as_shared_module(),
            BasicIteratorPackage::new().as_shared_module(),
            BasicFnPackage::new().as_shared_module(),
            BasicStringPackage::new().as_shared_module(),
            MoreStringPackage::new().as_shared_module(),
            BasicArrayPackage::new().as_shared_module(),
            BasicMapPackage::new().as_shared_module(),
        ]
    });
    for package in packages {
        engine.register_global_module(package.clone());
    }
    functions::register(&mut engine);
    // `x.a` with nothing for x: as missing as a property that an object lacks.
    engine.register_indexer_get(
        |(): &mut (), name: ImmutableString| -> Result<Dynamic, Box<EvalAltResult>> {
            Err(Box::new(EvalAltResult::ErrorPropertyNotFound(name.to_string(), Position::NONE)))
        },
    );
    // What has nothing in it has no `name` either: an event may come without data.
    engine.register_fn("get", |(): &mut (), _: ImmutableString| Dynamic::UNIT);
    engine
        .set_strict_variables(true)
        .set_fail_on_invalid_map_property(true)
        // Rhai's own operators would win otherwise, and `1 < "a"` would be false.
        .set_fast_operators(false)
        // An optimizer would compute with values that are only known later.
        .set_optimization_level(OptimizationLevel::None)
        .set_max_operations(limits::OPERATIONS)
        .set_max_call_levels(limits::CALL_LEVELS)
        .set_max_expr_depths(limits::EXPRESSION_DEPTH, limits::FUNCTION_DEPTH)
        .set_max_string_size(limits::TEXT_BYTES)
        .set_max_array_size(limits::LIST_ITEMS)
        .set_max_map_size(limits::MAP_ITEMS)
        .set_max_variables(limits::VARIABLES)
        .set_max_functions(limits::FUNCTIONS)
        .set_max_modules(0)
        // Threads would wait for each other at a shared interner, 10 ms at a time.
        .set_max_strings_interned(0)
        .disable_symbol("eval")
        .on_print(|text| tracing::info!(target: "adjutant::plugin", "{text}"))
        .on_debug(|text, source, position| {
            tracing::debug!(target: "adjutant::plugin", source, ?position, "{text}");
        });
    engine
}

/// Whether Rhai does not say in which function this happened: it unwinds through all of them.
fn is_unplaced(error: &EvalAltResult) -> bool {
    matches!(
        error,
        EvalAltResult::ErrorTerminated(..)
            | EvalAltResult::ErrorTooManyOperations(_)
            | EvalAltResult::ErrorStackOverflow(_)
            | EvalAltResult::ErrorDataTooLarge(..)
    )
}

fn whole(source: &str, message: String) -> ScriptError {
    ScriptError { offset: 0, len: source.len(), message, help: None }
}
