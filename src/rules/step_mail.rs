//! `email:` with its fields.

use std::collections::btree_map::Entry as Slot;
use std::ops::Range;

use crate::model::{Class, Name, Text, Value};
use crate::script::Shape;

use super::compile::{Cx, Place, Reported};
use super::decode::Fields;
use super::directory::{BUILT_IN_PURPOSES, Sort};
use super::program::{EmailBody, EmailStep};
use super::reach::{Of, Read};
use super::suggest;
use super::team;
use super::yaml::{Kind, Node};

/// Headers that the daemon writes itself.
const OWN_HEADERS: [&str; 18] = [
    "auto-submitted",
    "bcc",
    "cc",
    "content-transfer-encoding",
    "content-type",
    "date",
    "from",
    "in-reply-to",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "message-id",
    "mime-version",
    "received",
    "reply-to",
    "return-path",
    "sender",
    "subject",
    "to",
];

/// `email:`; `class` is given for mails of a ladder.
pub(super) fn email(
    cx: &mut Cx<'_>,
    to: &Node,
    fields: Fields<'_>,
    place: Place,
    class: Option<Class>,
) -> Option<EmailStep> {
    let to = recipients(cx, to, "email", place);
    let cc = optional(fields, "cc", |node| recipients(cx, node, "cc", place));
    let bcc = optional(fields, "bcc", |node| recipients(cx, node, "bcc", place));
    let from = optional(fields, "from", |node| mailbox(cx, node, "from", place));
    let reply_to = optional(fields, "reply_to", |node| mailbox(cx, node, "reply_to", place));
    let purpose =
        fields.get("purpose").and_then(|node| cx.reference(node, "purpose", Sort::Purpose));
    let body = body(cx, fields, place);
    let args = optional(fields, "args", |node| cx.shape(node, place));
    let locale = optional(fields, "locale", |node| locale(cx, node, place));
    let headers = match fields.get("headers") {
        Some(node) => headers(cx, node, place, &OWN_HEADERS),
        None => Some(Vec::new()),
    };
    let purpose = purpose?;
    let bulk = !BUILT_IN_PURPOSES.contains(&&*purpose);
    let class = class.unwrap_or(if bulk { Class::Bulk } else { Class::Normal });
    Some(EmailStep {
        to: to?,
        cc: cc.ok()?,
        bcc: bcc.ok()?,
        from: from.ok()?,
        reply_to: reply_to.ok()?,
        purpose,
        body: body?,
        args: args.ok()?,
        locale: locale.ok()?,
        headers: headers?,
        class,
    })
}

/// Reads a field that may be missing.
fn optional<T>(
    fields: Fields<'_>,
    key: &str,
    read: impl FnOnce(&Node) -> Option<T>,
) -> Result<Option<T>, Reported> {
    match fields.get(key) {
        Some(node) => read(node).map(Some).ok_or(Reported),
        None => Ok(None),
    }
}

/// Addresses, lists of them, `person:ID` or `team:NAME`.
pub(super) fn recipients(cx: &mut Cx<'_>, node: &Node, what: &str, place: Place) -> Option<Shape> {
    match &node.kind {
        Kind::List(items) if items.is_empty() => {
            cx.sink.error("recipient", node.head(), format!("`{what}` lists nobody"));
            None
        }
        Kind::List(items) => {
            let shapes: Vec<_> =
                items.iter().map(|item| recipients(cx, item, what, place)).collect();
            shapes.into_iter().collect::<Option<_>>().map(Shape::List)
        }
        Kind::Scalar(_) => {
            let shape = cx.text_shape(node, what, place)?;
            recipient_literal(cx, node, &shape)?;
            Some(shape)
        }
        _ => {
            cx.sink.wrong(node, what, "an address, `person:ID`, `team:NAME`, or a list of them");
            None
        }
    }
}

fn recipient_literal(cx: &mut Cx<'_>, node: &Node, shape: &Shape) -> Option<()> {
    let text = match shape {
        Shape::Literal(value) => value.to_string(),
        Shape::Text(parts) => match parts.first() {
            Some(crate::script::Part::Literal(text)) if text.starts_with("team:") => {
                text.to_string()
            }
            _ => return Some(()),
        },
        _ => return Some(()),
    };
    if let Some(name) = text.strip_prefix("team:") {
        // What follows a first part that is text is computed.
        let whole = node.scalar().map_or(name, |scalar| scalar.text.trim());
        return team::recipient(cx, node, whole.strip_prefix("team:").unwrap_or(name));
    }
    if let Some(id) = text.strip_prefix("person:") {
        if id.trim().is_empty() {
            cx.sink
                .error("recipient", node.head(), "`person:` names nobody")
                .help("write the id of a `person` record: `person:tom`");
            return None;
        }
        return Some(());
    }
    address_literal(cx, node, &text)
}

