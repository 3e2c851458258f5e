//! SIGKILL of the real binary at random moments under load: every event answered 202 has its effects,
//! no run happens twice, and repeated effects share their key and their content.
//!
//! `ADJUTANT_KILLS` says how often (25 by default), `ADJUTANT_SEED` plays a run again as far as chance
//! is ours: moments are real.
#![allow(clippy::disallowed_methods, reason = "a real process is watched in real time")]

mod support;

#[path = "sigkill/audit.rs"]
mod audit;
#[path = "sigkill/load.rs"]
mod load;

use std::time::{Duration, Instant};

use support::chance::Chance;
use support::daemon::Daemon;
use support::folder::Folder;
use support::receiver::{Heard, Receiver, Reply};
use support::{runs, say, wait_for};

/// Kills in one test, unless `ADJUTANT_KILLS` says otherwise.
const KILLS: u64 = 25;
/// How long everything that was accepted may take to be done after the last kill.
const SETTLE: Duration = Duration::from_mins(2);
/// Long enough for a second, wrong effect to show.
const QUIET: Duration = Duration::from_secs(2);

#[test]
fn nothing_accepted_is_lost_or_doubled_when_the_daemon_is_killed() {
    let seed = Chance::seed("ADJUTANT_SEED");
    let kills = std::env::var("ADJUTANT_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    say(&format!("sigkill: seed {seed}, {kills} kills"));
    let mut chance = Chance::new(seed);
    let began = Instant::now();

    let fate = chance.next();
    let receiver = Receiver::start(move |heard| moody(fate, heard));
    let config = "webhooks:\n  allow_networks: [127.0.0.0/8]\n";
    let folder = Folder::new(config).rule("load.yaml", &load::rules(&receiver.url("/effect")));
    let mut daemon = Daemon::start(folder);
    let senders = load::Senders::start(&daemon.url("/v1/events"), &mut chance);

    let mut while_starting = 0;
    for _ in 0..kills {
        std::thread::sleep(chance.millis(100, 1_200));
        daemon.kill();
        daemon.spawn();
        if chance.below(4) == 0 {
            // Recovery must survive being killed as well.
            std::thread::sleep(chance.millis(5, 400));
            daemon.kill();
            daemon.spawn();
            while_starting += 1;
        }
        daemon.await_ready();
    }
    let sent = senders.finish();
    let wanted = audit::wanted(&sent);
    wait_for("every level of the ladders", SETTLE, || {
        audit::missing(&wanted, &receiver.heard())
            .iter()
            .all(audit::Effect::needs_answer)
            .then_some(())
    });
    load::answer_the_rest(&daemon.url("/v1/events"), &sent);
    wait_for("every effect", SETTLE, || {
        audit::missing(&wanted, &receiver.heard()).is_empty().then_some(())
    });
    let runs = wait_for("every run to end", SETTLE, || {
        let runs = runs::all(&daemon);
        runs.iter().all(|run| run["status"] == "done").then_some(runs)
    });
    std::thread::sleep(QUIET);

    let heard = receiver.heard();
    let findings = audit::audit(&sent, &heard, &runs);
    let figures = audit::Figures::of(&sent, &heard, &runs);
    let total_kills = kills + while_starting;
    say(&format!(
        "sigkill: {total_kills} kills ({while_starting} while starting), {figures}, wrong {}, {:.0?}",
        findings.len(),
        began.elapsed()
    ));
    assert!(findings.is_empty(), "seed {seed}:\n{}", findings.join("\n"));
    assert!(figures.accepted > 20 * kills as usize, "there was hardly any load");
}

/// A receiver with bad days: the same key always has the same ones, whatever the order of requests.
fn moody(fate: u64, heard: &Heard) -> Reply {
    let hash =
        heard.key().bytes().fold(fate, |hash, byte| Chance::new(hash ^ u64::from(byte)).next());
    match (heard.earlier, hash % 100) {
        (0, 0..15) => Reply::status(500),
        (0, 15..20) => Reply::status(429).header("retry-after", "1"),
        (0 | 1, 20..25) => Reply::none(),
        (0, 25..60) => Reply::status(200).after(Duration::from_millis(hash % 200)),
        _ => Reply::status(200),
    }
}
