//! Whether the marketing mails of a day may have been sent: by what people said, and not by what the rules
//! remember of it.

use std::collections::BTreeMap;

use adjutant::model::Instant;
use jiff::tz::TimeZone;

use crate::outside::{Outside, Said};

/// Mails that somebody may get in a day of theirs.
const CAP: usize = 2;
/// From and until when people are not written to.
const NIGHT: [i8; 2] = [21, 8];
/// Where whoever has not said so is.
const HERE: &str = "Europe/Berlin";

/// Everything that should not have been sent, one a line.
pub(crate) fn check(outside: &Outside) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut of_a_day: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for sent in outside.sent.values().filter(|sent| sent.purpose == "marketing") {
        let said = outside.said.get(&sent.to).map_or(&[][..], Vec::as_slice);
        for (nth, (at, zone)) in sent.attempts.iter().enumerate() {
            let mut fault =
                |why: &str| wrong.push(format!("{at} {} to {}: {why}", sent.template, sent.to));
            if !agrees(said, *at) {
                fault("marketing without consent");
            }
            // What was said at that very moment may have been said after it.
            if said.iter().any(|(when, what)| when < at && *what == Said::Never) {
                fault("marketing to whoever wanted no more");
            }
            let Ok(zone) = TimeZone::get(if zone.is_empty() { HERE } else { zone }) else {
                fault("in a zone that does not exist");
                continue;
            };
            let local = at.to_timestamp().to_zoned(zone);
            if local.hour() >= NIGHT[0] || local.hour() < NIGHT[1] {
                fault("marketing at night");
            }
            if nth == 0 {
                let count = of_a_day.entry((&sent.to, local.date().to_string())).or_default();
                *count += 1;
                if *count > CAP {
                    fault("marketing over the cap");
                }
            }
        }
    }
    wrong
}

/// Whether the last that somebody said by then was yes.
fn agrees(said: &[(Instant, Said)], at: Instant) -> bool {
    let before = said.iter().rev().find(|(when, what)| match what {
        Said::Yes => *when <= at,
        Said::No => *when < at,
        Said::Never => false,
    });
    before.is_some_and(|(_, what)| *what == Said::Yes)
}
