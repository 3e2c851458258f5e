//! Stored values of every shape, made from a seed: what the codec and the state are tested with.
//!
//! The `..._kind` functions have no default arm: a new variant of a stored type does not compile
//! until it is counted here, and then it is made and tested.

use std::collections::BTreeMap;

use crate::model::{
    ActionKind, Address, Arm, ArmRole, ArmSubject, Branch, Cause, Class, Code, Digest, Effect,
    EffectKey, EffectState, Event, EventNo, Failing, Instant, Join, Ladder, Lineage, Map, Name,
    Parent, Pattern, Record, Redo, Run, RunNo, Span, Status, StoredEvent, Task, Text, Trace,
    TraceEntry, Value, Verdict, Wait, Window,
};

/// Numbers from a seed: `SplitMix64` (Steele, Lea, Flood 2014).
pub(super) struct Samples(u64);

/// Words that look like those of rules, and some that are unkind.
const WORDS: [&str; 10] =
    ["", "lead", "lead.created", "a", "a b", "ab", "é", "\u{1F980}", "42", "x\0y\u{7f}\"'"];

pub(super) const WAITS: usize = 9;
pub(super) const TRACES: usize = 22;
pub(super) const TASKS: usize = 15;
pub(super) const VALUES: usize = 9;
pub(super) const CODES: usize = 15;

fn wait_kind(wait: &Wait) -> usize {
    match wait {
        Wait::Ready => 0,
        Wait::Slot => 1,
        Wait::Until(_) => 2,
        Wait::Event(_) => 3,
        Wait::Child(..) => 4,
        Wait::Effect(_) => 5,
        Wait::Over => 6,
        Wait::Join(_) => 7,
        Wait::Rest(_) => 8,
    }
}

fn trace_kind(trace: &Trace) -> usize {
    match trace {
        Trace::Began(_) => 0,
        Trace::Queued => 1,
        Trace::Done(_) => 2,
        Trace::Skipped(_) => 3,
        Trace::Branch(_) => 4,
        Trace::Waiting(..) => 5,
        Trace::Woken(_) => 6,
        Trace::TimedOut => 7,
        Trace::Attempt(..) => 8,
        Trace::Retrying(..) => 9,
        Trace::Repeated(..) => 10,
        Trace::Held(..) => 11,
        Trace::Suppressed(_) => 12,
        Trace::Called(_) => 13,
        Trace::Returned(..) => 14,
        Trace::Level(_) => 15,
        Trace::Acknowledged(_) => 16,
        Trace::Resolved(_) => 17,
        Trace::Failed(..) => 18,
        Trace::Operator(_) => 19,
        Trace::Ended(..) => 20,
        Trace::Moved(_) => 21,
    }
}

fn task_kind(task: &Task) -> usize {
    match task {
        Task::Wake { .. } => 0,
        Task::Start { .. } => 1,
        Task::Advance { .. } => 2,
        Task::Promote { .. } => 3,
        Task::SweepEvents { .. } => 4,
        Task::SweepRuns { .. } => 5,
        Task::Reindex { .. } => 6,
        Task::Closed { .. } => 7,
        Task::Fan { .. } => 8,
        Task::Orphans { .. } => 9,
        Task::Windows { .. } => 10,
        Task::Queues { .. } => 11,
        Task::Erase { .. } => 12,
        Task::SweepRecords { .. } => 13,
        Task::Orphaned { .. } => 14,
    }
}

fn value_kind(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(_) => 2,
        Value::Float(_) => 3,
        Value::Text(_) => 4,
        Value::List(_) => 5,
        Value::Map(_) => 6,
        Value::Instant(_) => 7,
        Value::Span(_) => 8,
    }
}

fn code_kind(code: Code) -> usize {
    match code {
        Code::Fired => 0,
        Code::Queued => 1,
        Code::Where => 2,
        Code::If => 3,
        Code::Busy => 4,
        Code::Own => 5,
        Code::Error => 6,
        Code::Woke => 7,
        Code::Exited => 8,
        Code::Resolved => 9,
        Code::Throttled => 10,
        Code::Rested => 11,
        Code::Noted => 12,
        Code::Storm => 13,
        Code::Again => 14,
    }
}

