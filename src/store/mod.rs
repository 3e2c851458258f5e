//! State on disk: [`Store`] is an ordered byte map with fenced, numbered commits; `State` above it
//! knows what the bytes mean. No type of a particular store leaks through [`Store`].

mod codec;
mod contract;
mod keys;
mod state;

pub use contract::{Batch, Lead, Op, Row, Space, Store, StoreError};
pub use state::{State, Unfinished};