/// One address that may carry a name: `Ops <ops@example.com>`.
fn mailbox(cx: &mut Cx<'_>, node: &Node, what: &str, place: Place) -> Option<Shape> {
    let shape = cx.text_shape(node, what, place)?;
    match &shape {
        Shape::Literal(value) => address_literal(cx, node, &value.to_string())?,
        _ => return Some(shape),
    }
    Some(shape)
}

fn address_literal(cx: &mut Cx<'_>, node: &Node, text: &str) -> Option<()> {
    if looks_like_address(text) {
        return Some(());
    }
    let message = format!("`{text}` is not a mail address");
    let help = if text.contains(',') || text.contains(';') {
        "write a list: `[a@example.com, b@example.com]`".to_owned()
    } else if text.contains("event.") || text.contains("vars.") || text.contains("steps.") {
        format!("an expression goes into `${{…}}`: `${{{text}}}`")
    } else if crate::model::is_name(text) {
        format!("for the person `{text}` write `person:{text}`")
    } else {
        "write `name@example.com`, or `person:ID` for a `person` record".to_owned()
    };
    cx.sink.error("recipient", node.head(), message).help(help);
    None
}

/// Whether a text can be a mail address, with or without a display name. The mail library has the
/// last word when the mail is built.
fn looks_like_address(text: &str) -> bool {
    let address = match (text.rfind('<'), text.strip_suffix('>')) {
        (Some(open), Some(inner)) => &inner[open + 1..],
        (None, None) => text,
        _ => return false,
    };
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let sane = |part: &str| {
        !part.is_empty()
            && !part.contains(|c: char| c.is_whitespace() || c.is_control() || ",;<>()".contains(c))
    };
    sane(local)
        && sane(domain)
        && !local.contains('@')
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && !domain.contains("..")
}

fn body(cx: &mut Cx<'_>, fields: Fields<'_>, place: Place) -> Option<EmailBody> {
    let (template, subject, text) =
        (fields.get("template"), fields.get("subject"), fields.get("text"));
    match (template, subject, text) {
        (Some(node), None, None) => {
            let name = template_name(cx, node)?;
            members(cx, node, &name, fields.get("args"));
            Some(EmailBody::Template(name))
        }
        (Some(_), _, _) => {
            let entry = fields.entry("subject").or_else(|| fields.entry("text"))?;
            cx.sink
                .error(
                    "conflict",
                    entry.key_span.clone(),
                    "a template brings its own subject and text",
                )
                .help("keep either `template`, or `subject` and `text`");
            None
        }
        (None, Some(subject), Some(text)) => {
            let subject_shape = cx.text_shape(subject, "subject", place);
            let literal = subject_shape.as_ref().and_then(Shape::literal);
            if let Some(Value::Text(literal)) = literal
                && literal.contains(['\r', '\n'])
            {
                cx.sink.error("header", subject.head(), "a subject is one line");
                return None;
            }
            let text = cx.text_shape(text, "text", place);
            Some(EmailBody::Inline { subject: subject_shape?, text: text? })
        }
        (None, subject, text) => {
            let there = fields.entry("email").map_or(0..0, |entry| entry.key_span.clone());
            let message = match (subject, text) {
                (Some(_), None) => "this mail has a `subject` and no `text`",
                (None, Some(_)) => "this mail has a `text` and no `subject`",
                _ => "this mail says nothing",
            };
            cx.sink
                .error("missing-key", there, message)
                .help("give it a `template`, or both `subject` and `text`");
            None
        }
    }
}

/// `template:` a literal name that must exist for this rule file.
pub(super) fn template_name(cx: &mut Cx<'_>, node: &Node) -> Option<Name> {
    let written = cx.sink.raw(node, "template")?;
    let local = written.rsplit('/').next().unwrap_or(written);
    let stem = local.split('.').next().unwrap_or(local);
    if stem != written && crate::model::is_name(stem) {
        cx.sink
            .error("bad-name", node.head(), format!("`{written}` names a file, not a template"))
            .help(format!(
                "write `{stem}`: its files are found in `templates/`, in every language"
            ));
        return None;
    }
    let name = cx.sink.name(node, "template")?;
    let file = cx.sink.file;
    if let Some(view) = cx.directory.and_then(|directory| directory.templates.of(&file.name))
        && let Some((message, help)) = view.missing(name)
    {
        cx.sink.error("unknown-template", node.head(), message).maybe_help(help);
        return None;
    }
    if let Slot::Vacant(slot) = cx.used.templates.entry(name.into()) {
        slot.insert(node.head());
    }
    Some(name.into())
}