impl Samples {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) const fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound as u64) as usize
    }

    pub(super) const fn coin(&mut self) -> bool {
        self.number().is_multiple_of(2)
    }

    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    pub(super) fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.coin().then(|| make(self))
    }

    pub(super) fn some<T>(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }

    /// Small numbers, and now and then the ends of the range.
    fn size(&mut self) -> u64 {
        match self.below(8) {
            0 => u64::MAX,
            1 => self.number(),
            _ => self.below(300) as u64,
        }
    }

    pub(super) fn text(&mut self) -> Text {
        if self.below(16) == 0 {
            return "long ".repeat(self.below(300)).into();
        }
        self.pick(&WORDS).into()
    }

    pub(super) fn instant(&mut self) -> Instant {
        match self.below(8) {
            0 => Instant::MIN,
            1 => Instant::MAX,
            _ => Instant::from_micros(self.number() as i64 >> 12),
        }
    }

    pub(super) fn value(&mut self, kind: usize, depth: usize) -> Value {
        let inner = |s: &mut Self| {
            let kind = s.below(VALUES);
            // Lists and objects end somewhere.
            let kind = if depth == 0 && (5..7).contains(&kind) { 0 } else { kind };
            s.value(kind, depth.saturating_sub(1))
        };
        let value = match kind {
            0 => Value::Null,
            1 => Value::Bool(self.coin()),
            2 => Value::Int(self.size() as i64),
            // Every finite number, and what is infinite; not what is unequal to itself.
            3 => {
                let float = f64::from_bits(self.number());
                Value::Float(if float.is_nan() { -0.0 } else { float })
            }
            4 => Value::Text(self.text()),
            5 => Value::List(self.some(3, inner)),
            6 => Value::Map(self.some(3, |s| (s.text(), inner(s))).into_iter().collect()),
            7 => Value::Instant(self.instant()),
            _ => Value::Span(Span::from_micros(self.size() as i64)),
        };
        assert_eq!(value_kind(&value), kind);
        value
    }

    pub(super) fn any_value(&mut self) -> Value {
        let kind = self.below(VALUES);
        self.value(kind, 3)
    }

    pub(super) fn map(&mut self) -> Map {
        self.some(3, |s| (s.text(), s.any_value())).into_iter().collect()
    }

    fn digest(&mut self) -> Digest {
        Digest(((u128::from(self.number()) << 64) | u128::from(self.number())).to_be_bytes())
    }

    fn cause(&mut self) -> Cause {
        Cause::new(self.text(), self.text())
    }

    pub(super) fn status(&mut self) -> Status {
        self.pick(&[
            Status::Queued,
            Status::Active,
            Status::Done,
            Status::Failed,
            Status::Cancelled,
        ])
    }

    fn pattern(&mut self) -> Pattern {
        if self.coin() { Pattern::Exact(self.text()) } else { Pattern::Prefix(self.text()) }
    }

    fn arm(&mut self) -> Arm {
        let exit = ArmRole::Exit(self.size() as u16);
        let is = ArmSubject::Is(self.text());
        Arm {
            role: self.pick(&[ArmRole::Wait, exit, ArmRole::Resolve]),
            patterns: self.some(2, Self::pattern),
            subject: self.pick(&[is, ArmSubject::None, ArmSubject::Any]),
        }
    }

    pub(super) fn effect(&mut self) -> Effect {
        let states = [
            EffectState::Pending,
            EffectState::Backoff { until: self.instant() },
            EffectState::Started { at: self.instant() },
            EffectState::Held,
        ];
        Effect {
            key: EffectKey(self.digest()),
            action: self.pick(&[ActionKind::Email, ActionKind::Webhook]),
            lane: self.text(),
            class: self.pick(&[Class::Urgent, Class::Normal, Class::Bulk]),
            params: self.any_value(),
            armed: self.instant(),
            attempts: self.size() as u16,
            generation: self.size() as u16,
            uncertain: self.pick(&[false, true]),
            state: self.pick(&states),
        }
    }

    fn join(&mut self) -> Join {
        Join {
            until: self.maybe(Self::instant),
            of: self.size() as u32,
            only: self.some(3, |s| s.size() as u32),
            total: self.size() as u32,
            begun: self.size() as u32,
            running: self.size() as u32,
            failed: self.some(3, |s| (s.size() as u32, s.cause())),
            held: self.coin(),
            fanning: self.coin(),
        }
    }

    pub(super) fn wait(&mut self, kind: usize) -> Wait {
        let wait = match kind {
            0 => Wait::Ready,
            1 => Wait::Slot,
            2 => Wait::Until(self.instant()),
            3 => Wait::Event(self.instant()),
            4 => Wait::Child(RunNo(self.size()), self.maybe(Self::instant)),
            5 => Wait::Effect(Box::new(self.effect())),
            6 => Wait::Over,
            7 => Wait::Join(Box::new(self.join())),
            _ => Wait::Rest(self.instant()),
        };
        assert_eq!(wait_kind(&wait), kind);
        wait
    }

    pub(super) fn trace(&mut self, kind: usize) -> Trace {
        let (attempt, key) = (self.size() as u16, EffectKey(self.digest()));
        let trace = match kind {
            0 => Trace::Began(EventNo(self.size())),
            1 => Trace::Queued,
            2 => Trace::Done(self.text()),
            3 => Trace::Skipped(self.text()),
            4 => Trace::Branch(self.text()),
            5 => Trace::Waiting(self.text(), self.maybe(Self::instant)),
            6 => Trace::Woken(EventNo(self.size())),
            7 => Trace::TimedOut,
            8 => Trace::Attempt(attempt, key),
            9 => Trace::Retrying(attempt, self.cause(), self.instant()),
            10 => Trace::Repeated(attempt, self.cause()),
            11 => Trace::Held(attempt, self.cause()),
            12 => Trace::Suppressed(self.text()),
            13 => Trace::Called(RunNo(self.size())),
            14 => Trace::Returned(RunNo(self.size()), self.status()),
            15 => Trace::Level(self.size() as u32),
            16 => Trace::Acknowledged(self.text()),
            17 => Trace::Resolved(self.text()),
            18 => Trace::Failed(self.cause(), self.text()),
            19 => Trace::Operator(self.text()),
            20 => Trace::Ended(self.status(), self.text()),
            _ => Trace::Moved(self.digest()),
        };
        assert_eq!(trace_kind(&trace), kind);
        trace
    }

    pub(super) fn entry(&mut self) -> TraceEntry {
        let kind = self.below(TRACES);
        TraceEntry { at: self.instant(), pc: self.size() as u32, what: self.trace(kind) }
    }

    fn ladder(&mut self) -> Ladder {
        Ladder {
            summary: self.text(),
            severity: self.maybe(Self::text),
            level: self.size() as u32,
            reached: self.instant(),
            acknowledged: self.maybe(|s| (s.text(), s.instant())),
        }
    }

    pub(super) fn run(&mut self, wait: usize) -> Run {
        Run {
            no: RunNo(self.size()),
            hash: self.digest(),
            workflow: self.text(),
            bundle: self.digest(),
            status: self.status(),
            reason: self.maybe(Self::cause),
            event: EventNo(self.size()),
            parent: self.maybe(|s| Parent {
                run: RunNo(s.size()),
                pc: s.size() as u32,
                depth: s.size() as u8,
            }),
            subject: self.maybe(Self::text),
            key: self.maybe(Self::text),
            slot: self.coin(),
            args: self.any_value(),
            vars: self.map(),
            steps: self.map(),
            error: self.maybe(Self::cause),
            pc: self.size() as u32,
            wait: self.wait(wait),
            arms: self.some(3, Self::arm),
            look_back: EventNo(self.size()),
            taken: self.some(3, |s| (s.number(), EventNo(s.size()))),
            began: self.instant(),
            ended: self.maybe(Self::instant),
            expires: self.instant(),
            depth: self.size() as u8,
            lineage: self.some(3, Self::text),
            ladder: self.maybe(Self::ladder),
            generation: self.size() as u16,
            uncertain: self.pick(&[false, true]),
            trace: self.some(5, Self::entry),
            spilled: self.size() as u32,
            branch: self.maybe(|s| Branch { index: s.size() as u32, names: s.map() }),
            shadow: self.coin(),
            failing: self.maybe(|s| Failing {
                cause: s.cause(),
                pc: s.size() as u32,
                uncertain: s.coin(),
            }),
            redo: self.maybe(|s| Redo {
                pc: s.size() as u32,
                of: s.size() as u32,
                only: s.some(3, |s| s.size() as u32),
            }),
        }
    }

    fn verdict(&mut self, code: usize) -> Verdict {
        const ALL: [Code; CODES] = [
            Code::Fired,
            Code::Queued,
            Code::Where,
            Code::If,
            Code::Busy,
            Code::Own,
            Code::Error,
            Code::Woke,
            Code::Exited,
            Code::Resolved,
            Code::Throttled,
            Code::Rested,
            Code::Noted,
            Code::Storm,
            Code::Again,
        ];
        assert_eq!(code_kind(ALL[code]), code);
        Verdict { workflow: self.text(), code: ALL[code], detail: self.maybe(Self::text) }
    }

    pub(super) fn event(&mut self) -> StoredEvent {
        let event = Event {
            no: EventNo(self.size()),
            id: self.text(),
            source: self.text(),
            kind: self.text(),
            subject: self.maybe(Self::text),
            time: self.instant(),
            accepted: self.instant(),
            data: self.any_value(),
            extensions: self.map(),
            lineage: Lineage {
                run: self.maybe(|s| RunNo(s.size())),
                depth: self.size() as u8,
                workflows: self.some(3, Self::text),
            },
        };
        StoredEvent {
            event: event.into(),
            runs: self.some(3, |s| RunNo(s.size())),
            verdicts: (0..CODES).map(|code| self.verdict(code)).collect(),
        }
    }

    pub(super) fn record(&mut self) -> Record {
        Record {
            address: Address { kind: self.text(), id: self.text() },
            fields: self.map(),
            revision: self.size(),
            created: self.instant(),
            updated: self.instant(),
        }
    }

    pub(super) fn indexed(&mut self) -> Vec<(Name, Digest)> {
        self.some(3, |s| (s.text(), s.digest()))
    }

    pub(super) fn indexes(&mut self) -> Vec<(Name, Vec<Name>)> {
        let kinds: BTreeMap<Name, Vec<Name>> =
            self.some(3, |s| (s.text(), s.some(3, Self::text))).into_iter().collect();
        kinds.into_iter().collect()
    }

    pub(super) fn window(&mut self) -> Window {
        Window {
            due: self.maybe(Self::instant),
            times: self.some(3, Self::instant),
            count: self.size(),
            last: self.any_value(),
        }
    }

    pub(super) fn identity(&mut self) -> (EventNo, Digest) {
        (EventNo(self.size()), self.digest())
    }

    pub(super) fn task(&mut self, kind: usize) -> Task {
        let (event, run) = (EventNo(self.size()), RunNo(self.size()));
        let task = match kind {
            0 => Task::Wake { event, after: run },
            1 => Task::Start { event, after: self.maybe(Self::text) },
            2 => Task::Advance { run },
            3 => Task::Promote { workflow: self.text(), key: self.maybe(Self::text) },
            4 => Task::SweepEvents { after: event },
            5 => Task::SweepRuns { after: run },
            6 => Task::Reindex { kind: self.text(), after: self.maybe(Self::text) },
            7 => Task::Closed { run },
            8 => Task::Fan { run },
            9 => Task::Orphans { run },
            10 => Task::Windows { after: self.maybe(|s| (s.text(), s.text(), s.text())) },
            11 => Task::Queues { after: run },
            12 => Task::Erase {
                address: crate::model::Address { kind: self.text(), id: self.text() },
                values: vec![self.text()],
                after: event,
                windows: self.maybe(|s| (s.text(), s.text(), s.text())),
            },
            13 => Task::SweepRecords { kind: self.text(), after: self.maybe(Self::text) },
            _ => Task::Orphaned { owner: self.maybe(Self::text), after: self.maybe(Self::text) },
        };
        assert_eq!(task_kind(&task), kind);
        task
    }
}
