//! The send gate: every mail passes it, again at each attempt. Its purpose decides for each recipient, in
//! this order: consent, suppression, cap, quiet hours; and then, for the mail as a whole, the guard.
//!
//! What it reads is live, so an objection stops mail that is queued already. A mail that may go later is
//! held until then; for one that may not go at all the run goes on without it.

use jiff::tz::TimeZone;

use crate::model::{
    APPROVED, ActionKind, Address, Cause, Effect, Instant, Map, Name, REJECTED, ReadError, Refusal,
    Reply, Run, RunNo, SUPPRESSION, Span, Text, Value, Window, WindowKey,
};
use crate::rules::{Guard, MailCap, Purpose, quiet};
use crate::script::{EvalError, Host as _, Scope, Test, suppression_id};

use super::alert;
use super::approval;
use super::decide;
use super::reads::Reads;
use super::records::{self, Changer};
use super::stage::Stage;
use super::start::Fault;
use super::time;
use super::watch::{GUARD, SENT, window_key};

/// How long what counts for caps is remembered after the day it counted on.
const FORGET: Span = Span::from_days(2);

/// How often mails over a guard look whether a person has decided.
const ASK_AGAIN: Span = Span::from_secs(300);

/// What the gate says.
pub(super) enum Gate {
    /// May be performed, with these fields: recipients that may not get it are left out.
    Open(Value),
    /// May not, and why.
    Shut(Text),
    /// May later.
    Hold(Hold),
}

/// Why a mail is not sent yet.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    /// When the gate is asked again.
    pub(super) until: Instant,
    /// `cap`, `quiet`.
    pub(super) reason: &'static str,
    /// In words.
    pub(super) why: Text,
}

/// Asks the gate about one attempt.
pub(super) fn pass(stage: &Stage<'_>, effect: &Effect) -> Result<Gate, Fault> {
    let Some(fields) = mail(effect) else { return Ok(Gate::Open(effect.params.clone())) };
    let purpose = purpose(stage, fields)?;
    let over = expiry(stage, purpose, effect.armed)?;
    if over.is_some_and(|over| over < stage.now) {
        return Ok(Gate::Shut("expired".into()));
    }
    let mut fields = fields.clone();
    let mut refused = None;
    let mut held: Option<Hold> = None;
    for field in ["to", "cc", "bcc"] {
        let Some(Value::List(recipients)) = fields.get_mut(field) else { continue };
        let mut allowed = Vec::with_capacity(recipients.len());
        for recipient in std::mem::take(recipients) {
            let asked = Recipient::of(stage, purpose, &recipient);
            if let Some(reason) = asked.refused()? {
                refused.get_or_insert(reason);
                continue;
            }
            // The day and its hours are those of the mail's recipients; copies go along.
            if field == "to"
                && let Some(hold) = asked.held(effect.attempts == 0)?
                && held.as_ref().is_none_or(|other| other.until < hold.until)
            {
                held = Some(hold);
            }
            allowed.push(recipient);
        }
        *recipients = allowed;
    }
    if matches!(fields.get("to"), Some(Value::List(to)) if to.is_empty()) {
        return Ok(Gate::Shut(refused.unwrap_or("not_allowed").into()));
    }
    if let Some(hold) = held {
        let late = over.is_some_and(|over| over < hold.until);
        return Ok(if late { Gate::Shut("expired".into()) } else { Gate::Hold(hold) });
    }
    if effect.attempts == 0
        && let Some(guarded) = guarded_hold(stage, purpose, effect.armed)?
    {
        return Ok(match guarded {
            Ok(hold) => Gate::Hold(hold),
            Err(reason) => Gate::Shut(reason),
        });
    }
    if purpose.unsubscribe {
        fields.insert("unsubscribe".into(), Value::Bool(true));
    }
    Ok(Gate::Open(Value::Map(fields)))
}

