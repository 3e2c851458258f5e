//! Every question there is, asked of the state and of the model.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{FIELDS, IDS, KINDS, LANES, Pair, SUBJECTS, WORKFLOWS};
use super::{arm_subject, index_value, is_same, pattern};
use crate::model::*;

impl Pair {
    /// Asks everything there is to ask.
    #[allow(clippy::too_many_lines, reason = "one question after the other")]
    pub(super) fn compare(&mut self) {
        let Self { state, now, s, .. } = self;
        let limit = s.pick(&[1, 2, 3, 1_000]);
        let after = RunNo(s.below(now.next_run as usize + 1) as u64);
        let after_event = EventNo(s.below(now.next_event as usize + 1) as u64);

        // rows
        for no in (0..=now.next_run).map(RunNo) {
            assert_eq!(state.run(no).unwrap(), now.runs.get(&no).cloned(), "run {no}");
            let parts = now.spilled.get(&no).into_iter().flat_map(BTreeMap::values);
            assert_eq!(state.spilled(no).unwrap(), parts.flatten().cloned().collect::<Vec<_>>());
        }
        for no in (0..=now.next_event).map(EventNo) {
            assert_eq!(state.event(no).unwrap(), now.events.get(&no).cloned(), "event {no}");
        }
        let later: Vec<_> =
            now.runs.range(after.next()..).take(limit).map(|(_, run)| run.clone()).collect();
        assert_eq!(state.runs_after(after, limit).unwrap(), later);
        let later: Vec<_> = now
            .events
            .range(after_event.next()..)
            .take(limit)
            .map(|(_, event)| event.clone())
            .collect();
        assert_eq!(state.events_after(after_event, limit).unwrap(), later);
        for (identity, known) in &now.identities {
            assert_eq!(state.identity(*identity).unwrap(), Some(*known));
        }
        let nobody = Digest::of(&[b"nobody"]);
        assert_eq!(state.identity(nobody).unwrap(), None);
        assert!(!state.has_bundle(nobody).unwrap());
        for id in &now.bundles {
            assert!(state.has_bundle(*id).unwrap());
            let source = state.bundle_source(*id).unwrap().unwrap();
            assert_eq!(Digest::of(&[&source]), *id);
        }
        assert_eq!(state.indexes().unwrap(), now.indexes);
        assert_eq!(state.next_run().0, now.next_run);
        assert_eq!(state.next_event().0, now.next_event);
        assert_eq!(state.next_inbox().0, now.next_inbox);

        // records
        for kind in KINDS {
            let of_kind = || now.records.iter().filter(|(address, _)| *address.kind == *kind);
            for id in IDS {
                let address = Address { kind: kind.into(), id: id.into() };
                let expected = now.records.get(&address).map(|(record, _)| record.clone());
                assert_eq!(state.record(&address).unwrap(), expected);
            }
            for after in [None, Some(s.pick(&IDS))] {
                let expected: Vec<_> = of_kind()
                    .filter(|(address, _)| after.is_none_or(|after| *address.id > *after))
                    .take(limit)
                    .map(|(_, (record, _))| record.clone())
                    .collect();
                assert_eq!(state.records(kind, after, limit).unwrap(), expected);
            }
            for field in FIELDS {
                let value = index_value(s);
                let expected: Vec<_> = of_kind()
                    .filter(|(_, (_, indexed))| {
                        indexed.iter().any(|(f, v)| **f == *field && is_same(v, &value))
                    })
                    .take(limit)
                    .map(|(_, (record, _))| record.clone())
                    .collect();
                let found = state.records_where(kind, field, &value, limit).unwrap();
                assert_eq!(found, expected, "{kind} {field} {value:?}");
            }
        }

        // what is derived
        let (pattern, subject) = (pattern(s), arm_subject(s));
        let mut listening = now.living(|run| {
            run.arms.iter().any(|arm| arm.subject == subject && arm.patterns.contains(&pattern))
        });
        listening.retain(|no| *no > after);
        listening.truncate(limit);
        assert_eq!(state.waiters(&pattern, &subject, after, limit), listening);
        for workflow in WORKFLOWS {
            for key in [None, Some("k"), Some("l"), Some("m")] {
                let mut holding = now.living(|run| {
                    run.slot
                        && *run.workflow == *workflow
                        && key.is_none_or(|key| run.key.as_deref() == Some(key))
                });
                holding.truncate(limit);
                assert_eq!(state.holders(workflow, key, limit), holding, "{workflow} {key:?}");
            }
        }
        let parent = RunNo(s.below(8) as u64);
        let of_parent = |run: &Run| run.parent.as_ref().is_some_and(|p| p.run == parent);
        assert_eq!(state.children(parent), now.living(of_parent));
        for subject in SUBJECTS {
            let mut about: Vec<_> = now
                .events
                .values()
                .rev()
                .filter(|e| e.event.subject.as_deref() == Some(subject))
                .map(|e| e.event.no)
                .filter(|no| *no > after_event)
                .take(limit)
                .collect();
            about.reverse();
            assert_eq!(state.events_about(subject, after_event, limit), about);
        }
        for no in (0..8).map(EventNo) {
            let needs = |run: &&Arc<Run>| {
                run.event == no && (run.status.is_alive() || run.status == Status::Failed)
            };
            assert_eq!(state.is_event_used(no), now.runs.values().any(|run| needs(&run)));
        }
        let newest = |mut runs: Vec<RunNo>| {
            runs.reverse();
            runs
        };
        let ladders = now.living(|run| run.ladder.is_some());
        assert_eq!(state.ladders().collect::<Vec<_>>(), newest(ladders));
        for status in [Status::Queued, Status::Active] {
            let alive = state.runs_in(status).unwrap().collect::<Vec<_>>();
            assert_eq!(alive, newest(now.living(|_| true)));
        }
        let failed = now.runs.values().filter(|run| run.status == Status::Failed);
        let failed = failed.map(|run| run.no).collect();
        assert_eq!(state.runs_in(Status::Failed).unwrap().collect::<Vec<_>>(), newest(failed));
        assert!(state.runs_in(Status::Done).is_none());
        assert!(state.runs_in(Status::Cancelled).is_none());
        self.compare_time_and_lanes(limit);
    }

