//! The one queue in front of the engine, and the writer's answer beside it.
//!
//! Inputs from outside are bounded by number and by bytes; outcomes are not, since the effects under
//! way bound them; and the writer's answer never stands behind either.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::model::Input;
use crate::pump::{Query, Response};
use crate::rules::RuleSet;
use crate::store::StoreError;

use super::handle::Unavailable;

/// Inputs waiting at a time: two seconds of work at full speed, so that what is accepted is
/// answered soon.
const WAITING: usize = 32_768;
/// What we say to whoever comes when the queue is full.
const RETRY_AFTER_SECS: u32 = 1;

/// Where an answer goes.
pub(super) type Reply = oneshot::Sender<Response>;

/// What the engine is asked.
pub(super) enum Message {
    /// Decide this.
    Input(Input, Option<Reply>),
    /// Answer this.
    Ask(Query, Reply),
    /// Put this rule set in force.
    Rules(Arc<RuleSet>, Reply),
    /// Finish what is under way and stop.
    Drain,
    /// A test moves the clock.
    #[cfg(feature = "test-clock")]
    Clock(super::clock::outside::Move),
}

/// See the room's description.
pub(super) struct Mailbox {
    post: Mutex<Post>,
    bell: Condvar,
    /// Bytes of inputs from outside that may wait: `limits.queue`.
    most_bytes: usize,
}

#[derive(Default)]
struct Post {
    messages: VecDeque<(Message, usize)>,
    waiting: usize,
    bytes: usize,
    committed: Option<Result<(), StoreError>>,
    closed: bool,
}

/// What the engine finds in its mailbox.
#[derive(Default)]
pub(super) struct Delivery {
    pub(super) messages: Vec<Message>,
    pub(super) committed: Option<Result<(), StoreError>>,
}

