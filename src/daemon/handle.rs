//! [`Handle`]: how the API reaches the engine.

use crate::model::{Input, Reply};
use crate::pump::{Answer, Query};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Working.
    Ready,
    /// Loading state or rules; not yet taking events.
    Starting,
    /// Finishing what is under way.
    Draining,
}

/// Reaches the engine's queue. Cheap to clone.
#[derive(Clone)]
pub struct Handle {}

impl Handle {
    /// Hands in an input and waits until its decision is durable.
    ///
    /// # Errors
    /// [`Unavailable`] when it was not taken; nothing happened then.
    pub async fn submit(&self, input: Input) -> Result<Reply, Unavailable> {
        let _ = input;
        Err(Unavailable::Stopping)
    }

    /// Asks a question; the answer holds only what is durable.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn ask(&self, query: Query) -> Result<Answer, Unavailable> {
        let _ = query;
        Err(Unavailable::Stopping)
    }

    /// How the daemon is.
    #[must_use]
    pub fn health(&self) -> Health {
        Health::Starting
    }
}