    fn compare_time_and_lanes(&mut self, limit: usize) {
        let Self { state, now, s, .. } = self;
        let at = Instant::from_micros(s.below(160) as i64);
        let mut due: Vec<_> =
            now.runs.values().filter_map(|run| run.due().map(|due| (due, run.no))).collect();
        due.sort_unstable();
        assert_eq!(state.next_due(), due.first().map(|(at, _)| *at));
        let due: Vec<_> =
            due.into_iter().filter(|(due, _)| *due <= at).map(|(_, no)| no).take(limit).collect();
        assert_eq!(state.due(at, limit), due);

        let lane_of = |run: &Run| run.effect().map(|effect| effect.lane.clone());
        assert_eq!(state.in_flight(), now.living(|run| now.is_started(run)).len());
        let room = |lane: &str| {
            let used =
                now.living(|run| now.is_started(run) && lane_of(run).as_deref() == Some(lane));
            let most = if lane == "smtp" { limits::LANE_MAIL } else { limits::LANE_WEBHOOK };
            most.saturating_sub(used.len())
        };
        let pending =
            |run: &Run| run.effect().is_some_and(|effect| effect.state == EffectState::Pending);
        for lane in LANES {
            let queue = now.living(|run| pending(run) && lane_of(run).as_deref() == Some(lane));
            let credit = if queue.is_empty() { room(lane) } else { 0 };
            assert_eq!(state.credit(lane), credit, "{lane}");
        }
        let waiting =
            now.living(|run| pending(run) && lane_of(run).is_some_and(|lane| room(&lane) > 0));
        // Whose turn it is, is the lanes' business; that it is one of the most urgent is checked.
        match state.startable() {
            None => assert!(waiting.is_empty(), "{waiting:?} could be started"),
            Some(no) => {
                assert!(waiting.contains(&no), "{no} cannot be started");
                let class = |no: &RunNo| now.runs[no].effect().map(|effect| effect.class);
                let most = waiting.iter().map(class).min().flatten();
                assert_eq!(class(&no), most, "something more urgent waits");
            }
        }
    }
}
