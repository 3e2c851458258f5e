//! What each part of the engine costs, without disk and network: `cargo bench --bench parts`.
//!
//! One file a part. Everything runs on virtual time over a store in memory, so that the figures are
//! those of the processor; what a commit costs on a disk is `store_commit`'s.

#![allow(clippy::disallowed_methods, reason = "what is measured is real time")]

mod calendars;
mod driver;
mod events;
mod expressions;
mod rows;
mod runs;
mod templates;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

/// Short: all parts together take less than two minutes.
fn settings() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1_500))
}

criterion_group! {
    name = parts;
    config = settings();
    targets = events::benches, runs::benches, rows::benches, expressions::benches,
        templates::benches, calendars::benches
}
criterion_main!(parts);
