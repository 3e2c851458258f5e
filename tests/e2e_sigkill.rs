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

use audit::Effect;
use serde_json::Value;
use support::chance::Chance;
use support::daemon::Daemon;
use support::folder::Folder;
use support::receiver::{Heard, Receiver, Reply};
use support::smtp::{Options, Smtp, Turn};
use support::{runs, say};

/// Kills in one test, unless `ADJUTANT_KILLS` says otherwise.
const KILLS: u64 = 25;
/// How long everything that was accepted may take to be done after the last kill.
const SETTLE: Duration = Duration::from_mins(2);
/// How often it is looked at whether they are: what is looked at is large.
const LOOK: Duration = Duration::from_millis(250);
/// Findings shown when there are many.
const SHOWN: usize = 40;
/// Mails to be moody about; those after them are taken.
const TURNS: usize = 10_000;
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
    let smtp = Smtp::start(Options { script: moody_turns(&mut chance), ..Options::default() });
    let config = format!(
        "webhooks:\n  allow_networks: [127.0.0.0/8]\nsmtp:\n  host: 127.0.0.1\n  port: {}\n  \
         tls: none\n  from: ops@x.example\n",
        smtp.address().port()
    );
    let folder = Folder::new(&config).rule("load.yaml", &load::rules(&receiver.url("/effect")));
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
    let heard = || [receiver.heard(), audit::mails(&smtp.attempts())].concat();
    // What does not come in time is found by the audit, which can say what it was.
    let settled = settles(|| audit::missing(&wanted, &heard()).iter().all(Effect::needs_answer));
    if settled {
        load::answer_the_rest(&daemon.url("/v1/events"), &sent);
        settles(|| audit::missing(&wanted, &heard()).is_empty());
        settles(|| audit::unfinished(&everything_run(&daemon)).is_empty());
        std::thread::sleep(QUIET);
    }

    let (heard, runs) = (heard(), everything_run(&daemon));
    let findings = audit::audit(&sent, &heard, &runs);
    let figures = audit::Figures::of(&sent, &heard, &runs);
    let total_kills = kills + while_starting;
    say(&format!(
        "sigkill: {total_kills} kills ({while_starting} while starting), {figures}, wrong {}, {:.0?}",
        findings.len(),
        began.elapsed()
    ));
    let first: Vec<&str> = findings.iter().take(SHOWN).map(String::as_str).collect();
    assert!(first.is_empty(), "seed {seed}: {} wrong:\n{}", findings.len(), first.join("\n"));
    assert!(figures.accepted > 20 * kills as usize, "there was hardly any load");
}

/// Waits until something is so; answers whether it came to that.
fn settles(is_so: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < SETTLE {
        if is_so() {
            return true;
        }
        std::thread::sleep(LOOK);
    }
    false
}

/// Every run, those of policies among them.
fn everything_run(daemon: &Daemon) -> Vec<Value> {
    let answer = daemon.get("/v1/escalations?all=true&limit=1000");
    let escalations = answer.json()["escalations"].as_array().cloned().unwrap_or_default();
    let as_run = |mut escalation: Value| {
        escalation["workflow"] = escalation["policy"].take();
        escalation
    };
    [runs::all(daemon), escalations.into_iter().map(as_run).collect()].concat()
}

/// A relay with bad days.
fn moody_turns(chance: &mut Chance) -> Vec<Turn> {
    let turn = |number| match number {
        0..8 => Turn::AtRcpt(451),
        8..14 => Turn::AfterData(452),
        14..20 => Turn::TakenUnanswered,
        20..24 => Turn::HangUp,
        _ => Turn::Accept,
    };
    (0..TURNS).map(|_| turn(chance.below(100))).collect()
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