impl Mailbox {
    /// With room for so many bytes of inputs from outside.
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { post: Mutex::default(), bell: Condvar::new(), most_bytes }
    }

    fn open(&self) -> MutexGuard<'_, Post> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From outside: refused when too much is waiting. `bytes` is roughly what it holds.
    pub(super) fn offer(&self, message: Message, bytes: usize) -> Result<(), Unavailable> {
        let mut post = self.open();
        if post.closed {
            return Err(Unavailable::Stopping);
        }
        // 0 marks what came from inside and is not counted.
        let bytes = bytes.max(1);
        if post.waiting >= WAITING || post.bytes.saturating_add(bytes) > self.most_bytes {
            return Err(Unavailable::Busy(RETRY_AFTER_SECS));
        }
        post.waiting += 1;
        post.bytes += bytes;
        post.messages.push_back((message, bytes));
        drop(post);
        self.bell.notify_one();
        Ok(())
    }

    /// From inside: always taken. False when the engine is gone, and nobody will ever look.
    pub(super) fn push(&self, message: Message) -> bool {
        let mut post = self.open();
        if post.closed {
            return false;
        }
        post.messages.push_back((message, 0));
        drop(post);
        self.bell.notify_one();
        true
    }

    /// The writer's answer.
    pub(super) fn committed(&self, result: Result<(), StoreError>) {
        self.open().committed = Some(result);
        self.bell.notify_one();
    }

    /// The engine is gone: whoever waits is told.
    pub(super) fn close(&self) {
        let mut post = self.open();
        post.closed = true;
        post.messages.clear();
        (post.waiting, post.bytes) = (0, 0);
    }

    /// Waits at most `patience` for something and takes at most `most` messages.
    pub(super) fn take(&self, most: usize, patience: Duration) -> Delivery {
        let mut post = self.open();
        let nothing =
            |post: &Post| post.committed.is_none() && (most == 0 || post.messages.is_empty());
        if nothing(&post) && !patience.is_zero() {
            let waited = self.bell.wait_timeout_while(post, patience, |post| nothing(post));
            post = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let count = most.min(post.messages.len());
        let mut messages = Vec::with_capacity(count);
        for (message, bytes) in post.messages.drain(..count).collect::<Vec<_>>() {
            if bytes > 0 {
                post.waiting -= 1;
                post.bytes -= bytes;
            }
            messages.push(message);
        }
        Delivery { messages, committed: post.committed.take() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cause, Digest, EffectKey, Outcome, RunNo, Settled};

    const AT_ONCE: Duration = Duration::ZERO;

    fn sweep() -> Message {
        Message::Input(Input::Sweep, None)
    }

    fn outcome() -> Message {
        let settled = Settled {
            run: RunNo(1),
            key: EffectKey(Digest([0; 16])),
            attempt: 1,
            outcome: Outcome::Failed(Cause::new("x", "y")),
        };
        Message::Input(Input::Outcome(settled), None)
    }

    fn busy<T>(result: Result<T, Unavailable>) -> bool {
        matches!(result, Err(Unavailable::Busy(seconds)) if seconds > 0)
    }

    #[test]
    fn it_holds_so_many_bytes_and_no_more() {
        let mailbox = Mailbox::new(1_000);
        assert!(mailbox.offer(sweep(), 600).is_ok());
        assert!(busy(mailbox.offer(sweep(), 401)));
        assert!(mailbox.offer(sweep(), 400).is_ok(), "what was refused is not counted");
        assert!(busy(mailbox.offer(sweep(), 0)), "everything weighs something");
        assert!(busy(mailbox.offer(sweep(), usize::MAX)));
        assert_eq!(mailbox.take(1, AT_ONCE).messages.len(), 1);
        assert!(busy(mailbox.offer(sweep(), 601)));
        assert!(mailbox.offer(sweep(), 600).is_ok(), "what was taken makes room");
        assert_eq!(mailbox.take(10, AT_ONCE).messages.len(), 2);
        assert!(mailbox.offer(sweep(), 1_000).is_ok(), "no byte is lost by counting");
    }

    #[test]
    fn it_holds_so_many_messages_and_no_more() {
        let mailbox = Mailbox::new(usize::MAX);
        for _ in 0..WAITING {
            assert!(mailbox.offer(sweep(), 1).is_ok());
        }
        assert!(busy(mailbox.offer(sweep(), 1)));
        assert_eq!(mailbox.take(3, AT_ONCE).messages.len(), 3);
        for _ in 0..3 {
            assert!(mailbox.offer(sweep(), 1).is_ok());
        }
        assert!(busy(mailbox.offer(sweep(), 1)));
    }

    #[test]
    fn what_comes_from_inside_is_always_taken_and_takes_no_room() {
        let mailbox = Mailbox::new(10);
        assert!(mailbox.offer(sweep(), 10).is_ok());
        for _ in 0..100 {
            assert!(mailbox.push(outcome()));
        }
        assert_eq!(mailbox.take(1, AT_ONCE).messages.len(), 1);
        assert!(mailbox.offer(sweep(), 10).is_ok(), "outcomes are not counted");
        let rest = mailbox.take(1_000, AT_ONCE).messages;
        assert_eq!(rest.len(), 101, "in order of arrival, none left out");
        assert!(matches!(rest.last(), Some(Message::Input(Input::Sweep, _))));
        assert!(rest[..100].iter().all(|m| matches!(m, Message::Input(Input::Outcome(_), _))));
    }

    #[test]
    fn the_answer_of_the_writer_stands_behind_nothing() {
        let mailbox = Mailbox::new(10);
        assert!(mailbox.offer(sweep(), 1).is_ok());
        mailbox.committed(Ok(()));
        let delivery = mailbox.take(0, Duration::from_mins(1));
        assert!(delivery.messages.is_empty(), "none was asked for");
        assert_eq!(delivery.committed, Some(Ok(())));
        assert_eq!(mailbox.take(0, AT_ONCE).committed, None, "it is said once");
        assert_eq!(mailbox.take(1, AT_ONCE).messages.len(), 1);
    }

    #[test]
    fn whoever_waits_at_its_end_is_told() {
        let mailbox = Mailbox::new(100);
        let (reply, mut answer) = oneshot::channel();
        assert!(mailbox.offer(Message::Input(Input::Sweep, Some(reply)), 10).is_ok());
        assert!(answer.try_recv().is_err_and(|why| why == oneshot::error::TryRecvError::Empty));
        mailbox.close();
        assert!(answer.try_recv().is_err_and(|why| why == oneshot::error::TryRecvError::Closed));
        assert_eq!(mailbox.offer(sweep(), 1), Err(Unavailable::Stopping));
        // An outcome that comes late has nobody to go to, and that is no fault.
        assert!(!mailbox.push(outcome()));
        assert!(mailbox.take(10, AT_ONCE).messages.is_empty());
    }

    #[test]
    fn it_wakes_whoever_waits() {
        let mailbox = std::sync::Arc::new(Mailbox::new(100));
        let waiting = mailbox.clone();
        let thread =
            std::thread::spawn(move || waiting.take(10, Duration::from_mins(1)).messages.len());
        assert!(mailbox.offer(sweep(), 1).is_ok());
        assert_eq!(thread.join().unwrap_or_default(), 1);
    }
}
