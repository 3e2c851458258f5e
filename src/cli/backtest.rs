//! `adjutant backtest`: what other rules would have made of what has happened.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value as Json, json};

use super::client::{Client, part, with_query};
use super::rule_files::{self, Checked, config_or_fail};
use super::screen::{self, BAD, BOLD, DIM, Screen, cut, put, styled};
use super::{Exit, Failure, Globals};
use crate::api::wire;
use crate::daemon::{Clock, Config, last_good};
use crate::model::{Address, Draft, Duration, Instant, METRIC, Map, Name, Span, Text, Value};
use crate::rules::{Files, Look, RuleSet, render};
use crate::scenario::{self, Difference, Past, Replayed, Sent};

/// Events asked for at a time.
const PAGE: usize = 1_000;
/// How far back it looks by itself.
const SINCE: Span = Span::from_days(30);
/// Differences that are listed without `--all`.
const LISTED: usize = 20;
/// Characters of what was sent in a listing.
const SAID: usize = 120;
/// Events that are replayed at most: a few minutes' work, and some gigabytes.
const EVENTS: usize = 1_000_000;
/// Records that are remembered at most, for the same reason.
const RECORDS: usize = 200_000;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  adjutant backtest                              the rule files against the rules in force, last 30 days
  adjutant backtest --since 7d --rules drafts    another folder of rules
  adjutant backtest --since 2026-11-01T00:00:00Z --json
  adjutant events list --json > events.json && adjutant backtest --events events.json

The events that came from outside are taken from the daemon and replayed through both rule sets on virtual
time. Nothing is performed, and every receiver answers well. Records that are older than the first of these
events are there from the beginning; runs that were waiting then are not, and from a file come no records.")]
pub(super) struct Backtest {
    /// From when on: a duration such as `30d`, or an instant [default: 30d; of a file everything]
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// The candidate: folders of rules [default: those of the configuration]
    #[arg(long, value_name = "DIR")]
    rules: Vec<PathBuf>,
    /// Take the events from this file instead of the daemon: JSON as `events list` prints it
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// List every difference
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(
    backtest: Backtest,
    globals: &Globals,
    screen: &Screen,
) -> Result<Exit, Failure> {
    let config = config_or_fail(globals)?;
    let clock = Clock::start();
    let now = clock.wall();
    let since = match (&backtest.since, &backtest.events) {
        (Some(text), _) => since(text, now)?,
        (None, Some(_)) => Instant::MIN,
        (None, None) => now - SINCE,
    };
    let candidate = candidate(&backtest, &config)?;
    let (in_force, from) = in_force(&config)?;
    let stored = match &backtest.events {
        Some(file) => read(file)?,
        None => fetch(&Client::new(globals)?, since).await?,
    };
    let (events, numbers) = past(&stored, since);
    if stored.len() >= EVENTS {
        screen::warn(&format!("only the newest {EVENTS} events are replayed"));
    }
    let since = events.first().map_or(since, |first| since.max(first.at));
    let remembered = match &backtest.events {
        Some(_) => Remembered::default(),
        None => remembered(&Client::new(globals)?, since).await?,
    };
    if remembered.changed > 0 {
        screen::warn(&format!(
            "{} changed since then: taken as they are now",
            count(remembered.changed)
        ));
    }
    let bar = bar(2 * events.len() as u64);
    let nothing = RuleSet::empty().map(Arc::new);
    let nothing = nothing.map_err(|_| Failure::new(Exit::Failed, "no rules could be made"))?;
    let until =
        if backtest.events.is_some() { events.last().map_or(now, |last| last.at) } else { now };
    let tick = |events: u64| bar.inc(events);
    let play = |rules: &Arc<RuleSet>| {
        scenario::replay(rules, &nothing, &events, &remembered.records, until, &tick)
    };
    let (before, after) = std::thread::scope(|scope| {
        let before = scope.spawn(|| play(&in_force));
        let after = play(&candidate);
        (before.join(), after)
    });
    bar.finish_and_clear();
    let broken = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Failed, format!("the replay could not go on: {error}"))
    };
    let before = before.map_err(|_| broken(&"it broke off"))?.map_err(|error| broken(&error))?;
    let after = after.map_err(|error| broken(&error))?;
    let told = Told {
        before,
        after,
        numbers,
        events: events.len(),
        records: remembered.records.len(),
        changed: remembered.changed,
        since,
        until,
        from,
        took: clock.mono(),
    };
    let difference = scenario::compare(&told.before, &told.after);
    screen.show(&told.json(&difference), |screen| told.text(&difference, backtest.all, screen));
    Ok(Exit::Fine)
}

