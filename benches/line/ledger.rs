//! [`Ledger`]: what was sent, answered and received of each event of one load, and the audit over it.
//!
//! A row is written by the generator and by the receiver at the same time, so it is made of atomics.
//! Rows are allocated in pieces: the number of events of a closed loop is not known before.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// Rows of a piece.
const PIECE: usize = 1 << 16;
/// Pieces of a ledger: 67 million events, an hour at 18,000/s.
const PIECES: usize = 1 << 10;

/// One event.
#[derive(Default)]
pub(crate) struct Row {
    /// When it should have been sent.
    pub(crate) intended: AtomicU64,
    /// When it was sent.
    pub(crate) sent: AtomicU64,
    /// When it was answered.
    pub(crate) answered: AtomicU64,
    /// The status of the answer; 0: none came.
    pub(crate) status: AtomicU16,
    /// Whether a refusal said when to come again.
    pub(crate) retry_after: AtomicU16,
    /// When its webhook came first.
    pub(crate) received: AtomicU64,
    /// How often it came.
    pub(crate) times: AtomicU32,
    /// A hash of the first idempotency key.
    key: AtomicU64,
    /// Webhooks that had another one, or none.
    other_keys: AtomicU32,
}

impl Row {
    /// Whether the subject promised to take care of it.
    pub(crate) fn accepted(&self) -> bool {
        (200..300).contains(&self.status.load(Relaxed))
    }
}

/// Which events of a load must come back as a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matching {
    /// Those with an even number, as W1 has it.
    Half,
    /// Every one.
    All,
    /// None.
    None,
}

impl Matching {
    /// Whether this one must.
    pub(crate) const fn takes(self, seq: usize) -> bool {
        match self {
            Self::Half => seq.is_multiple_of(2),
            Self::All => true,
            Self::None => false,
        }
    }
}

/// See the file's description.
pub(crate) struct Ledger {
    /// The first part of its events' ids.
    pub(crate) run: u64,
    /// Which of them come back.
    pub(crate) matching: Matching,
    pieces: Vec<OnceLock<Box<[Row]>>>,
    next: AtomicUsize,
    /// The first row that may not be settled yet.
    settled: AtomicUsize,
    last_received: AtomicU64,
}

impl Ledger {
    /// An empty one with a number that no other has.
    pub(crate) fn new(matching: Matching) -> Arc<Self> {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let first = super::moment::wall().as_secs() % 1_000_000 * 1_000;
        Arc::new(Self {
            run: first + RUNS.fetch_add(1, Relaxed),
            matching,
            pieces: (0..PIECES).map(|_| OnceLock::new()).collect(),
            next: AtomicUsize::new(0),
            settled: AtomicUsize::new(0),
            last_received: AtomicU64::new(0),
        })
    }

    /// The numbers of the next events.
    pub(crate) fn take(&self, count: usize) -> Range<usize> {
        let first = self.next.fetch_add(count, Relaxed);
        first..first + count
    }

    /// Events so far.
    pub(crate) fn len(&self) -> usize {
        self.next.load(Relaxed).min(PIECE * PIECES)
    }

    /// The row of an event.
    pub(crate) fn row(&self, seq: usize) -> &Row {
        let piece = self.pieces[seq / PIECE % PIECES]
            .get_or_init(|| (0..PIECE).map(|_| Row::default()).collect());
        &piece[seq % PIECE]
    }

