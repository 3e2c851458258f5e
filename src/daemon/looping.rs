//! The engine's thread: it takes the waiting inputs, has the pump decide them, gives the batch to the
//! writer, and lets go what is durable. While one batch syncs the next is decided.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::model::{Instant, ReadError, Span, limits};
use crate::pump::{Pump, Released};
use crate::store::StoreError;

use super::clock::Clock;
use super::executor::Executor;
use super::handle::{Handle, Health};
use super::mailbox::{Delivery, Message, Reply};
use super::notify;
use super::pressure::{self, Pressure};
use super::writer::Writer;

/// The longest the engine sleeps: keeps the watchdog fed and the wall clock watched.
const NAP: Duration = Duration::from_millis(500);
/// Messages taken in one turn: half a batch, so that timers, the inbox and pending effects have the
/// other half however much comes in.
const MESSAGES_PER_TURN: usize = limits::BATCH_INPUTS / 2;
/// Time between two pages of a sweep, when nobody is in a hurry and when many are: removing as much as
/// comes in takes as long as taking it in, and whoever waits for an answer comes first.
const SWEEP_PAUSE: Span = Span::from_millis(4);
const SWEEP_PAUSE_BUSY: Span = Span::from_millis(20);
/// The least pause, for a sweep that is far behind: the disk has a bound too.
const SWEEP_PAUSE_LEAST: Span = Span::from_millis(1);
/// Messages in one turn at which many are in a hurry.
const BUSY: usize = 16;
/// How long effects under way may take to end when the daemon stops; after that they are repeated
/// at the next start.
const DRAIN_TIME: Duration = Duration::from_secs(20);

/// Why the engine stopped by itself.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fatal {
    /// The store failed. The state on disk is whole; this process must not go on.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A thread is gone.
    #[error("the {0} thread is gone")]
    Gone(&'static str),
}

/// Everything the engine's thread owns.
pub(super) struct Loop {
    pub(super) pump: Pump<Reply>,
    pub(super) handle: Handle,
    pub(super) writer: Writer,
    pub(super) executor: Executor,
    pub(super) clock: Clock,
    pub(super) watchdog: notify::Watchdog,
    /// The newest move of the clock, until it is said that nothing is left to do after it.
    #[cfg(feature = "test-clock")]
    pub(super) moved: Option<super::clock::outside::Move>,
}

impl Loop {
    /// Runs until told to drain and done, or until the store fails.
    pub(super) fn run(mut self) -> Result<(), Fatal> {
        let result = self.turns();
        self.handle.shared().mailbox.close();
        self.writer.stop();
        result
    }

    fn turns(&mut self) -> Result<(), Fatal> {
        let mut drain_until = None;
        let mut more = true;
        let (mut swept, mut looked) = (self.clock.mono(), self.clock.mono());
        let mut pressure = Pressure::default();
        loop {
            self.watchdog.feed(self.clock.mono());
            let patience = match (more, drain_until) {
                (true, _) => Duration::ZERO,
                // What is due is left for the next start; outcomes and the writer ring the bell.
                (false, Some(_)) => NAP,
                (false, None) => self.patience(),
            };
            let room = if self.pump.is_full() { 0 } else { MESSAGES_PER_TURN };
            let Delivery { messages, committed } =
                self.handle.shared().mailbox.take(room, patience);
            if let Some(result) = committed {
                result?;
                let released = self.pump.durable();
                self.release(released);
            }
            let now = self.clock.mono();
            if now - swept >= self.sweep_pause(messages.len() >= BUSY) {
                self.pump.allow_sweep();
                swept = now;
            }
            if now - looked >= pressure::LOOK {
                let crowded = pressure.look(now - looked, self.pump.view().backlogs());
                self.handle.shared().crowded.store(crowded, Ordering::Relaxed);
                looked = now;
            }
            for message in messages {
                match message {
                    Message::Input(input, reply) => {
                        self.pump.take(self.clock.wall(), input, reply)?;
                    }
                    Message::Ask(query, reply) => self.pump.ask(&query, reply)?,
                    Message::Rules(rules, reply) => {
                        self.handle.set_rules(rules.clone());
                        self.pump.put_in_force(self.clock.wall(), rules, Some(reply))?;
                    }
                    Message::Drain => {
                        self.pump.drain();
                        drain_until = Some(self.clock.mono().to_std() + DRAIN_TIME);
                    }
                    #[cfg(feature = "test-clock")]
                    Message::Clock(to) => self.moved = Some(to.begin()),
                }
            }
            more = self.work(drain_until.is_some())?;
            self.seal()?;
            #[cfg(feature = "test-clock")]
            self.say_rest(more);
            if let Some(until) = drain_until {
                let late = self.clock.mono().to_std() >= until;
                let idle = self.pump.in_flight() == 0 && !more;
                if (idle || late) && !self.pump.is_syncing() {
                    if late {
                        tracing::warn!(
                            effects = self.pump.in_flight(),
                            "stopping with effects under way: they are repeated at the next start"
                        );
                    }
                    return Ok(());
                }
            }
        }
    }