fn since(text: &str, now: Instant) -> Result<Instant, Failure> {
    let span = text.parse::<Duration>().ok().and_then(Duration::elapsed).map(|span| now - span);
    span.or_else(|| text.parse().ok()).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("`{text}` is neither a duration nor an instant"))
            .help("write `30d`, or `2026-11-01T00:00:00Z`")
    })
}

/// The rule set that is tried out.
fn candidate(backtest: &Backtest, config: &Config) -> Result<Arc<RuleSet>, Failure> {
    let folders = if backtest.rules.is_empty() { &config.rules } else { &backtest.rules };
    if let Some(missing) = folders.iter().find(|path| !path.exists()) {
        return Err(Failure::new(Exit::Usage, format!("there is no {}", missing.display())));
    }
    compiled(folders, config)
}

pub(super) fn compiled(folders: &[PathBuf], config: &Config) -> Result<Arc<RuleSet>, Failure> {
    let plugins = rule_files::plugins(config);
    let Checked { sources, rules, found } =
        rule_files::check(folders, &plugins, &rule_files::context(config));
    rules.map(Arc::new).ok_or_else(|| {
        let files = Files::of(sources.files());
        Failure::report(Exit::Failed, render(&found, &files, Look::Coloured))
    })
}

/// The rules in force, and where they are from: the daemon's own copy, or the files of the configuration.
fn in_force(config: &Config) -> Result<(Arc<RuleSet>, &'static str), Failure> {
    let context = rule_files::context(config);
    let kept = last_good::read(&config.data_dir)
        .and_then(|sources| RuleSet::compile(&sources, &context).ok())
        .map(|(rules, _)| Arc::new(rules));
    match kept {
        Some(rules) => Ok((rules, "the rules in force")),
        None => compiled(&config.rules, config).map(|rules| (rules, "the configured files")),
    }
}

/// The events of a file: a page, a list, or an object a line.
fn read(file: &std::path::Path) -> Result<Vec<wire::Event>, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::new(Exit::Usage, format!("{} cannot be read: {why}", file.display()))
    };
    let text = std::fs::read_to_string(file).map_err(|error| wrong(&error))?;
    if let Ok(page) = serde_json::from_str::<wire::Events>(&text) {
        return Ok(page.events);
    }
    if let Ok(list) = serde_json::from_str::<Vec<wire::Event>>(&text) {
        return Ok(list);
    }
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| serde_json::from_str(line).map_err(|error| wrong(&error))).collect()
}

/// The daemon's events since then, newest first.
async fn fetch(client: &Client, since: Instant) -> Result<Vec<wire::Event>, Failure> {
    let mut events: Vec<wire::Event> = Vec::new();
    let mut before: Option<u64> = None;
    let spinner = spinner();
    loop {
        let pairs =
            [("limit", Some(PAGE.to_string())), ("before", before.map(|no| no.to_string()))];
        let page = client.get::<wire::Events>(&with_query("/v1/events", &pairs)).await?.value;
        let old = page.events.iter().any(|event| is_before(event, since));
        events.extend(page.events);
        spinner.set_message(format!("{} events", events.len()));
        before = page.next;
        if old || before.is_none() || events.len() >= EVENTS {
            spinner.finish_and_clear();
            return Ok(events);
        }
    }
}

/// What there was before the first event.
#[derive(Default)]
struct Remembered {
    records: Vec<(Address, Map)>,
    /// How many of them were another thing then.
    changed: usize,
}

