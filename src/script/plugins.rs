//! Plugins: from text to modules of functions.
//!
//! A plugin defines functions and constants and nothing else. Its public functions are global for
//! expressions and other plugins; so two plugins cannot define the same one, nor one of ours.

use std::sync::Arc;

use rhai::{AST, ASTFlags, ASTNode, Engine, FnAccess, Module, Scope, Stmt};

use crate::model::Text;

use super::check::{Owner, Reader, Signature, Table, check};
use super::error::ScriptError;
use super::explain::{PluginText, at, definitions, parse_error};
use super::grant::Grant;
use super::limits;
use super::rewrite::Rewritten;

/// A plugin's source text.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginSource {
    /// Its name: the file name without `.rhai`.
    pub name: Text,
    /// Where it came from, for messages.
    pub file: Text,
    /// The text.
    pub source: Text,
    /// What it may do.
    pub grant: Grant,
}

/// A function that expressions may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its parameters in order; an optional one ends in `?`.
    pub params: Vec<String>,
    /// The plugin that defines it; `None` for one of the sandbox.
    pub plugin: Option<Text>,
    /// What it gives: the `///` lines above it.
    pub doc: String,
}

/// Plugins, compiled and checked, not yet registered.
pub(super) struct Plugins {
    pub(super) texts: Vec<PluginText>,
    pub(super) functions: Vec<Function>,
    asts: Vec<AST>,
    modules: Vec<Arc<Module>>,
}

/// A mistake in the plugin with this index.
pub(super) type PluginError = (usize, ScriptError);

impl Plugins {
    /// Compiles `sources` and enters their functions into `table`.
    ///
    /// # Errors
    /// Every mistake found.
    pub(super) fn compile(
        engine: &Engine,
        sources: &[PluginSource],
        table: &mut Table,
    ) -> Result<Self, Vec<PluginError>> {
        let mut plugins = Self {
            texts: Vec::new(),
            functions: Vec::new(),
            asts: Vec::new(),
            modules: Vec::new(),
        };
        table.grants = sources.iter().map(|plugin| plugin.grant.clone()).collect();
        let mut errors = Vec::new();
        let mut compiled = Vec::new();
        for (index, plugin) in sources.iter().enumerate() {
            match compile(engine, index, plugin) {
                Ok((ast, text)) => {
                    plugins.define(index, sources, &ast, table, &mut errors);
                    compiled.push((index, ast, text));
                }
                Err(error) => errors.push((index, error)),
            }
        }
        // A plugin that could not be compiled may define what the others call.
        if !errors.is_empty() && compiled.len() < sources.len() {
            return Err(errors);
        }
        for (index, ast, text) in compiled {
            errors.extend(statements(&ast, &text).into_iter().map(|error| (index, error)));
            let (_, wrong) =
                check(&ast, &text.source, &text.rewritten, table, Reader::Plugin(index));
            errors.extend(wrong.into_iter().map(|error| (index, error)));
            plugins.texts.push(text);
            plugins.asts.push(ast);
        }
        if errors.is_empty() { Ok(plugins) } else { Err(errors) }
    }

