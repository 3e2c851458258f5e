//! Steps that call functions of plugins off the loop: `script`, `action`.

use std::collections::BTreeSet;

use super::compile::{Cx, Place};
use super::decode::Fields;
use super::program::PluginCall;
use super::step_wait;
use super::suggest;
use super::yaml::{Kind, Node};

/// `script:` a function, with no arguments, an object, or a list of them.
pub(super) fn script(
    cx: &mut Cx<'_>,
    name: &Node,
    fields: Fields<'_>,
    place: Place,
) -> Option<PluginCall> {
    let function = cx.sink.raw(name, "script")?;
    let args = match fields.get("args") {
        None => Some(Vec::new()),
        Some(Node { kind: Kind::List(items), .. }) => {
            let args: Vec<_> = items.iter().map(|item| cx.shape(item, place)).collect();
            args.into_iter().collect()
        }
        Some(_) => step_wait::args(cx, fields, place).map(|args| vec![args]),
    };
    let arity = args.as_ref().map(Vec::len);
    defined(cx, name, Wanted { what: "function", prefix: "", name: function, arity })?;
    Some(PluginCall { function: function.into(), args: args? })
}

/// `action:` one of a plugin, with an object.
pub(super) fn action(
    cx: &mut Cx<'_>,
    name: &Node,
    fields: Fields<'_>,
    place: Place,
) -> Option<PluginCall> {
    if let Some(bare) =
        name.scalar().and_then(|scalar| scalar.text.strip_prefix(PluginCall::ACTION))
    {
        let bare = bare.replace('_', "-");
        cx.sink
            .error("bad-name", name.head(), "an action is named without `action_`")
            .help(format!("write `{bare}`"));
        return None;
    }
    let written = cx.sink.name(name, "action")?;
    let args = step_wait::args(cx, fields, place.with_secret());
    let wanted =
        Wanted { what: "action", prefix: PluginCall::ACTION, name: written, arity: Some(1) };
    let function = wanted.function();
    defined(cx, name, wanted)?;
    Some(PluginCall { function: function.into(), args: vec![args?] })
}

/// A function that a rule names.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'n> {
    /// As people call it.
    pub what: &'static str,
    /// What its name begins with in the plugin.
    pub prefix: &'static str,
    /// As the rule writes it.
    pub name: &'n str,
    /// How many arguments it gets, if that is known.
    pub arity: Option<usize>,
}

impl Wanted<'_> {
    fn function(self) -> String {
        format!("{}{}", self.prefix, self.name.replace('-', "_"))
    }
}

/// Checks that a plugin defines a function, and has the run pinned to that plugin.
pub(super) fn defined(cx: &mut Cx<'_>, node: &Node, wanted: Wanted<'_>) -> Option<()> {
    let function = wanted.function();
    cx.used.words.insert(function.as_str().into());
    let Wanted { what, prefix, name, arity } = wanted;
    if arity.is_none_or(|arity| cx.sandbox.defines(&function, arity)) {
        return Some(());
    }
    if cx.directory.is_some_and(|directory| directory.lost.contains(&*function)) {
        return None;
    }
    let plugins = || cx.sandbox.functions().iter().filter(|function| function.plugin.is_some());
    let same: Vec<String> = plugins()
        .filter(|known| known.name == function)
        .map(|known| format!("`fn {}({})`", known.name, known.params.join(", ")))
        .collect();
    let (message, help) = if same.is_empty() {
        let known: BTreeSet<String> = plugins()
            .filter_map(|known| known.name.strip_prefix(prefix).map(str::to_owned))
            .collect();
        let help = suggest::hint(name, known.iter().map(String::as_str)).unwrap_or_else(|| {
            let params = match (what, arity) {
                (_, Some(0)) => "",
                ("poll", Some(1)) => "cursor",
                ("poll", _) => "cursor, answer",
                _ => "args",
            };
            format!("define it in a plugin: `fn {function}({params}) {{ … }}`")
        });
        (format!("no plugin has the {what} `{name}`"), help)
    } else {
        let many = match arity {
            Some(1) => "1 argument".to_owned(),
            many => format!("{} arguments", many.unwrap_or_default()),
        };
        let message = format!("the {what} `{name}` does not take {many}");
        (message, format!("there is {}", same.join(" and ")))
    };
    cx.sink.error("unknown-function", node.head(), message).help(help);
    None
}