/// An attempt is started: the first one counts for the caps of its recipients.
pub(super) fn count(stage: &mut Stage<'_>, effect: &Effect, params: &Value) -> Result<(), Fault> {
    let (Some(_), Some(fields), 0) = (mail(effect), params.as_map(), effect.attempts) else {
        return Ok(());
    };
    let purpose = purpose(stage, fields)?;
    count_guarded(stage, purpose)?;
    let Some(MailCap { max, per }) = purpose.cap else { return Ok(()) };
    let Some(Value::List(to)) = fields.get("to") else { return Ok(()) };
    for recipient in to {
        let asked = Recipient::of(stage, purpose, recipient);
        let (key, now) = (asked.key(), stage.now);
        let mut window = stage.window(&key)?.unwrap_or_default();
        match per {
            None => {
                let today = asked.today()?;
                if window.times.first() != Some(&today.0) {
                    (window.times, window.count) = (vec![today.0], 0);
                }
                window.count += 1;
                window.due = Some(today.1 + FORGET);
            }
            Some(per) => {
                window.times.push(now);
                let many = window.times.len().saturating_sub(max as usize);
                window.times.drain(..many);
                window.due = Some(now + per);
            }
        }
        stage.put_window(key, Some(window))?;
    }
    Ok(())
}

/// The fields of a mail; nothing of what is none.
fn mail(effect: &Effect) -> Option<&Map> {
    effect.params.as_map().filter(|_| effect.action == ActionKind::Email)
}

fn purpose<'s>(stage: &Stage<'s>, fields: &Map) -> Result<&'s Purpose, Cause> {
    let name = fields.get("purpose").and_then(Value::as_text).unwrap_or_default();
    stage
        .rules
        .purposes
        .get(name)
        .ok_or_else(|| Cause::new("purpose", format!("there is no purpose `{name}` any more")))
}

/// When a mail is too old to be sent.
fn expiry(stage: &Stage<'_>, purpose: &Purpose, armed: Instant) -> Result<Option<Instant>, Cause> {
    purpose.expires.map(|expires| time::end_from(stage, armed, expires, None)).transpose()
}

/// Whether the guard of a purpose lets one more mail out, and else until when it is held.
fn guarded_hold(
    stage: &Stage<'_>,
    purpose: &Purpose,
    armed: Instant,
) -> Result<Option<Result<Hold, Text>>, Fault> {
    let Some(guard) = purpose.guard else { return Ok(None) };
    let window = stage.window(&guard_key(purpose))?.unwrap_or_default();
    let decided =
        |how: &str| matches!(window.last.get(how), Some(Value::Instant(at)) if armed <= *at);
    if decided(APPROVED) {
        return Ok(None);
    }
    if decided(REJECTED) {
        return Ok(Some(Err("guard".into())));
    }
    let asked = approval::is_open(stage, &approval::guard_id(&purpose.name))?;
    if !asked && sent_lately(stage, &window, guard) < u64::from(guard.max) {
        return Ok(None);
    }
    let why = format!("a person: more than {} of {} in {}", guard.max, purpose.name, guard.per);
    Ok(Some(Ok(Hold { until: stage.now + ASK_AGAIN, reason: "guard", why: why.into() })))
}

/// How many mails a purpose with a guard has let out in its present window.
fn sent_lately(stage: &Stage<'_>, window: &Window, guard: Guard) -> u64 {
    let began = window.times.first().copied();
    if began.is_some_and(|began| stage.now.since(began) < guard.per) { window.count } else { 0 }
}

/// How many more mails the guard of a purpose lets out at present; `None`: as many as there are.
pub(super) fn room(stage: &Stage<'_>, purpose: &str) -> Result<Option<u64>, ReadError> {
    let Some(purpose) = stage.rules.purposes.get(purpose) else { return Ok(None) };
    let Some(guard) = purpose.guard else { return Ok(None) };
    if approval::is_open(stage, &approval::guard_id(&purpose.name))? {
        return Ok(Some(0));
    }
    let window = stage.window(&guard_key(purpose))?.unwrap_or_default();
    Ok(Some(u64::from(guard.max).saturating_sub(sent_lately(stage, &window, guard))))
}

fn guard_key(purpose: &Purpose) -> WindowKey {
    window_key("", GUARD, Some(&purpose.name))
}

