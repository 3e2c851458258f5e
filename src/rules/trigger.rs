//! What starts a workflow: `event`, `record … becomes`, `webhook`, `files`, `poll`, `schedule`, `count`,
//! `absent`.

use crate::model::{Digest, Duration, FileGlob, Pattern, Text, is_name, limits};
use crate::script::Shape;

use super::compile::{Cx, Place};
use super::decode::Fields;
use super::filters;
use super::keys;
use super::program::{Filter, FilterSubject, Kept, Poll, Trigger, TriggerKind};
use super::schedule::{CatchUp, Schedule, ScheduleError};
use super::step_plugin::{self, Wanted};
use super::suggest;
use super::yaml::{Kind, Node};

/// One trigger of a workflow. `hours` is the workflow's calendar.
pub(super) fn trigger(cx: &mut Cx<'_>, node: &Node) -> Option<Trigger> {
    let main = node
        .entries()
        .and_then(|entries| entries.iter().find(|entry| keys::trigger(&entry.key).is_some()));
    let Some(main) = main else {
        let mains = || keys::TRIGGERS.iter().map(|kind| kind.main);
        let misspelt = node.entries().into_iter().flatten().find_map(|entry| {
            let near = suggest::nearest(&entry.key, mains())?;
            (keys::TRIGGER.key(&entry.key).is_none()).then_some((entry, near))
        });
        match misspelt {
            Some((entry, near)) => {
                let message = format!("there is no trigger `{}`", entry.key);
                cx.sink
                    .error("unknown-key", entry.key_span.clone(), message)
                    .help(format!("did you mean `{near}`?"));
            }
            // Says what is wrong with it, and that it needs `event`.
            None => drop(filters::fields_of(cx, node, &keys::TRIGGER)),
        }
        return None;
    };
    let Some(table) = keys::trigger(&main.key).and_then(|kind| kind.table.as_ref()) else {
        cx.sink.later(main.key_span.clone(), &main.key);
        return None;
    };
    let fields = filters::fields_of(cx, node, table)?;
    match main.key.as_str() {
        "schedule" => schedule(cx, fields),
        "count" => count(cx, fields),
        "absent" => absent(cx, fields),
        "webhook" => webhook(cx, fields),
        "files" => files(cx, fields),
        "poll" => poll(cx, fields),
        #[cfg(test)]
        "nth" => nth(cx, fields),
        _ => event(cx, fields),
    }
}

/// `event:` or `record:`
fn event(cx: &mut Cx<'_>, fields: Fields<'_>) -> Option<Trigger> {
    let filter = filters::filter(cx, fields, Place::TRIGGER);
    let own = own(cx, fields)?;
    Some(Trigger { filter: filter?, own, kind: TriggerKind::Event })
}

fn own(cx: &mut Cx<'_>, fields: Fields<'_>) -> Option<bool> {
    fields.get("own").map_or(Some(false), |node| cx.sink.boolean(node, "own"))
}

/// `webhook: NAME`, which is short for the events it makes.
fn webhook(cx: &mut Cx<'_>, fields: Fields<'_>) -> Option<Trigger> {
    let node = fields.get("webhook")?;
    let name = cx.sink.name(node, "webhook");
    let filter = of_kind(cx, fields, format!("webhook.{}", name.unwrap_or_default()).into());
    let name = name?;
    let unknown = cx.directory.is_some_and(|directory| !directory.hooks.contains(name));
    if unknown {
        let message = format!("nothing arrives at `/hooks/{name}`: it is not configured");
        cx.sink.warning("unknown-hook", node.head(), message).help(format!(
            "add it to the configuration: `http: {{ hooks: [{{ path: {name}, verify: … }}] }}`"
        ));
    }
    Some(Trigger { filter: filter?, own: false, kind: TriggerKind::Event })
}

/// `files: GLOB`, and the events that rows become.
fn files(cx: &mut Cx<'_>, fields: Fields<'_>) -> Option<Trigger> {
    let node = fields.get("files")?;
    let text = cx.sink.raw(node, "files")?;
    let glob = match FileGlob::parse(text) {
        Ok(glob) => glob,
        Err((message, help)) => {
            cx.sink.error("files", node.head(), message).help(help);
            return None;
        }
    };
    let filter = of_kind(cx, fields, glob.kind())?;
    Some(Trigger { filter, own: false, kind: TriggerKind::Files(glob) })
}