    /// The engine's own work, until the batch is full or has taken its time. Whether there is more.
    fn work(&mut self, draining: bool) -> Result<bool, Fatal> {
        if draining {
            return Ok(false);
        }
        let begun = self.clock.mono();
        while !self.pump.is_full() {
            if !self.pump.work(self.clock.wall())? {
                if self.handle.health() == Health::Starting {
                    self.handle.set_health(Health::Ready);
                }
                return Ok(false);
            }
            if self.clock.mono() - begun > limits::BATCH_TIME {
                return Ok(true);
            }
        }
        // A full batch waits for the one that syncs, and the writer's answer rings the bell.
        Ok(!self.pump.is_syncing())
    }

    /// Tells the test that moved the clock when nothing is left to do at the time it set. What is being
    /// asked by a poll and what is past its retention are not waited for.
    #[cfg(feature = "test-clock")]
    fn say_rest(&mut self, more: bool) {
        let is_busy = more || self.pump.is_syncing() || self.pump.in_flight() > 0;
        if let Some(to) = self.moved.take_if(|_| !is_busy) {
            to.rest(self.pump.next_due());
        }
    }

    fn seal(&mut self) -> Result<(), Fatal> {
        if self.pump.is_syncing() {
            self.pump.attach_unwritten();
            return Ok(());
        }
        if let Some(batch) = self.pump.seal() {
            if !self.writer.commit(batch) {
                return Err(Fatal::Gone("writer"));
            }
        } else if let Some(released) = self.pump.unwritten() {
            self.release(released);
        }
        Ok(())
    }

    fn release(&mut self, released: Released<Reply>) {
        for (reply, response) in released.responses {
            // Whoever asked may have gone away.
            drop(reply.send(response));
        }
        for (command, bundle) in released.commands {
            self.executor.perform(command, bundle);
        }
        for ask in released.asks {
            self.executor.poll(ask);
        }
        for (run, workflow, text) in released.said {
            tracing::info!(target: "adjutant::rule", %run, %workflow, "{text}");
        }
    }

    /// Time between two pages of a sweep.
    fn sweep_pause(&self, busy: bool) -> Span {
        let pause = if busy { SWEEP_PAUSE_BUSY } else { SWEEP_PAUSE };
        let haste = i64::from(self.pump.haste()) + 1;
        Span::from_micros(pause.as_micros() / haste).max(SWEEP_PAUSE_LEAST)
    }

    /// How long nothing needs to be done.
    fn patience(&self) -> Duration {
        if self.pump.is_full() {
            // Only the writer can help, and it rings the bell.
            return NAP;
        }
        let wall = self.clock.wall();
        let nap = if self.pump.is_sweeping() { self.sweep_pause(false).to_std() } else { NAP };
        match self.pump.next_due() {
            Some(due) => until(wall, due).min(nap),
            None => nap,
        }
    }
}

fn until(now: Instant, due: Instant) -> Duration {
    due.since(now).to_std()
}

impl Handle {
    /// Tells the engine to finish what is under way and stop.
    pub(super) fn drain(&self) {
        self.set_health(Health::Draining);
        // An engine that is gone has stopped already.
        let _ = self.shared().mailbox.push(Message::Drain);
    }
}