    /// Makes the functions callable.
    ///
    /// # Errors
    /// A constant whose value cannot be computed.
    pub(super) fn register(&mut self, engine: &mut Engine) -> Result<(), Vec<PluginError>> {
        let mut errors = Vec::new();
        for (index, ast) in self.asts.drain(..).enumerate() {
            match Module::eval_ast_as_new(Scope::new(), &ast, engine) {
                Ok(module) => {
                    let module: Arc<Module> = module.into();
                    engine.register_global_module(module.clone());
                    self.modules.push(module);
                }
                Err(error) => {
                    let text = &self.texts[index];
                    let message =
                        super::explain::eval_error(*error, &text.source, &text.rewritten, &[]);
                    errors.push((
                        index,
                        ScriptError {
                            offset: 0,
                            len: 1,
                            message: format!("a constant has no value: {message}"),
                            help: None,
                        },
                    ));
                }
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// What was registered, for another engine.
    pub(super) fn into_parts(self) -> (Vec<PluginText>, Vec<Function>, Vec<Arc<Module>>) {
        (self.texts, self.functions, self.modules)
    }

    fn define(
        &mut self,
        index: usize,
        sources: &[PluginSource],
        ast: &AST,
        table: &mut Table,
        errors: &mut Vec<PluginError>,
    ) {
        let plugin = &sources[index];
        let places = definitions(&plugin.source);
        for function in ast.iter_functions().filter(|function| !function.name.starts_with("anon$"))
        {
            let count = function.params.len();
            let place =
                places.iter().find(|(name, params, _)| name == function.name && *params == count);
            let mut refuse = |message: String, help: &str| {
                let offset = place.map_or(0, |(_, _, offset)| *offset);
                let len = function.name.len().max(1);
                errors.push((
                    index,
                    ScriptError { offset, len, message, help: Some(help.to_owned()) },
                ));
            };
            let clash = table.named(function.name).iter().find(|other| match other.owner {
                Owner::Builtin | Owner::BuiltinOfPlugins => true,
                Owner::Plugin(_) => {
                    other.arity == (count, count) && function.access == FnAccess::Public
                }
                Owner::PrivateTo(_) => false,
            });
            if function.this_type.is_some() {
                refuse(
                    "functions of a type cannot be defined".to_owned(),
                    "write `fn name(value)`",
                );
            }
            match clash.map(|clash| (&clash.owner, &clash.text)) {
                Some((Owner::Plugin(other), text)) => {
                    let file = &sources[*other].file;
                    refuse(
                        format!("`{text}` is also defined in {file}"),
                        "rename one of them, or write `private fn`",
                    );
                }
                Some((_, text)) => {
                    refuse(
                        format!("`{text}` is a function of the language"),
                        "choose another name",
                    );
                }
                None => {}
            }
            let public = function.access == FnAccess::Public;
            let text = format!("{}({})", function.name, function.params.join(", "));
            let owner = if public { Owner::Plugin(index) } else { Owner::PrivateTo(index) };
            table.add(function.name, Signature { owner, arity: (count, count), text });
            if public {
                self.functions.push(Function {
                    name: function.name.to_owned(),
                    params: function.params.iter().map(|param| (*param).to_owned()).collect(),
                    plugin: Some(plugin.name.clone()),
                    doc: doc(&function.comments),
                });
            }
        }
    }
}

fn compile(
    engine: &Engine,
    index: usize,
    plugin: &PluginSource,
) -> Result<(AST, PluginText), ScriptError> {
    if plugin.source.len() > limits::PLUGIN_BYTES {
        return Err(ScriptError {
            offset: 0,
            len: 1,
            message: format!("the plugin is longer than {} bytes", limits::PLUGIN_BYTES),
            help: Some("split it into several".to_owned()),
        });
    }
    let rewritten = Rewritten::new(&plugin.source, Some(index))?;
    let mut ast = engine.compile(&rewritten.text).map_err(|error| {
        let mut found = parse_error(&error, &plugin.source, &rewritten, std::iter::empty());
        if let rhai::ParseErrorType::VariableUndefined(name) = error.err_type() {
            found.help = Some(format!(
                "a function sees its parameters and its own variables; a constant of the plugin is `global::{name}`"
            ));
        }
        found
    })?;
    ast.set_source(&*plugin.file);
    let text = PluginText {
        file: plugin.file.clone(),
        source: plugin.source.clone(),
        rewritten,
        grant: plugin.grant.clone(),
    };
    Ok((ast, text))
}

/// Anything but functions and constants at the top of a plugin.
fn statements(ast: &AST, text: &PluginText) -> Vec<ScriptError> {
    // Bodies of functions are walked after the statements, each beginning a path of its own.
    let top = ast.clone_statements_only();
    let mut errors = Vec::new();
    top.walk(&mut |path: &[ASTNode<'_>]| {
        if let [ASTNode::Stmt(stmt)] = path {
            let constant =
                matches!(stmt, Stmt::Var(_, flags, _) if flags.intersects(ASTFlags::CONSTANT));
            if !constant && !matches!(stmt, Stmt::Noop(_)) {
                let message = "only functions and constants can stand here".to_owned();
                let mut error = at(stmt.position(), &text.source, &text.rewritten, message);
                error.help = Some("put it into a `fn`".to_owned());
                errors.push(error);
            }
        }
        true
    });
    errors
}

/// The lines of `///` comments without their slashes.
fn doc(comments: &[&str]) -> String {
    let lines = comments.iter().flat_map(|comment| comment.lines());
    let bare = lines.map(|line| line.trim_start_matches(['/', '*']).trim_end_matches("*/").trim());
    bare.collect::<Vec<_>>().join("\n").trim().to_owned()
}