/// A mail goes out: it counts for the guard of its purpose.
fn count_guarded(stage: &mut Stage<'_>, purpose: &Purpose) -> Result<(), ReadError> {
    let Some(guard) = purpose.guard else { return Ok(()) };
    let key = guard_key(purpose);
    let mut window = stage.window(&key)?.unwrap_or_default();
    window.count = sent_lately(stage, &window, guard) + 1;
    if window.count == 1 {
        window.times = vec![stage.now];
    }
    stage.put_window(key, Some(window))
}

/// A person decided about the mails that the guard of a purpose holds.
pub(super) fn guarded(
    stage: &mut Stage<'_>,
    purpose: &str,
    approved: bool,
) -> Result<(), ReadError> {
    let key = window_key("", GUARD, Some(purpose));
    let mut window = stage.window(&key)?.unwrap_or_default();
    let how = if approved { APPROVED } else { REJECTED };
    window.last = Value::from([(how, Value::Instant(stage.now))]);
    // What goes out now was asked about; what comes then is counted anew.
    (window.times, window.count) = (Vec::new(), 0);
    stage.put_window(key, Some(window))
}

/// Somebody followed the link of a mail: no more of its purpose, from this commit on.
pub(super) fn unsubscribe(
    stage: &mut Stage<'_>,
    purpose: &Name,
    address: &str,
    run: RunNo,
) -> Result<Reply, ReadError> {
    let bare = bare(address);
    let Ok(place) = Address::new(SUPPRESSION, &suppression_id(&bare, purpose)) else {
        return Ok(Reply::Refused(Refusal::Invalid(format!("`{bare}` is no address"))));
    };
    let done = Reply::Done(Value::from([
        ("purpose", Value::Text(purpose.clone())),
        ("address", Value::from(bare.as_str())),
        ("status", "unsubscribed".into()),
    ]));
    // Following it twice is no mistake, and no news.
    if stage.record(&place)?.is_some() {
        return Ok(done);
    }
    let fields = Map::from([
        ("purpose".into(), Value::Text(purpose.clone())),
        ("address".into(), Value::from(bare.as_str())),
        ("reason".into(), "unsubscribed".into()),
        ("at".into(), Value::Instant(stage.now)),
    ]);
    let by = Text::from(bare.as_str());
    records::replace(stage, &Changer::Person(&by), place, fields);
    if let Some(run) = stage.run(run)? {
        let data = Value::from([
            ("purpose", Value::Text(purpose.clone())),
            ("address", Value::from(bare)),
        ]);
        alert::raise(stage, &run, "message.unsubscribed", data);
    }
    Ok(done)
}

/// Somebody of whom it is asked whether a mail may go there.
struct Recipient<'r, 's> {
    stage: &'r Stage<'s>,
    purpose: &'s Purpose,
    /// As the mail has it.
    written: &'r Value,
    /// The address alone, in lower case.
    address: String,
}

impl<'r, 's> Recipient<'r, 's> {
    fn of(stage: &'r Stage<'s>, purpose: &'s Purpose, written: &'r Value) -> Self {
        let address = bare(written.as_text().unwrap_or_default());
        Self { stage, purpose, written, address }
    }

    fn scope(&self) -> Scope {
        let mut scope = Scope::new(self.stage.now);
        // What is no text at all fails in words when the mail is rendered.
        let known = self.written.as_text().is_some();
        let address = Value::from(self.address.as_str());
        scope.set("recipient", if known { &address } else { self.written });
        scope
    }

