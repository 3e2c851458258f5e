//! [`Engine`]: what the handlers ask. In the tests of this room a script answers instead.

use crate::daemon::{Handle, Health, Unavailable};
use crate::model::{Input, Reply};
use crate::pump::{Answer, Query};

/// The engine as the API sees it.
#[derive(Clone)]
pub(super) enum Engine {
    /// The real one.
    Running(Handle),
    /// Answers as a test says.
    #[cfg(test)]
    Scripted(std::sync::Arc<super::tests::Script>),
}

impl Engine {
    /// See [`Handle::admit`].
    pub(super) fn admit(&self) -> Result<(), Unavailable> {
        match self {
            Self::Running(handle) => handle.admit(),
            #[cfg(test)]
            Self::Scripted(_) => Ok(()),
        }
    }

    /// See [`Handle::submit`].
    pub(super) async fn submit(&self, input: Input) -> Result<Reply, Unavailable> {
        match self {
            Self::Running(handle) => handle.submit(input).await,
            #[cfg(test)]
            Self::Scripted(script) => script.submit(input).await,
        }
    }

    /// See [`Handle::ask`].
    pub(super) async fn ask(&self, query: Query) -> Result<Answer, Unavailable> {
        match self {
            Self::Running(handle) => handle.ask(query).await,
            #[cfg(test)]
            Self::Scripted(script) => script.ask(query),
        }
    }

    /// See [`Handle::health`].
    pub(super) fn health(&self) -> Health {
        match self {
            Self::Running(handle) => handle.health(),
            #[cfg(test)]
            Self::Scripted(script) => script.health(),
        }
    }
}