/// Reports what a template reads of `vars`, `steps` and `args` that the rule does not have. `node` names the
/// template.
fn members(cx: &mut Cx<'_>, node: &Node, template: &str, args: Option<&Node>) {
    let file = cx.sink.file;
    let view = cx.directory.and_then(|directory| directory.templates.of(&file.name));
    let Some(view) = view else { return };
    for (source, member) in view.members(template) {
        let given = args.and_then(Node::entries);
        let (known, place, how): (Vec<&str>, _, &str) = match member.root.as_str() {
            "vars" => (
                cx.local.vars.iter().map(|name| &**name).collect(),
                node.head(),
                "the rule that uses this template has no such variable: set it in `vars`",
            ),
            "steps" => (
                cx.local.ids.keys().map(|id| &**id).collect(),
                node.head(),
                "the rule that uses this template has no step with this `id`",
            ),
            // Without its own, those that its caller passed.
            _ => match given {
                Some(entries) => (
                    entries.iter().map(|entry| entry.key.as_str()).collect(),
                    args.map_or_else(|| node.head(), Node::head),
                    "the step that uses this template does not pass it: add it to `args`",
                ),
                None => continue,
            },
        };
        if known.contains(&member.name.as_str()) {
            let of = match member.root.as_str() {
                "steps" => Of::Step,
                "vars" if cx.local.set_later.contains_key(&*member.name) => Of::Var,
                _ => continue,
            };
            if let Some(at) = cx.local.at {
                let (name, place) =
                    (member.name.as_str().into(), (source.clone(), member.span.clone()));
                cx.local.reads.push(Read {
                    of,
                    name,
                    at,
                    place,
                    used: Some(node.head()),
                    member: None,
                });
            }
            continue;
        }
        let near = suggest::nearest(&member.name, known.iter().copied());
        let help = near.map_or_else(
            || how.to_owned(),
            |near| format!("did you mean `{}.{near}`?", member.root),
        );
        let message = format!("there is no `{}.{}` here", member.root, member.name);
        cx.sink
            .error_in(source, "template-variable", member.span.clone(), message)
            .also(&file.name, place, "where it would come from")
            .help(help);
    }
}

fn locale(cx: &mut Cx<'_>, node: &Node, place: Place) -> Option<Shape> {
    let shape = cx.text_shape(node, "locale", place)?;
    if let Some(Value::Text(text)) = shape.literal()
        && !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    {
        cx.sink
            .error("locale", node.head(), format!("`{text}` is not a language tag"))
            .help("write `de`, or `de-AT`");
        return None;
    }
    Some(shape)
}

/// Named headers; those in `own` (lower case) are written by the daemon.
pub(super) fn headers(
    cx: &mut Cx<'_>,
    node: &Node,
    place: Place,
    own: &[&str],
) -> Option<Vec<(Text, Shape)>> {
    let entries = cx.sink.map(node, "headers")?;
    let mut fine = true;
    for entry in entries {
        let mut refuse = |span: Range<usize>, message: String, help: &str| {
            cx.sink.error("header", span, message).help(help);
            fine = false;
        };
        let name = &entry.key;
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            let message = format!("`{name}` cannot be the name of a header");
            refuse(entry.key_span.clone(), message, "letters, digits and `-`: `X-Campaign`");
        } else if own.contains(&name.to_lowercase().as_str()) {
            let message = format!("the header `{name}` is written by the daemon");
            refuse(
                entry.key_span.clone(),
                message,
                "leave it out, or use the field of the step that sets it",
            );
        }
        let breaks = |text: &str| text.contains(['\r', '\n']);
        if entry.value.scalar().is_some_and(|scalar| breaks(&scalar.text)) {
            let message = format!("the header `{name}` has a line break in it");
            refuse(entry.value.head(), message, "write it on one line");
        }
    }
    let shapes = cx.named(node, "headers", place)?;
    fine.then_some(shapes)
}
