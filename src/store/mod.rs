//! State on disk: [`Store`] is an ordered byte map with fenced, numbered commits; `State` above it
//! knows what the bytes mean. No type of a particular store leaks through [`Store`].

mod codec;
pub mod conformance;
mod contract;
mod faulty;
pub mod honest;
mod journal;
mod keys;
mod lock;
mod memory;
mod merge;
#[cfg(test)]
mod samples;
mod sled;
mod state;
#[cfg(test)]
mod tests;
mod watchdog;

pub use contract::{
    Admission, Batch, Lead, MAX_KEY, MAX_VALUE, Op, Row, Space, Store, StoreError, Visit,
};
pub use faulty::{Fault, Faulty, When};
pub use honest::SyncMode;
pub use journal::{JournalOptions, JournaledStore};
pub use lock::DirLock;
pub use memory::MemoryStore;
pub use sled::{SledOptions, SledStore};
pub use state::{Backlog, State, Unfinished};
