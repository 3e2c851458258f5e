//! The one queue in front of the engine, and the writer's answer beside it.
//!
//! Inputs from outside are bounded by number and by bytes; outcomes are not, since the effects under
//! way bound them; and the writer's answer never stands behind either.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::model::Input;
use crate::pump::{Query, Response};
use crate::store::StoreError;

use super::handle::Unavailable;

/// Inputs waiting at a time: two seconds of work at full speed, so that what is accepted is
/// answered soon.
const WAITING: usize = 32_768;
/// Bytes of inputs waiting at a time.
const WAITING_BYTES: usize = 64 * 1024 * 1024;
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
    /// Finish what is under way and stop.
    Drain,
}

/// See the room's description.
#[derive(Default)]
pub(super) struct Mailbox {
    post: Mutex<Post>,
    bell: Condvar,
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
    fn open(&self) -> MutexGuard<'_, Post> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From outside: refused when too much is waiting. `bytes` is roughly what it holds.
    pub(super) fn offer(&self, message: Message, bytes: usize) -> Result<(), Unavailable> {
        let mut post = self.open();
        if post.closed {
            return Err(Unavailable::Stopping);
        }
        if post.waiting >= WAITING || post.bytes + bytes > WAITING_BYTES {
            return Err(Unavailable::Busy(RETRY_AFTER_SECS));
        }
        post.waiting += 1;
        post.bytes += bytes;
        // 0 marks what came from inside and is not counted.
        post.messages.push_back((message, bytes.max(1)));
        drop(post);
        self.bell.notify_one();
        Ok(())
    }

    /// From inside: always taken.
    pub(super) fn push(&self, message: Message) {
        self.open().messages.push_back((message, 0));
        self.bell.notify_one();
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
                post.bytes = post.bytes.saturating_sub(bytes);
            }
            messages.push(message);
        }
        Delivery { messages, committed: post.committed.take() }
    }
}