    /// Every event with its number.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (usize, &Row)> {
        (0..self.len()).map(|seq| (seq, self.row(seq)))
    }

    /// The rows of events that were sent and must come back.
    pub(crate) fn matching(&self) -> impl Iterator<Item = &Row> {
        self.rows().filter(|(seq, _)| self.matching.takes(*seq)).map(|(_, row)| row)
    }

    /// A webhook came.
    fn received(&self, seq: usize, at: u64, key: u64) {
        let row = self.row(seq);
        // Whoever comes first writes the time; a tie is a repetition in either order.
        let _ = row.received.compare_exchange(0, at, Relaxed, Relaxed);
        if row.key.compare_exchange(0, key, Relaxed, Relaxed).is_err_and(|first| first != key) {
            row.other_keys.fetch_add(1, Relaxed);
        }
        row.times.fetch_add(1, Relaxed);
        self.last_received.fetch_max(at, Relaxed);
    }

    /// When the last webhook came; 0: none did.
    pub(crate) fn last_received(&self) -> u64 {
        self.last_received.load(Relaxed)
    }

    /// Whether every accepted event that must come back has. Looks at each row once.
    pub(crate) fn is_settled(&self) -> bool {
        let open = |seq: usize| {
            let row = self.row(seq);
            self.matching.takes(seq) && row.accepted() && row.received.load(Relaxed) == 0
        };
        let from = self.settled.load(Relaxed);
        let first = (from..self.len()).find(|seq| open(*seq)).unwrap_or(self.len());
        self.settled.store(first, Relaxed);
        first == self.len()
    }

    /// What became of everything.
    pub(crate) fn audit(&self) -> Audit {
        let mut audit = Audit::default();
        for (seq, row) in self.rows() {
            let (accepted, times) = (row.accepted(), row.times.load(Relaxed));
            let wanted = self.matching.takes(seq);
            audit.accepted += usize::from(accepted);
            audit.unanswered += usize::from(row.status.load(Relaxed) == 0);
            audit.lost += usize::from(accepted && wanted && times == 0);
            audit.unasked += usize::from(!wanted && times > 0);
            let other_keys = row.other_keys.load(Relaxed);
            audit.two_keys += usize::from(other_keys > 0);
            audit.repeated += times.saturating_sub(1 + other_keys) as usize;
            audit.delivered += usize::from(times > 0);
        }
        audit
    }
}

/// The counts of an audit. All but the first three and `repeated` must be 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Audit {
    /// Events answered 2xx.
    pub(crate) accepted: usize,
    /// Events that got no answer.
    pub(crate) unanswered: usize,
    /// Events whose webhook came.
    pub(crate) delivered: usize,
    /// Webhooks that came again under the same key.
    pub(crate) repeated: usize,
    /// Accepted, must come back, and did not.
    pub(crate) lost: usize,
    /// Came back and should not have.
    pub(crate) unasked: usize,
    /// Came back under more than one key: the run or the step was performed as two.
    pub(crate) two_keys: usize,
}

impl Audit {
    /// Both together.
    pub(crate) fn with(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            unanswered: self.unanswered + other.unanswered,
            delivered: self.delivered + other.delivered,
            repeated: self.repeated + other.repeated,
            lost: self.lost + other.lost,
            unasked: self.unasked + other.unasked,
            two_keys: self.two_keys + other.two_keys,
        }
    }
}

/// Every ledger whose webhooks may still come.
#[derive(Clone, Default)]
pub(crate) struct Ledgers(Arc<RwLock<Vec<Arc<Ledger>>>>);

impl Ledgers {
    /// From now on webhooks find this one.
    pub(crate) fn open(&self, matching: Matching) -> Arc<Ledger> {
        let ledger = Ledger::new(matching);
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(ledger.clone());
        ledger
    }

    /// Forgets those that nobody else holds.
    pub(crate) fn forget(&self, ledger: &Arc<Ledger>) {
        let mut open = self.0.write().unwrap_or_else(PoisonError::into_inner);
        open.retain(|one| !Arc::ptr_eq(one, ledger));
    }

    /// Writes down a webhook; false when it belongs to no ledger.
    pub(crate) fn received(&self, body: &[u8], key: &[u8], at: u64) -> bool {
        let Some((run, seq)) = id_in(body) else { return false };
        let open = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = open.iter().rev().find(|ledger| ledger.run == run && seq < ledger.len());
        if let Some(ledger) = found {
            let mut hasher = DefaultHasher::new();
            key.hash(&mut hasher);
            // 0 stands for "none yet".
            ledger.received(seq, at, hasher.finish() | 1);
        }
        found.is_some()
    }
}

/// The id `r<run>-<seq>` of an event, where a body first has it in quotes.
fn id_in(body: &[u8]) -> Option<(u64, usize)> {
    let digits = |from: usize| {
        let count = body[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = std::str::from_utf8(&body[from..from + count]).ok()?;
        Some((text.parse::<u64>().ok()?, from + count))
    };
    let starts = body.windows(2).enumerate().filter(|(_, pair)| pair == b"\"r");
    starts.map(|(at, _)| at + 2).find_map(|at| {
        let (run, end) = digits(at)?;
        let (seq, _) = (body.get(end) == Some(&b'-')).then(|| digits(end + 1))??;
        Some((run, seq as usize))
    })
}