/// Events of one type, as `where` and `subject` choose among them.
fn of_kind(cx: &mut Cx<'_>, fields: Fields<'_>, kind: Text) -> Option<Filter> {
    let (condition, subject) = filters::qualifiers(cx, fields, Place::TRIGGER);
    let patterns = vec![Pattern::Exact(kind)];
    Some(Filter { patterns, condition: condition.ok()?, subject: subject?, becomes: None })
}

/// `poll: FUNCTION` with `every`, and the events it makes.
fn poll(cx: &mut Cx<'_>, fields: Fields<'_>) -> Option<Trigger> {
    let node = fields.get("poll")?;
    let function = cx.sink.raw(node, "poll")?;
    for arity in [1, 2] {
        let arity = Some(arity);
        let wanted = Wanted { what: "poll", prefix: "", name: function, arity };
        step_plugin::defined(cx, node, wanted)?;
    }
    let every = fields.get("every").and_then(|node| {
        let every = cx.elapsed(node, "every")?;
        if every >= limits::POLL_EVERY_LEAST {
            return Some(every);
        }
        let least = Duration::Elapsed(limits::POLL_EVERY_LEAST);
        cx.sink
            .error("out-of-range", node.head(), format!("`every` is at least {least}"))
            .help("where something must be known sooner, let it send a webhook");
        None
    });
    let kind = Text::from(format!("poll.{function}"));
    let filter = of_kind(cx, fields, kind)?;
    // The cursor is the function's: it stays when anything else about the trigger changes.
    let id = Text::from(format!("poll:{function}"));
    let poll = Poll { function: function.into(), every: every?, id };
    Some(Trigger { filter, own: false, kind: TriggerKind::Poll(poll) })
}

/// `schedule:` with `timezone`.
fn schedule(cx: &mut Cx<'_>, fields: Fields<'_>) -> Option<Trigger> {
    let node = fields.get("schedule")?;
    let cron = cx.sink.raw(node, "schedule")?;
    let hours = fields.get("hours").and_then(|node| cx.hours(node));
    let catchup = match fields.get("catchup") {
        None => Some(CatchUp::Last),
        Some(node) => {
            let word = cx.sink.raw(node, "catchup")?;
            let choices = [("none", CatchUp::None), ("last", CatchUp::Last), ("all", CatchUp::All)];
            cx.choice(node, "catchup", word, &choices)
        }
    };
    let zone = fields.get("timezone")?;
    let timezone = cx.sink.raw(zone, "timezone")?;
    let schedule = match Schedule::parse(cron, timezone, hours, catchup?) {
        Ok(schedule) => schedule,
        Err(ScheduleError::Zone(message)) => {
            cx.sink
                .error("timezone", zone.head(), message)
                .help("write a name of the IANA database, such as `Europe/Berlin` or `UTC`");
            return None;
        }
        Err(ScheduleError::Cron(message)) => {
            let why = message.trim_start_matches("Invalid pattern: ").trim_end_matches('.');
            let message = format!("`{cron}` is not a schedule: {why}");
            cx.sink.error("schedule", node.head(), message).help(
                "five fields: minute, hour, day of the month, month, day of the week; `0 9 * * 1-5` \
                 is 09:00 from Monday to Friday",
            );
            return None;
        }
        Err(ScheduleError::Never) => {
            cx.sink
                .error("schedule", node.head(), format!("`{cron}` is never due"))
                .help("is there such a day in such a month?");
            return None;
        }
    };
    Some(Trigger { filter: nothing(), own: false, kind: TriggerKind::Schedule(schedule) })
}

/// No event at all.
fn nothing() -> Filter {
    Filter { patterns: Vec::new(), condition: None, subject: FilterSubject::Any, becomes: None }
}

/// `count:` with `by`, `at_least` and `within`.
fn count(cx: &mut Cx<'_>, fields: Fields<'_>) -> Option<Trigger> {
    let filter = counted(cx, fields, "count");
    let by = by(cx, fields);
    let at_least = fields
        .get("at_least")
        .and_then(|node| cx.sink.whole(node, "at_least", 1..=limits::WINDOW_TIMES as i64));
    let within = fields.get("within").and_then(|node| cx.elapsed(node, "within"));
    let id = id("count", fields);
    let own = own(cx, fields)?;
    let kept = Kept { by: by?, id };
    let kind = TriggerKind::Count { kept, at_least: at_least? as u32, within: within? };
    Some(Trigger { filter: filter?, own, kind })
}