/// The daemon's records that are older than `since`. Of those that have changed since, it is not known what they
/// were: they count as they are now.
async fn remembered(client: &Client, since: Instant) -> Result<Remembered, Failure> {
    let spinner = spinner();
    let mut found = Remembered::default();
    let kinds = client.get::<wire::Kinds>("/v1/records").await?.value.kinds;
    // The daemon counts itself.
    for kind in kinds.iter().filter(|kind| *kind != METRIC) {
        let mut after = None;
        loop {
            let pairs = [("limit", Some(PAGE.to_string())), ("after", after)];
            let path = with_query(&format!("/v1/records/{}", part(kind)), &pairs);
            let page = client.get::<wire::Records>(&path).await?.value;
            for record in page.records {
                let at = |text: &str| text.parse::<Instant>().unwrap_or(Instant::MAX);
                let Ok(address) = Address::new(&record.kind, &record.id) else { continue };
                if at(&record.created) >= since {
                    continue;
                }
                found.changed += usize::from(at(&record.updated) >= since);
                let fields = record.fields.into_iter();
                let fields = fields.map(|(name, value)| (name.into(), Value::from_json(value)));
                found.records.push((address, fields.collect()));
            }
            spinner.set_message(format!("{} records", found.records.len()));
            after = page.next;
            if found.records.len() >= RECORDS {
                screen::warn(&format!("only the first {RECORDS} records are remembered"));
                return Ok(found);
            }
            if after.is_none() {
                break;
            }
        }
    }
    spinner.finish_and_clear();
    Ok(found)
}

fn count(records: usize) -> String {
    format!("{records} {}", if records == 1 { "record" } else { "records" })
}

fn is_before(event: &wire::Event, since: Instant) -> bool {
    event.accepted.parse::<Instant>().is_ok_and(|at| at < since)
}

/// Numbers of events and what they are, by source and id.
pub(super) type Numbers = HashMap<(Text, Text), (u64, String)>;

