//! State on disk: [`Store`] is an ordered byte map with fenced, numbered commits; `State` above it
//! knows what the bytes mean. No type of a particular store leaks through [`Store`].

mod contract;

pub use contract::{Batch, Lead, Op, Space, Store, StoreError};
