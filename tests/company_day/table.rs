//! The events of the day, a row for each type: how many of a hundred thousand, and what is in one.
//!
//! A type that the shipped rules hear and that has no row here is a mistake, which a test finds.

use serde_json::json;

use crate::company::{Hand, Made};

/// What is known of a type of events.
pub(crate) struct Row {
    pub(crate) kind: &'static str,
    /// How many there are, compared with the others.
    pub(crate) share: u64,
    /// Makes one up; `None` while there is nobody of whom that could be said.
    pub(crate) make: fn(&mut Hand<'_>) -> Option<Made>,
}

/// A row.
const fn row(kind: &'static str, share: u64, make: fn(&mut Hand<'_>) -> Option<Made>) -> Row {
    Row { kind, share, make }
}

/// An event about a person of whom only the address is said.
fn address(hand: &mut Hand<'_>) -> Option<Made> {
    let email = hand.person().email;
    Some((String::new(), json!({ "email": email })))
}

fn lead_that(hand: &mut Hand<'_>, stages: &[&str]) -> Option<String> {
    hand.one_that_is("lead", "stage", stages)
}

fn complaint_that(hand: &mut Hand<'_>, states: &[&str]) -> Option<String> {
    hand.one_that_is("complaint", "status", states)
}

/// The table.
pub(crate) const ROWS: &[Row] = &[
    row("lead.created", 800, |hand| Some((hand.new_one("lead"), hand.form()))),
    row("lead.imported", 60, |hand| Some((hand.new_one("lead"), hand.form()))),
    row("lead.accepted", 350, |hand| {
        let lead = lead_that(hand, &["assigned"])?;
        let by = hand.field(&lead, "owner");
        Some((lead, json!({ "by": by })))
    }),
    row("lead.rejected", 80, |hand| {
        let lead = lead_that(hand, &["assigned", "accepted"])?;
        let reason = hand.chance.pick(["a competitor", "no budget", "", "too early"]);
        Some((lead, json!({ "by": hand.colleague(), "reason": reason })))
    }),
    row("lead.contacted", 250, |hand| {
        let lead = lead_that(hand, &["accepted"])?;
        Some((lead, json!({ "by": hand.colleague() })))
    }),
    row("lead.withdrawn", 40, |hand| Some((hand.known("lead")?, json!({})))),
    row("touch.recorded", 600, |hand| {
        let kinds = ["demo", "webinar", "pricing", "pricing", "download", "download", "sneeze"];
        let mut data = json!({ "kind": hand.chance.pick(kinds) });
        if hand.chance.one_in(3)
            && let Some(campaign) = hand.known("campaign")
        {
            data["campaign"] = campaign.into();
        }
        Some((hand.old_one("lead")?, data))
    }),
    row("email.clicked", 120, |hand| Some((lead_that(hand, &["nurture"])?, json!({})))),
    row("rep.out", 10, |hand| {
        let hours = 1 + hand.chance.below(4) as i64;
        let data = json!({ "ends": hand.in_hours(hours), "reason": "dentist" });
        Some((format!("person/{}", hand.colleague()), data))
    }),
    row("rep.in", 8, |hand| Some((format!("person/{}", hand.colleague()), json!({})))),
    row("signup.completed", 250, |hand| Some((hand.new_one("signup"), hand.form()))),
    row("signup.activated", 130, |hand| Some((hand.old_one("signup")?, json!({})))),
    row("signup.cancelled", 30, |hand| Some((hand.old_one("signup")?, json!({})))),
    row("consent.given", 200, |hand| {
        let email = hand.person().email;
        Some((String::new(), json!({ "email": email, "text": "Send me news", "where": "fair" })))
    }),
    row("consent.withdrawn", 60, address),
    row("preferences.changed", 80, |hand| {
        let zones = ["Europe/Berlin", "America/New_York", "Asia/Tokyo", "Pacific/Auckland"];
        let email = hand.person().email;
        Some((
            String::new(),
            json!({ "email": email, "zone": hand.chance.pick(zones), "language": "en" }),
        ))
    }),
    row("erasure.requested", 15, |hand| {
        let lead = hand.known("lead")?;
        let email = hand.field(&lead, "email");
        (!email.is_empty()).then(|| (String::new(), json!({ "email": email })))
    }),
    row("campaign.ended", 12, |hand| {
        let name = hand.new_one("campaign");
        let leads = hand.chance.below(500);
        let data = json!({ "name": name, "goal": { "leads": leads }, "owner": "nora" });
        Some((name, data))
    }),
    row("campaign.metrics.received", 10, |hand| {
        let leads = hand.chance.below(600);
        Some((hand.old_one("campaign")?, json!({ "leads": leads, "spent_cents": 120_000 })))
    }),
    row("campaign.planned", 25, |hand| {
        let name = hand.new_one("campaign");
        let starts = 24 * (1 + hand.chance.below(20) as i64);
        let budget = hand.chance.pick([90_000, 800_000, 3_000_000]);
        let data = json!({
            "name": name, "owner": hand.chance.pick(["nora", "paul"]), "budget_cents": budget,
            "starts": hand.in_hours(starts), "ends": hand.in_hours(starts + 24 * 14),
            "goal": { "leads": 20 },
        });
        Some((name, data))
    }),
    row("campaign.cancelled", 3, |hand| Some((hand.old_one("campaign")?, json!({})))),
    row("launch.scheduled", 6, |hand| {
        let hours = hand.chance.below(400) as i64;
        Some((hand.old_one("campaign")?, json!({ "at": hand.in_hours(hours) })))
    }),
    row("launch.item.done", 70, |hand| {
        let items = ["assets", "landing-page", "tracking", "legal", "champagne"];
        Some((hand.old_one("campaign")?, json!({ "item": hand.chance.pick(items) })))
    }),
    row("launch.item.undone", 4, |hand| {
        Some((hand.old_one("campaign")?, json!({ "item": "legal" })))
    }),
    row("cost.logged", 40, |hand| {
        let cents = 100 * hand.chance.below(5_000);
        Some((hand.old_one("campaign")?, json!({ "amount_cents": cents, "what": "printing" })))
    }),
    row("deal.won", 25, |hand| {
        let lead = hand.known("lead")?;
        let cents = 1 + hand.chance.below(5_000_000);
        Some((hand.new_one("deal"), json!({ "lead": lead, "amount_cents": cents })))
    }),
    row("flight.planned", 15, |hand| {
        let campaign = hand.known("campaign")?;
        let starts = 24 * (2 + hand.chance.below(60) as i64);
        let data = json!({
            "campaign": campaign, "medium": hand.chance.pick(["tv", "radio", "print", "web"]),
            "starts": hand.in_hours(starts), "ends": hand.in_hours(starts + 24 * 7),
        });
        Some((hand.new_one("flight"), data))
    }),
    row("flight.booked", 9, |hand| Some((hand.old_one("flight")?, json!({})))),
    row("flight.cancelled", 2, |hand| Some((hand.old_one("flight")?, json!({})))),
    row("flight.metrics.received", 8, |hand| {
        let leads = hand.chance.below(40);
        Some((hand.old_one("flight")?, json!({ "leads": leads, "spent_cents": 70_000 })))
    }),
    row("event.ended", 4, |hand| {
        let contacts: Vec<_> = (0..3 + hand.chance.below(60))
            .map(|_| hand.person())
            .map(|person| json!({ "email": person.email, "language": person.language }))
            .collect();
        Some((hand.new_one("event"), json!({ "name": "A fair", "contacts": contacts })))
    }),
    row("press.requested", 8, |hand| {
        let outlet = hand.person().email;
        let data =
            json!({ "title": "News", "text": "We grow.", "by": "nora", "outlets": [outlet] });
        Some((hand.new_one("press"), data))
    }),
    row("press.withdrawn", 2, |hand| Some((hand.old_one("press")?, json!({})))),
    row("content.personalise.requested", 40, |hand| {
        Some((
            hand.old_one("lead")?,
            json!({ "experiment": hand.chance.pick(["hero-1", "offer-1"]) }),
        ))
    }),
    row("campaign.reopened", 3, |hand| Some((hand.old_one("campaign")?, json!({})))),
    row("complaint.filed", 120, |hand| {
        let person = hand.person();
        let severity = hand.chance.pick(["1", "high", "", "", "3", "low"]);
        let data = json!({
            "email": person.email, "severity": severity, "language": person.language,
            "text": "The export is empty.",
        });
        Some((hand.new_one("complaint"), data))
    }),
    row("complaint.acknowledged", 90, |hand| Some((complaint_that(hand, &["open"])?, json!({})))),
    row("complaint.pending", 30, |hand| Some((complaint_that(hand, &["open"])?, json!({})))),
    row("complaint.resumed", 20, |hand| Some((complaint_that(hand, &["pending"])?, json!({})))),
    row("complaint.changed", 20, |hand| {
        let severity = 1 + hand.chance.below(3);
        Some((complaint_that(hand, &["open", "pending"])?, json!({ "severity": severity })))
    }),
    row("complaint.resolved", 80, |hand| {
        let cause = hand.chance.pick(["product", "delivery", "invoice", "witchcraft", ""]);
        Some((complaint_that(hand, &["open", "pending"])?, json!({ "cause": cause })))
    }),
    row("complaint.reopened", 12, |hand| {
        Some((complaint_that(hand, &["resolved", "closed"])?, json!({ "text": "Still broken." })))
    }),
    row("complaint.withdrawn", 8, |hand| {
        Some((complaint_that(hand, &["open", "pending", "resolved"])?, json!({})))
    }),
    row("concern.logged", 120, |hand| {
        // A few who find fault with everything.
        let email = if hand.chance.one_in(2) {
            format!("person{}@firm.example", hand.chance.below(12))
        } else {
            hand.person().email
        };
        Some((hand.new_one("concern"), json!({ "email": email, "text": "Hm.", "by": "cara" })))
    }),
    row("customer.purchased", 250, |hand| {
        let person = hand.person();
        let data = json!({
            "email": person.email, "name": person.name, "language": person.language,
            "owner": hand.colleague(), "product": "Ops",
        });
        Some((hand.new_one("customer"), data))
    }),
    row("survey.requested", 150, |hand| {
        let (email, kind) = (hand.person().email, hand.chance.pick(["csat", "nps"]));
        Some((String::new(), json!({ "email": email, "kind": kind })))
    }),
    row("survey.responded", 120, |hand| {
        let kind = hand.chance.pick(["csat", "nps"]);
        let score = hand.chance.below(if kind == "nps" { 11 } else { 6 });
        let email = hand.person().email;
        Some((
            String::new(),
            json!({ "email": email, "kind": kind, "score": score, "text": "The invoice." }),
        ))
    }),
    row("feedback.received", 200, |hand| {
        let texts =
            ["The price!", "It is slow.", "My invoice is wrong.", "Lovely.", "Delivery is late"];
        Some((String::new(), json!({ "text": hand.chance.pick(texts), "source": "chat" })))
    }),
    row("product.feedback.raised", 40, |hand| {
        let email = hand.person().email;
        Some((hand.new_one("product-feedback"), json!({ "text": "Dark mode", "email": email })))
    }),
    row("product.feedback.answered", 25, |hand| {
        let wish = hand.one_that_is("product-feedback", "status", &["waiting"])?;
        Some((wish, json!({ "answer": "In spring.", "outcome": "planned" })))
    }),
    row("contact.opted-out", 40, address),
    row("contact.opted-in", 15, address),
];
