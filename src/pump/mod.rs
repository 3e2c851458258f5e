//! The loop without tokio: inputs in, batches to the store, replies and commands out when durable.

mod query;

pub use query::{Answer, Query, Story};