/// What came from outside, oldest first; and each event's number and what it is, by source and id.
pub(super) fn past(stored: &[wire::Event], since: Instant) -> (Vec<Past>, Numbers) {
    let mut numbers = Numbers::new();
    let mut events: Vec<(u64, Past)> = Vec::new();
    for event in stored.iter().filter(|event| !is_before(event, since)) {
        let outside = event.emitted_by.is_none() && !event.source.starts_with("adjutant");
        let Some(at) = event.accepted.parse::<Instant>().ok().filter(|_| outside) else { continue };
        let text = |text: &str| Text::from(text);
        let draft = Draft {
            id: text(&event.id),
            source: text(&event.source),
            kind: text(&event.r#type),
            subject: event.subject.as_deref().map(text),
            time: event.time.parse().ok(),
            data: Value::from_json(event.data.clone()),
            extensions: event
                .extensions
                .iter()
                .map(|(name, value)| (text(name), Value::from_json(value.clone())))
                .collect::<Map>(),
        };
        let what = format!("{} {}", event.r#type, event.subject.as_deref().unwrap_or("–"));
        numbers.insert((draft.source.clone(), draft.id.clone()), (event.no, what));
        events.push((event.no, Past { at, draft }));
    }
    events.sort_by_key(|(no, _)| *no);
    (events.into_iter().map(|(_, past)| past).collect(), numbers)
}

fn spinner() -> ProgressBar {
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
}

fn bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("replaying {wide_bar} {percent} %  {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Everything there is to tell.
struct Told {
    before: Replayed,
    after: Replayed,
    numbers: Numbers,
    events: usize,
    records: usize,
    changed: usize,
    since: Instant,
    until: Instant,
    from: &'static str,
    took: Span,
}

impl Told {
    /// Workflows with how often each began before and after.
    fn fired(&self) -> Vec<(&Name, usize, usize)> {
        let names: std::collections::BTreeSet<&Name> =
            self.before.fired.keys().chain(self.after.fired.keys()).collect();
        let count = |replayed: &Replayed, name| replayed.fired.get(name).copied().unwrap_or(0);
        names
            .into_iter()
            .map(|name| (name, count(&self.before, name), count(&self.after, name)))
            .collect()
    }

    fn cause(&self, sent: &Sent) -> Option<&(u64, String)> {
        self.numbers.get(sent.cause.as_ref()?)
    }

    fn text(&self, difference: &Difference, all: bool, screen: &Screen) -> String {
        let seconds = self.took.as_micros() as f64 / 1e6;
        let (since, until) =
            (screen.instant(&self.since.to_string()), screen.instant(&self.until.to_string()));
        let mut text = format!(
            "{} events from {since} to {until}, beginning with {}, replayed in {seconds:.1} s\n\n",
            styled(BOLD, self.events),
            count(self.records)
        );
        put(
            &mut text,
            format_args!(
                "runs begun            {:>10}  {:>10}\n",
                self.from.split(' ').next_back().unwrap_or(""),
                "candidate"
            ),
        );
        for (name, before, after) in self.fired() {
            let change = after as i64 - before as i64;
            let change =
                if change == 0 { String::new() } else { styled(BOLD, format_args!("{change:+}")) };
            put(&mut text, format_args!("  {name:20}{before:>10}  {after:>10}  {change}\n"));
        }
        let counts = [
            (difference.added.len(), "added"),
            (difference.gone.len(), "gone"),
            (difference.changed.len(), "changed"),
        ];
        let counts: Vec<String> =
            counts.iter().map(|(count, word)| format!("{count} {word}")).collect();
        put(&mut text, format_args!("\nmails, webhooks and failures: {}\n", counts.join(", ")));
        let most = if all { usize::MAX } else { LISTED };
        for (mark, list) in [("+", &difference.added), ("-", &difference.gone)] {
            for sent in list.iter().take(most) {
                text.push_str(&self.line(mark, sent, screen));
            }
            text.push_str(&more(list.len(), most));
        }
        for (sent, changes) in difference.changed.iter().take(most) {
            text.push_str(&self.line("~", sent, screen));
            for change in changes {
                put(&mut text, format_args!("      {change}\n"));
            }
        }
        text.push_str(&more(difference.changed.len(), most));
        text
    }

    fn line(&self, mark: &str, sent: &Sent, screen: &Screen) -> String {
        let mark = if sent.kind == "failed" { styled(BAD, mark) } else { styled(BOLD, mark) };
        let at = styled(DIM, screen.instant(&sent.at.to_string()));
        let cause = match self.cause(sent) {
            Some((no, what)) => format!("event {no} {what}"),
            None => "by time".to_owned(),
        };
        format!(
            "  {mark} {at}  {cause}  {}  {}\n",
            styled(BOLD, &sent.workflow),
            cut(&sent.say(), SAID)
        )
    }

    fn json(&self, difference: &Difference) -> Json {
        let sent = |sent: &Sent| {
            let cause = self.cause(sent);
            json!({
                "at": sent.at.to_string(),
                "workflow": &*sent.workflow,
                "kind": sent.kind,
                "event": cause.map(|(no, _)| no),
                "link": cause.map(|(no, _)| format!("/v1/events/{no}")),
                "sent": sent.say(),
            })
        };
        let fired: Vec<Json> = self
            .fired()
            .iter()
            .map(|(name, before, after)| json!({ "workflow": &***name, "in_force": before, "candidate": after }))
            .collect();
        let changed: Vec<Json> = difference
            .changed
            .iter()
            .map(|(one, changes)| {
                let mut one = sent(one);
                one["changes"] = json!(changes);
                one
            })
            .collect();
        json!({
            "events": self.events,
            "records": self.records,
            "records_as_they_are_now": self.changed,
            "since": self.since.to_string(),
            "until": self.until.to_string(),
            "millis": self.took.as_micros() / 1_000,
            "in_force": self.from,
            "fired": fired,
            "added": difference.added.iter().map(sent).collect::<Vec<_>>(),
            "gone": difference.gone.iter().map(sent).collect::<Vec<_>>(),
            "changed": changed,
        })
    }
}

fn more(count: usize, most: usize) -> String {
    if count > most {
        format!("    {}\n", styled(DIM, format_args!("and {} more: --all", count - most)))
    } else {
        String::new()
    }
}
