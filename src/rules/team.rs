//! `team:` documents, and the `pick:` step.

use crate::model::{Address, PERSON, Text, limits};

use super::compile::{Cx, Place};
use super::decode::Fields;
use super::directory::Sort;
use super::keys;
use super::program::{Action, Member, MemberCap, Team};
use super::yaml::{Kind, Node};

/// Members of a team: all of them are looked at for each pick.
const MEMBERS: usize = 200;
/// The heaviest member: a hundred turns for each of another's.
const WEIGHT: i64 = 100;

/// Compiles a `team:` document; `None` if anything is wrong with it, which is reported.
pub(super) fn team(cx: &mut Cx<'_>, root: &Node) -> Option<Team> {
    let mistakes = cx.sink.errors();
    let table = keys::document("team")?.table.as_ref()?;
    let fields = cx.sink.fields(root, table)?;
    let name = fields.get("team").and_then(|node| cx.sink.name(node, "team"));
    let available = fields
        .get("available")
        .and_then(|node| cx.condition(node, "available", Place::TEAM, false));
    let active = fields.get("active").and_then(|node| cx.expression(node, "active", Place::TEAM));
    let fallback = fields.get("fallback").and_then(|node| person(cx, node, "fallback"));
    let entries = fields.get("members").and_then(|node| cx.sink.map(node, "members"));
    let mut members = Vec::new();
    for entry in entries.unwrap_or_default() {
        if let Err(error) = Address::new(PERSON, &entry.key) {
            cx.sink.error("address", entry.key_span.clone(), error.to_string());
        }
        let counts = fields.get("active").is_some();
        if let Some((weight, cap)) = member(cx, &entry.value, counts) {
            members.push(Member { id: Text::from(entry.key.as_str()), weight, cap });
        }
    }
    if let Some(entries) = entries.filter(|all| all.is_empty() || all.len() > MEMBERS) {
        let message = format!("a team has between 1 and {MEMBERS} members, not {}", entries.len());
        let place = fields.get("members").map_or_else(|| root.head(), Node::head);
        cx.sink.error("out-of-range", place, message);
    }
    if cx.sink.errors() > mistakes {
        return None;
    }
    Some(Team { name: name?.into(), members, available, active, fallback: fallback? })
}

/// Weight and caps of a member.
fn member(cx: &mut Cx<'_>, node: &Node, counts: bool) -> Option<(u32, MemberCap)> {
    let fields = cx.sink.fields(node, &keys::MEMBER)?;
    let weight = match fields.get("weight") {
        Some(node) => cx.sink.whole(node, "weight", 1..=WEIGHT)?,
        None => 1,
    };
    let mut cap = MemberCap::default();
    if let Some(node) = fields.get("cap") {
        let caps = cx.sink.fields(node, &keys::MEMBER_CAP)?;
        // Each pick that counts is remembered with its instant.
        let most = limits::WINDOW_TIMES as i64;
        let mut read = |key: &str, most: i64| {
            let number = cx.sink.whole(caps.get(key)?, key, 1..=most)?;
            u32::try_from(number).ok()
        };
        cap = MemberCap {
            hour: read("hour", most),
            day: read("day", most),
            active: read("active", i64::from(u32::MAX)),
        };
        if let (Some(entry), false) = (caps.entry("active"), counts) {
            let message = "nothing says how much a member has to do";
            cx.sink.error("missing-key", entry.key_span.clone(), message).help(
                "add `active:` to the team: `active: records(\"lead\", \"owner\", member).len()`",
            );
        }
    }
    Some((u32::try_from(weight).unwrap_or(1), cap))
}

/// The id of a person, as it is written.
fn person(cx: &mut Cx<'_>, node: &Node, what: &str) -> Option<Text> {
    let text = cx.sink.raw(node, what)?.trim();
    let id = text.strip_prefix("person:").unwrap_or(text);
    if id.contains("${") || id.contains('@') {
        cx.sink
            .error("recipient", node.head(), format!("`{what}` names one person"))
            .help("write the id of a `person` record");
        return None;
    }
    match Address::new(PERSON, id) {
        Ok(_) => Some(id.into()),
        Err(error) => {
            cx.sink.error("address", node.head(), error.to_string());
            None
        }
    }
}

/// `pick:` with `except`.
pub(super) fn pick(
    cx: &mut Cx<'_>,
    team: &Node,
    fields: Fields<'_>,
    place: Place,
) -> Option<Action> {
    let team = cx.reference(team, "pick", Sort::Team);
    let except = match fields.get("except") {
        Some(node) if matches!(node.kind, Kind::Map(_)) => {
            cx.sink.wrong(node, "except", "ids of people: a list of them");
            return None;
        }
        Some(node) => Some(cx.shape(node, place)?),
        None => None,
    };
    Some(Action::Pick { team: team?, except })
}

/// The team of a recipient `team:NAME`, which must exist. Its name is literal, so that it can be.
pub(super) fn recipient(cx: &mut Cx<'_>, node: &Node, name: &str) -> Option<()> {
    let name = name.trim();
    if name.contains("${") {
        cx.sink
            .error("not-literal", node.head(), "the name of a team cannot be computed")
            .help("names are checked when the rules are loaded; use `switch` to choose");
        return None;
    }
    cx.known(node, name, Sort::Team).then_some(())
}
