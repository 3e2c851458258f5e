//! State on disk: [`Store`] is an ordered byte map with fenced, numbered commits; `State` above it
//! knows what the bytes mean. No type of a particular store leaks through [`Store`].

mod contract;
mod faulty;
mod memory;

pub use contract::{Admission, Batch, Lead, MAX_KEY, MAX_VALUE, Op, Row, Space, Store, StoreError};
pub use faulty::{Fault, Faulty, When};
pub use memory::MemoryStore;