/// `nth:` with `by` and `n`: the example of `ARCHITECTURE.md`.
#[cfg(test)]
fn nth(cx: &mut Cx<'_>, fields: Fields<'_>) -> Option<Trigger> {
    let filter = counted(cx, fields, "nth");
    let by = by(cx, fields);
    let n = fields.get("n").and_then(|node| cx.sink.whole(node, "n", 1..=1_000_000));
    let kept = Kept { by: by?, id: id("nth", fields) };
    let kind = TriggerKind::Nth { kept, n: n?.unsigned_abs() };
    Some(Trigger { filter: filter?, own: false, kind })
}

/// `absent:` with `by` and `for`.
fn absent(cx: &mut Cx<'_>, fields: Fields<'_>) -> Option<Trigger> {
    let filter = counted(cx, fields, "absent");
    let by = by(cx, fields);
    let hours = fields.get("hours").and_then(|node| cx.hours(node));
    let after = fields.get("for").and_then(|node| cx.duration(node, "for", hours.as_ref()));
    let id = id("absent", fields);
    let own = own(cx, fields)?;
    let kept = Kept { by: by?, id };
    Some(Trigger { filter: filter?, own, kind: TriggerKind::Absent { kept, after: after?, hours } })
}

/// The events that `count` or `absent` looks at.
fn counted(cx: &mut Cx<'_>, fields: Fields<'_>, what: &str) -> Option<Filter> {
    let patterns = fields.get(what).and_then(|node| filters::patterns(cx, node, what));
    let condition = match fields.get("where") {
        Some(node) => Some(cx.condition(node, "where", Place::TRIGGER, true)?),
        None => None,
    };
    Some(Filter { patterns: patterns?, condition, subject: FilterSubject::Any, becomes: None })
}

fn by(cx: &mut Cx<'_>, fields: Fields<'_>) -> Option<Shape> {
    let node = fields.get("by")?;
    let text = cx.sink.raw(node, "by")?;
    // `by: event.subject` is what people write first, and would be one key for everybody.
    if !text.contains("${") {
        cx.sink
            .error("not-computed", node.head(), format!("`by: {text}` is the same for every event"))
            .help(format!("write `by: ${{{text}}}`"));
        return None;
    }
    cx.text_shape(node, "by", Place::TRIGGER)
}

/// Tells a trigger from others, and from what it was before it was changed: what it says.
fn id(kind: &str, fields: Fields<'_>) -> Text {
    let said: Vec<String> = fields
        .entries()
        .iter()
        .map(|entry| format!("{}={}", entry.key, words(&entry.value)))
        .collect();
    format!("{kind}:{}", Digest::of(&[said.join("\n").as_bytes()])).into()
}

fn words(node: &Node) -> String {
    match &node.kind {
        Kind::Broken => String::new(),
        Kind::Scalar(scalar) => scalar.text.clone(),
        Kind::List(items) => items.iter().map(words).collect::<Vec<_>>().join(","),
        Kind::Map(entries) => {
            let pairs =
                entries.iter().map(|entry| format!("{}:{}", entry.key, words(&entry.value)));
            pairs.collect::<Vec<_>>().join(",")
        }
    }
}

/// `record: KIND` with `becomes`, the same in triggers and in running workflows: a change of a record is
/// an event of the kind, and `becomes` asks the old and the new record.
pub(super) fn becomes(cx: &mut Cx<'_>, fields: Fields<'_>, place: Place) -> Option<Filter> {
    let node = fields.get("record")?;
    let kind = cx.sink.raw(node, "record")?;
    if !is_name(kind) {
        let help = match kind.split_once('/') {
            Some((kind, _)) if is_name(kind) => {
                format!("write `record: {kind}`; whose is said by `subject`")
            }
            _ => "write the kind, such as `lead`".to_owned(),
        };
        let message = format!("`{kind}` is not a kind of records");
        cx.sink.error("bad-name", node.head(), message).help(help);
        return None;
    }
    let condition = match fields.get("becomes") {
        Some(node) => cx.condition(node, "becomes", Place::RECORD, true),
        // Said already: it must be there.
        None => None,
    };
    let (also, subject) = filters::qualifiers(cx, fields, place);
    cx.used.kinds.insert(kind.into());
    Some(Filter {
        patterns: vec![Pattern::Exact(format!("record.{kind}").into())],
        condition: also.ok()?,
        subject: subject?,
        becomes: Some(condition?),
    })
}
