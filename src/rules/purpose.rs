//! `purpose:` documents: why a mail is sent, and the gate it passes.

use jiff::tz::TimeZone;

use crate::model::{Class, Duration, limits};

use super::calendar::zone;
use super::compile::{Cx, Place};
use super::keys;
use super::program::{Guard, MailCap, Purpose};
use super::yaml::Node;

/// The most mails a `guard` or a `cap` by the day may let through: a number beyond is no bound.
const MANY: i64 = 10_000_000;

/// Compiles a `purpose:` document.
pub(super) fn purpose(cx: &mut Cx<'_>, root: &Node) -> Option<Purpose> {
    let mistakes = cx.sink.errors();
    let table = keys::document("purpose")?.table.as_ref()?;
    let fields = cx.sink.fields(root, table)?;
    let name = fields.get("purpose").and_then(|node| cx.sink.name(node, "purpose"));
    let allow =
        fields.get("allow").and_then(|node| cx.condition(node, "allow", Place::PURPOSE, true));
    let unsubscribe =
        fields.get("unsubscribe").and_then(|node| cx.sink.boolean(node, "unsubscribe"));
    let quiet = fields.get("quiet").and_then(|node| {
        let text = cx.sink.raw(node, "quiet")?;
        let found = text.parse();
        if let Err(why) = &found {
            let message = format!("`quiet: {text}` is not a part of the day");
            cx.sink.error("calendar", node.head(), message).help(*why);
        }
        found.ok()
    });
    let zone = fields.get("zone").and_then(|node| time_zone(cx, node));
    let cap = fields.get("cap").and_then(|node| cap(cx, node));
    let guard = fields.get("guard").and_then(|node| guard(cx, node));
    let expires = fields.get("expires").and_then(|node| cx.elapsed(node, "expires"));
    let hold = fields.get("on_uncertain").and_then(|node| cx.on_uncertain(node));
    if let (Some(entry), None, false) =
        (fields.entry("zone"), fields.get("quiet"), cap.is_some_and(|cap| cap.per.is_none()))
    {
        cx.sink
            .error(
                "useless-key",
                entry.key_span.clone(),
                "nothing here goes by the recipient's clock",
            )
            .help("`zone` is for `quiet`, and for a `cap` with `per: day`");
    }
    if cx.sink.errors() > mistakes {
        return None;
    }
    let plain = plain(name?, cx.directory.map_or("", |directory| &directory.timezone));
    let unsubscribe = unsubscribe.unwrap_or(false);
    Some(Purpose {
        allow,
        unsubscribe,
        quiet,
        zone,
        cap,
        guard,
        expires: expires.map(Duration::Elapsed),
        hold_uncertain: hold.unwrap_or(false),
        class: if unsubscribe { Class::Bulk } else { plain.class },
        ..plain
    })
}

/// A purpose that says nothing. `home` is the configured time zone.
pub(super) fn plain(name: &str, home: &str) -> Purpose {
    Purpose {
        name: name.into(),
        allow: None,
        unsubscribe: false,
        quiet: None,
        zone: None,
        home: Some(home)
            .filter(|home| !home.is_empty())
            .and_then(|home| zone(home).ok())
            .unwrap_or(TimeZone::UTC),
        cap: None,
        guard: None,
        expires: None,
        hold_uncertain: false,
        class: Class::Normal,
    }
}

/// `zone:` a name, or a `${…}` that gives one.
fn time_zone(cx: &mut Cx<'_>, node: &Node) -> Option<crate::script::Shape> {
    let shape = cx.text_shape(node, "zone", Place::PURPOSE)?;
    if let Some(literal) = shape.literal()
        && let Err(error) = zone(&literal.to_string())
    {
        cx.sink.error("timezone", node.head(), error.message).maybe_help(error.help);
        return None;
    }
    Some(shape)
}

/// `cap: { max, per }`
fn cap(cx: &mut Cx<'_>, node: &Node) -> Option<MailCap> {
    let fields = cx.sink.fields(node, &keys::MAIL_CAP)?;
    let per = fields.get("per")?;
    let daily = per.scalar().is_some_and(|scalar| scalar.text == "day");
    let most = if daily { MANY } else { limits::WINDOW_TIMES as i64 };
    let max = fields.get("max").and_then(|node| cx.sink.whole(node, "max", 1..=most));
    let per = if daily { Some(None) } else { cx.elapsed(per, "per").map(Some) };
    Some(MailCap { max: u32::try_from(max?).ok()?, per: per? })
}

/// `guard: { max, per }`
fn guard(cx: &mut Cx<'_>, node: &Node) -> Option<Guard> {
    let fields = cx.sink.fields(node, &keys::GUARD)?;
    let max = fields.get("max").and_then(|node| cx.sink.whole(node, "max", 1..=MANY));
    let per = fields.get("per").and_then(|node| cx.elapsed(node, "per"));
    Some(Guard { max: u32::try_from(max?).ok()?, per: per? })
}