    /// Why it never may.
    fn refused(&self) -> Result<Option<&'static str>, EvalError> {
        if let Some(allow) = &self.purpose.allow
            && allow.test(&self.scope(), &Reads(self.stage))? != Test::True
        {
            return Ok(Some("not_allowed"));
        }
        let out = self.purpose.unsubscribe
            && Reads(self.stage).suppressed(&self.address, &self.purpose.name)?;
        Ok(out.then_some("unsubscribed"))
    }

    /// Until when it may not. `counts`: it has not been counted yet.
    fn held(&self, counts: bool) -> Result<Option<Hold>, Fault> {
        let now = self.stage.now;
        if let (Some(cap), true) = (self.purpose.cap, counts)
            && let Some(hold) = self.over(cap)?
        {
            return Ok(Some(hold));
        }
        let Some(quiet) = self.purpose.quiet else { return Ok(None) };
        let zone = self.zone()?;
        Ok(quiet.end(now, &zone).map(|until| Hold {
            until,
            reason: "quiet",
            why: format!("quiet hours of {}", self.address).into(),
        }))
    }

    /// It has as many as it may.
    fn over(&self, cap: MailCap) -> Result<Option<Hold>, Fault> {
        let now = self.stage.now;
        let window = self.stage.window(&self.key())?.unwrap_or_default();
        let max = u64::from(cap.max);
        let (sent, until) = match cap.per {
            None => {
                let today = self.today()?;
                let sent = if window.times.first() == Some(&today.0) { window.count } else { 0 };
                (sent, today.1)
            }
            Some(per) => {
                let since = now - per;
                let sent: Vec<_> = window.times.iter().filter(|at| **at > since).collect();
                (sent.len() as u64, sent.first().map_or(now, |first| **first + per))
            }
        };
        Ok((sent >= max).then(|| Hold {
            until,
            reason: "cap",
            why: format!("{} has had {sent} of {}", self.address, self.purpose.name).into(),
        }))
    }

    /// What counts its mails.
    fn key(&self) -> WindowKey {
        window_key("", SENT, Some(&format!("{}/{}", self.purpose.name, self.address)))
    }

    fn today(&self) -> Result<(Instant, Instant), Fault> {
        let now = self.stage.now;
        Ok(quiet::day(now, &self.zone()?).unwrap_or((now, now + Span::from_days(1))))
    }

    /// Its time zone. One that is no zone is as good as none: nobody stays without mail for a slip in a
    /// contact's record.
    fn zone(&self) -> Result<TimeZone, EvalError> {
        let named = match &self.purpose.zone {
            Some(shape) => shape.eval(&self.scope(), &Reads(self.stage))?,
            None => Value::Null,
        };
        let found = named.as_text().and_then(|name| TimeZone::get(name).ok());
        Ok(found.unwrap_or_else(|| self.purpose.home.clone()))
    }
}

/// The address alone, in lower case: of `Ana <ANA@x.example>` it is `ana@x.example`.
pub(super) fn bare(written: &str) -> String {
    let inner = match (written.rfind('<'), written.trim_end().strip_suffix('>')) {
        (Some(open), Some(inner)) => inner.get(open + 1..).unwrap_or(inner),
        _ => written,
    };
    inner.trim().to_lowercase()
}

/// The result of a mail that was not sent, announced as the event `message.suppressed`.
pub(super) fn suppressed(stage: &mut Stage<'_>, run: &Run, reason: &Text) -> Value {
    announce(stage, run, "message.suppressed", reason, None);
    Value::from([("suppressed", Value::Text(reason.clone()))])
}

/// A mail that is held is announced, so that rules and people can know: over a cap as suppressed for now.
pub(super) fn held(stage: &mut Stage<'_>, run: &Run, hold: &Hold) -> Result<(), Fault> {
    let fields = run.effect().and_then(|effect| effect.params.get("purpose"));
    if let ("guard", Some(Value::Text(purpose))) = (hold.reason, fields) {
        let summary = format!("Mail of the purpose {purpose} waits for {}", hold.why);
        decide::hold_mails(stage, run, purpose, summary)?;
    }
    let kind = if hold.reason == "cap" { "message.suppressed" } else { "message.held" };
    announce(stage, run, kind, &hold.reason.into(), Some(hold.until));
    Ok(())
}

fn announce(stage: &mut Stage<'_>, run: &Run, kind: &str, reason: &Text, until: Option<Instant>) {
    let mut data = Map::new();
    data.insert("reason".into(), Value::Text(reason.clone()));
    if let Some(until) = until {
        data.insert("until".into(), Value::Instant(until));
    }
    if let Some(fields) = run.effect().and_then(|effect| effect.params.as_map()) {
        for field in ["to", "purpose", "template"] {
            if let Some(value) = fields.get(field) {
                data.insert(field.into(), value.clone());
            }
        }
    }
    alert::raise(stage, run, kind, Value::Map(data));
}
