//! Every bound of the engine, each with its reason. Settings may lower them, never lift them silently.

use super::time::Span;

/// Bytes of one event's body. Larger things belong in a store that the event points at.
pub const EVENT_BYTES: usize = 1024 * 1024;
/// Events in one batch request: what one commit takes.
pub const EVENTS_PER_REQUEST: usize = 512;
/// Nesting of JSON: deeper is an attack on recursive code, never a business fact.
pub const NESTING: usize = 64;
/// Nesting of what is stored: a rule's own lists around an expression's value, each of [`NESTING`],
/// and a few levels of ours. A deeper one is damage, and reading it would use up the stack.
pub const STORED_NESTING: usize = 3 * NESTING;
/// Bytes of an event's id, source, type or subject, and of a record's id: they become keys.
pub const SUBJECT_BYTES: usize = 1024;
/// Bytes of the name of a document or a record kind: it becomes part of keys.
pub const NAME_BYTES: usize = 128;
/// Emits between an event from outside and one it caused: past this it is a loop.
pub const CAUSE_DEPTH: u8 = 16;
/// Nested calls and escalations below a run: past this it is recursion.
pub const CALL_DEPTH: u8 = 16;
/// Verdicts kept in an event's row; what the index rejected is recomputed when asked.
pub const VERDICTS: usize = 32;
/// Redeliveries of an event that are noted with it: who sends more often does so always, and each note is a write.
pub const AGAIN: usize = 4;
/// Bytes of a verdict's detail: enough to name a clause and its operands.
pub const VERDICT_BYTES: usize = 160;
/// Bytes of one step's result; a larger one fails the step with a clear error.
pub const RESULT_BYTES: usize = 64 * 1024;
/// Bytes of everything a run remembers (vars, results, args).
pub const RUN_BYTES: usize = 1024 * 1024;
/// Bytes of a record's fields.
pub const RECORD_BYTES: usize = 256 * 1024;
/// Trace entries kept in a run's own row; older ones move to rows of their own.
pub const TRACE_INLINE: usize = 24;
/// Rows that `records()` may return in an expression, which runs on the loop.
pub const RECORDS_PER_READ: usize = 1_000;
/// Steps that one input may advance before the rest goes on from the durable inbox.
pub const STEPS_PER_INPUT: usize = 100;
/// Tasks (starts, wakes, advances) that one input may do before the rest goes to the inbox.
pub const TASKS_PER_INPUT: usize = 128;
/// Events that a wait looks back over on its subject: older ones count as not having come.
pub const LOOK_BACK: usize = 1_000;
/// Waits of one workflow with `subject: any`: each costs every event of its type.
pub const ANY_WAITERS: usize = 1_000;
/// Inputs in a batch.
pub const BATCH_INPUTS: usize = 512;
/// Writes in a batch.
pub const BATCH_WRITES: usize = 8_192;
/// Bytes in a batch.
pub const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Deciding time after which a batch closes.
pub const BATCH_TIME: Span = Span::from_millis(2);
/// Requests under way to one host at a time: what a receiver of average strength takes gladly.
pub const HOST_REQUESTS: usize = 64;
/// Webhooks to one host that are announced and not settled: those under way, and enough besides to
/// keep them so while others wait for a commit before or after.
pub const LANE_WEBHOOK: usize = 4 * HOST_REQUESTS;
/// Mails under way to the relay at a time: relays commonly allow 10 to 20 connections a client.
pub const LANE_MAIL: usize = 8;
/// Effects under way over all lanes: the room that the outcome queue keeps free.
pub const EFFECTS: usize = 4_096;
/// Requests that bring events and wait for their answer at a time. A commit takes all of them, so this
/// bounds how long the last of them waits; more are refused at once instead of making all wait.
pub const INGEST_REQUESTS: usize = 512;
/// Recipients of one mail over to, cc and bcc: SMTP servers must take 100 (RFC 5321 §4.5.3.1.8).
pub const RECIPIENTS: usize = 100;
/// How long a run may live when its workflow says nothing.
pub const LIFETIME: Span = Span::from_days(366);
/// Bytes of a response that become a step's result; the rest of a longer one is not read.
pub const RESPONSE_BYTES: usize = 48 * 1024;
/// Children that a `foreach` may be made to have: pages of them begin one after the other, and what
/// became of each is remembered.
pub const CHILDREN: usize = 10_000;
/// Children that a `foreach` has without a `limit` of its own: more is seldom meant.
pub const CHILDREN_USUAL: usize = 100;
/// Children of one step that are under way at a time, unless `max_parallel` says less: enough to keep
/// every lane busy, and few enough for others to have their turns.
pub const CHILDREN_RUNNING: usize = 256;
/// Bytes of what the children of one step failed of; of the rest only the code is kept.
pub const FAILURES_BYTES: usize = 64 * 1024;
/// What the children of one step are for, in pieces of so many.
pub const ITEMS_PER_PIECE: usize = 64;
/// Instants that one window keeps: `at_least` of a `count` and `max` of a `throttle` are no more, since
/// all of them are read and written again with each.
pub const WINDOW_TIMES: usize = 1_000;
/// Bytes of the last event that a window keeps: a larger one is kept without its payload.
pub const WINDOW_EVENT_BYTES: usize = 16 * 1024;
/// Runs that a schedule with `catchup: all` makes for instants it missed.
pub const CATCH_UP: u64 = 1_000;
/// How late an instant of a schedule is only late, and not missed.
pub const ON_TIME: Span = Span::from_secs(60);
/// Runs of one workflow that events caused by other runs may start in a minute: past this they cause
/// each other. Twice the largest fan-out, so that one whose items all emit is none.
pub const STORM: u64 = 2 * CHILDREN as u64;
/// How long a run that failed because its life was over has for its `on_failure`.
pub const FAILURE_LIFETIME: Span = Span::from_days(1);
/// How long a script off the loop may take when its step names no `timeout`: a person waits no longer.
pub const SCRIPT_TIME: Span = Span::from_secs(5);
/// How long it may take at most: it occupies one of a few threads.
pub const SCRIPT_TIME_MOST: Span = Span::from_secs(60);
/// Scripts off the loop at a time: they compute, and leave a processor to the engine.
pub const SCRIPTS: usize = 2;
/// Deliveries of inbound webhooks under way at a time: a slow transform must not keep out events.
pub const HOOK_REQUESTS: usize = 64;
/// How long a delivery or a poll waits for its turn among the scripts.
pub const SCRIPT_TURN: Span = Span::from_secs(5);
/// Requests that one action of a plugin may ask for: they are performed one after the other.
pub const ACTION_REQUESTS: usize = 16;
/// Bytes of all of them: they are kept in the run's row until they are done.
pub const ACTION_BYTES: usize = 256 * 1024;
/// Labels of a metric.
pub const METRIC_LABELS: usize = 8;
/// Bytes of the value of a label: a longer one is data, not something to tell series apart by.
pub const LABEL_BYTES: usize = 100;
/// Series of one metric, told apart by their labels: monitoring keeps each of them for ever.
pub const METRIC_SERIES: usize = 1_000;
/// Days that a series keeps apart; what is older stays in its total. All of them are read and written again
/// with each change.
pub const METRIC_DAYS: usize = 100;
/// Events that one answer to a poll may bring: one decision takes them all.
pub const POLL_EVENTS: usize = 256;
/// Bytes of the cursor of a poll.
pub const CURSOR_BYTES: usize = 16 * 1024;
/// How soon a poll that says there is more is asked again.
pub const POLL_MORE: Span = Span::from_secs(1);
/// How seldom a poll must ask at least: more often is a webhook's work.
pub const POLL_EVERY_LEAST: Span = Span::from_secs(5);
/// How long asking and understanding the answer may take.
pub const POLL_TIME: Span = Span::from_secs(60);
/// Bytes of one row of a file of the spool: those of an event. A longer one is mostly a quotation mark that
/// was not closed.
pub const ROW_BYTES: usize = EVENT_BYTES;
/// Bytes of a file of JSON: it is one value, and read as a whole. NDJSON has no such bound.
pub const JSON_FILE_BYTES: usize = 64 * 1024 * 1024;
/// Rows of a file under way at a time.
pub const ROWS_UNDER_WAY: usize = 256;
/// Files that one look into the spool finds; the others are found by the next.
pub const SPOOL_FILES: usize = 1_000;
/// Folders below each other in the spool.
pub const SPOOL_DEPTH: usize = 8;
/// Rows of one page of a listing.
pub const PAGE: usize = 1_000;
