//! [`Handle`]: how the API reaches the engine.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Poll;

use tokio::sync::oneshot;

use crate::model::{Draft, Input, ReadError, Reply};
use crate::pump::{Answer, Query, Response};
use crate::rules::RuleSet;

use super::mailbox::{Mailbox, Message};

/// Why an input or a question could not be taken now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The queue is full: 503, try again after so many seconds.
    #[error("the engine has more waiting than it may hold: try again in {0} s")]
    Busy(u32),
    /// The disk is nearly full: 503; only new events are refused.
    #[error("the disk is nearly full: new events are refused until there is room")]
    DiskFull,
    /// The daemon is stopping: 503.
    #[error("the daemon is stopping")]
    Stopping,
    /// The state could not be read: 500.
    #[error("{0}")]
    Failed(String),
}

/// How the daemon is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Working.
    Ready,
    /// Loading state or rules; not yet taking events.
    Starting,
    /// Finishing what is under way.
    Draining,
}

/// Bytes counted for an input beside its payload.
const INPUT_BYTES: usize = 256;

/// Waits for all of several futures, of which each is begun in order before the first is waited for: inputs
/// that are submitted so stand in the queue in their order, and one commit can take them all.
pub async fn in_order<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    enum Slot<F: Future> {
        Waiting(Pin<Box<F>>),
        Over(F::Output),
    }
    let mut slots: Vec<Slot<F>> =
        futures.into_iter().map(|future| Slot::Waiting(Box::pin(future))).collect();
    poll_fn(|context| {
        for slot in &mut slots {
            if let Slot::Waiting(future) = slot
                && let Poll::Ready(output) = future.as_mut().poll(context)
            {
                *slot = Slot::Over(output);
            }
        }
        Poll::Ready(())
    })
    .await;
    let mut outputs = Vec::with_capacity(slots.len());
    for slot in slots {
        outputs.push(match slot {
            Slot::Waiting(future) => future.await,
            Slot::Over(output) => output,
        });
    }
    outputs
}

/// Reaches the engine's queue. Cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

pub(super) struct Shared {
    pub(super) mailbox: Mailbox,
    health: AtomicU8,
    pub(super) disk_full: AtomicBool,
    /// More is accepted than is carried out: see `pressure`.
    pub(super) crowded: AtomicBool,
    /// The rules in force.
    rules: RwLock<Arc<RuleSet>>,
}

impl Handle {
    /// `queue_bytes`: see [`super::Settings`].
    pub(super) fn new(queue_bytes: usize, rules: Arc<RuleSet>) -> Self {
        Self(Arc::new(Shared {
            mailbox: Mailbox::new(queue_bytes),
            health: AtomicU8::new(Health::Starting as u8),
            disk_full: AtomicBool::new(false),
            crowded: AtomicBool::new(false),
            rules: RwLock::new(rules),
        }))
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.0
    }

    pub(super) fn set_health(&self, health: Health) {
        self.0.health.store(health as u8, Ordering::Release);
    }

    /// Whether more may be brought in now. To be asked before something large is read: a batch that
    /// has begun to come in is taken whole.
    ///
    /// # Errors
    /// [`Unavailable::Busy`] while more was accepted than is carried out.
    pub fn admit(&self) -> Result<(), Unavailable> {
        if self.0.crowded.load(Ordering::Relaxed) { Err(Unavailable::Busy(1)) } else { Ok(()) }
    }

    /// Whether new events are taken.
    ///
    /// # Errors
    /// [`Unavailable`] while the disk is nearly full, or more was accepted than is carried out.
    pub(super) fn takes_events(&self) -> Result<(), Unavailable> {
        if self.0.disk_full.load(Ordering::Relaxed) {
            return Err(Unavailable::DiskFull);
        }
        self.admit()
    }

    /// Hands in an input and waits until its decision is durable.
    ///
    /// # Errors
    /// [`Unavailable`] when it was not taken; nothing happened then. [`Unavailable::Failed`] when
    /// the engine stopped in between: whether it happened is not known.
    pub async fn submit(&self, input: Input) -> Result<Reply, Unavailable> {
        if self.health() == Health::Draining {
            return Err(Unavailable::Stopping);
        }
        let bytes = match &input {
            Input::Event(_) if self.health() == Health::Starting => {
                return Err(Unavailable::Busy(1));
            }
            Input::Event(draft) => {
                if self.0.disk_full.load(Ordering::Relaxed) {
                    return Err(Unavailable::DiskFull);
                }
                INPUT_BYTES + weight(draft)
            }
            _ => INPUT_BYTES,
        };
        let (reply, answer) = oneshot::channel();
        self.0.mailbox.offer(Message::Input(input, Some(reply)), bytes)?;
        match answer.await {
            Ok(Response::Reply(reply)) => Ok(reply),
            Ok(Response::Answer(_) | Response::Damaged(_)) | Err(_) => Err(lost()),
        }
    }

    /// Asks a question; the answer holds only what is durable.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn ask(&self, query: Query) -> Result<Answer, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.0.mailbox.offer(Message::Ask(query, reply), INPUT_BYTES)?;
        match answer.await {
            Ok(Response::Answer(answer)) => Ok(answer),
            Ok(Response::Damaged(why)) => {
                Err(Unavailable::Failed(ReadError::Corrupt(why).to_string()))
            }
            Ok(Response::Reply(_)) | Err(_) => Err(lost()),
        }
    }

    /// Puts a rule set in force and waits until that is durable.
    ///
    /// # Errors
    /// [`Unavailable`] when the engine stops, or stopped in between.
    pub async fn put_in_force(&self, rules: Arc<RuleSet>) -> Result<(), Unavailable> {
        let (reply, answer) = oneshot::channel();
        if !self.0.mailbox.push(Message::Rules(rules, reply)) {
            return Err(Unavailable::Stopping);
        }
        match answer.await {
            Ok(Response::Reply(Reply::Refused(why))) => Err(Unavailable::Failed(why.to_string())),
            Ok(_) => Ok(()),
            Err(_) => Err(lost()),
        }
    }

    /// From now on these are in force.
    pub(super) fn set_rules(&self, rules: Arc<RuleSet>) {
        *self.0.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// The rules in force: those of the last decision.
    #[must_use]
    pub fn rules(&self) -> Arc<RuleSet> {
        self.0.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How the daemon is.
    #[must_use]
    pub fn health(&self) -> Health {
        match self.0.health.load(Ordering::Acquire) {
            health if health == Health::Ready as u8 => Health::Ready,
            health if health == Health::Draining as u8 => Health::Draining,
            _ => Health::Starting,
        }
    }
}

/// Roughly the bytes that an event holds.
fn weight(draft: &Draft) -> usize {
    let texts =
        [&draft.id, &draft.source, &draft.kind].map(|text| text.len()).iter().sum::<usize>();
    let extensions: usize =
        draft.extensions.iter().map(|(name, value)| name.len() + value.weight()).sum();
    texts + draft.subject.as_ref().map_or(0, |text| text.len()) + draft.data.weight() + extensions
}

fn lost() -> Unavailable {
    Unavailable::Failed("the engine stopped before it could answer".to_owned())
}
