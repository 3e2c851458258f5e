//! What the scripted engine tells of.

use std::sync::Arc;

use crate::model::*;
use crate::pump::Story;

pub(super) fn at(seconds: i64) -> Instant {
    Instant::from_micros((1_772_445_600 + seconds) * 1_000_000)
}

fn key() -> EffectKey {
    EffectKey(Digest([0xab; 16]))
}

pub(super) fn run(no: u64) -> Run {
    Run {
        no: RunNo(no),
        hash: Digest([0x9f; 16]),
        workflow: "lead-response".into(),
        bundle: Digest([1; 16]),
        status: Status::Active,
        reason: None,
        event: EventNo(12),
        parent: None,
        subject: Some("lead/42".into()),
        key: None,
        slot: false,
        args: Value::Null,
        vars: Map::from([("email".into(), Value::from("ana@x.example"))]),
        steps: Map::new(),
        error: None,
        pc: 1,
        wait: Wait::Effect(Box::new(Effect {
            key: key(),
            action: ActionKind::Webhook,
            lane: "http://crm:80".into(),
            class: Class::Normal,
            params: Value::Null,
            armed: at(0),
            attempts: 1,
            generation: 0,
            uncertain: false,
            state: EffectState::Backoff { until: at(5) },
        })),
        arms: vec![Arm {
            role: ArmRole::Exit(0),
            patterns: vec![Pattern::parse("lead.closed").unwrap()],
            subject: ArmSubject::Is("lead/42".into()),
        }],
        look_back: EventNo(12),
        taken: vec![],
        began: at(0),
        ended: None,
        expires: at(86_400),
        depth: 0,
        lineage: vec![],
        ladder: None,
        generation: 0,
        uncertain: false,
        trace: vec![],
        spilled: 0,
        branch: None,
        shadow: false,
        failing: None,
        redo: None,
    }
}

pub(super) fn escalation() -> Run {
    Run {
        ladder: Some(Ladder {
            summary: "Lead 42 waits".into(),
            severity: None,
            level: 2,
            reached: at(5),
            acknowledged: Some(("ana".into(), at(9))),
        }),
        parent: Some(Parent { run: RunNo(17), pc: 3, depth: 1 }),
        wait: Wait::Until(at(60)),
        ..run(18)
    }
}

pub(super) fn event() -> StoredEvent {
    StoredEvent {
        event: Arc::new(Event {
            no: EventNo(12),
            id: "e-1".into(),
            source: "crm".into(),
            kind: "lead.created".into(),
            subject: Some("lead/42".into()),
            time: at(-1),
            accepted: at(0),
            data: Value::from([("score", Value::Int(80))]),
            extensions: Map::new(),
            lineage: Lineage::default(),
        }),
        runs: vec![RunNo(17)],
        verdicts: vec![Verdict {
            workflow: "lead-response".into(),
            code: Code::Where,
            detail: Some("event.data.email != \"\"".into()),
        }],
    }
}

pub(super) fn record(id: &str) -> Record {
    Record {
        address: Address::new("lead", id).unwrap(),
        fields: Map::from([("stage".into(), Value::from("new"))]),
        revision: 2,
        created: at(0),
        updated: at(1),
    }
}

pub(super) fn story() -> Story {
    let entry = |seconds, pc, what| TraceEntry { at: at(seconds), pc, what };
    Story {
        run: Arc::new(run(17)),
        event: Some(Arc::new(event())),
        trace: vec![
            entry(0, 0, Trace::Began(EventNo(12))),
            entry(0, 0, Trace::Branch("then: score 80 >= 80".into())),
            entry(1, 1, Trace::Attempt(1, key())),
            entry(2, 1, Trace::Retrying(1, Cause::new("http_503", "503 from crm"), at(5))),
        ],
        earlier: Vec::new(),
        steps: vec![
            ("steps[0]".into(), "then".into(), None),
            ("steps[0].then[0]".into(), "webhook".into(), Some("crm".into())),
        ],
        children: vec![Arc::new(escalation())],
    }
}
