//! The company and its customers: who there is, and what was sent about them so far.

use adjutant::model::{Instant, Value, View as _};
use adjutant::store::State;
use serde_json::{Value as Json, json};

use crate::support::chance::Chance;
use crate::world::{record, text};

/// People who may write, buy and complain.
const PEOPLE: u64 = 1_500;
/// How often somebody is looked for of whom something may be said now.
const TRIES: usize = 40;

/// Somebody outside.
pub(crate) struct Person {
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) language: &'static str,
    pub(crate) country: &'static str,
    pub(crate) title: &'static str,
    pub(crate) employees: u64,
}

impl Person {
    /// Somebody by number: always the same.
    pub(crate) fn number(number: u64) -> Self {
        let mut chance = Chance::new(number);
        // Some servers refuse for good, some take it at the third attempt, of some the answer is lost.
        let domain = match chance.below(40) {
            0 => "bounce.example",
            1 => "slow.example",
            2 => "lost.example",
            3 => "gmail.com",
            _ => "firm.example",
        };
        Self {
            email: format!("person{number}@{domain}"),
            name: format!("Person {number}"),
            language: chance.pick(["de", "de-AT", "en", "en", "fr"]),
            country: chance.pick(["DE", "AT", "CH", "FR", "US", "CA", "JP", ""]),
            title: chance.pick(["CEO", "Head of Sales", "Student", "", "", "Engineer"]),
            employees: chance.pick([0, 5, 60, 400, 6_000]),
        }
    }
}

/// What was sent so far: how many there are of each kind of subject.
#[derive(Default)]
pub(crate) struct Company {
    counts: std::collections::BTreeMap<&'static str, u64>,
}

/// Whoever makes up an event: with the dice, the company, and a look at what the daemon knows.
pub(crate) struct Hand<'h> {
    pub(crate) chance: &'h mut Chance,
    pub(crate) company: &'h mut Company,
    pub(crate) state: &'h State,
    pub(crate) now: Instant,
}

/// An event as it was made up: its subject and data.
pub(crate) type Made = (String, Json);

impl Hand<'_> {
    pub(crate) fn person(&mut self) -> Person {
        Person::number(self.chance.below(PEOPLE))
    }

    /// A new subject of a kind: `lead/17`.
    pub(crate) fn new_one(&mut self, kind: &'static str) -> String {
        let count = self.company.counts.entry(kind).or_default();
        *count += 1;
        format!("{kind}/{count}")
    }

    /// A subject of a kind that was new some time today.
    pub(crate) fn old_one(&mut self, kind: &'static str) -> Option<String> {
        let count = self.company.counts.get(kind).copied().unwrap_or_default();
        (count > 0).then(|| format!("{kind}/{}", 1 + self.chance.below(count)))
    }

    /// One whose record has one of these texts in a field.
    pub(crate) fn one_that_is(
        &mut self,
        kind: &'static str,
        field: &str,
        values: &[&str],
    ) -> Option<String> {
        (0..TRIES).find_map(|_| {
            let subject = self.old_one(kind)?;
            let found = record(self.state, kind, subject.split_once('/')?.1)?;
            values.contains(&text(&found, field)).then_some(subject)
        })
    }

    /// One that is there at all.
    pub(crate) fn known(&mut self, kind: &'static str) -> Option<String> {
        (0..TRIES).find_map(|_| {
            let subject = self.old_one(kind)?;
            record(self.state, kind, subject.split_once('/')?.1).map(|_| subject)
        })
    }

    /// Text of a record's field.
    pub(crate) fn field(&self, subject: &str, field: &str) -> String {
        let found = subject.split_once('/').and_then(|(kind, id)| record(self.state, kind, id));
        found.map(|found| text(&found, field).to_owned()).unwrap_or_default()
    }

    /// What somebody typed into a form.
    pub(crate) fn form(&mut self) -> Json {
        let person = self.person();
        let mut form = json!({
            "email": person.email, "name": person.name, "language": person.language,
            "country": person.country, "title": person.title, "employees": person.employees,
        });
        // People do not spell their addresses alike.
        if self.chance.one_in(8) {
            form["email"] = format!(" {}", person.email.to_uppercase()).into();
        }
        if self.chance.one_in(2) {
            form["consent"] = "Yes, send me news".into();
        }
        form
    }

    /// Somebody on the staff.
    pub(crate) fn colleague(&mut self) -> &'static str {
        self.chance.pick(["ana", "ben", "cara", "dan"])
    }

    /// An instant so many hours from now, as JSON has it.
    pub(crate) fn in_hours(&self, hours: i64) -> String {
        (self.now + adjutant::model::Span::from_secs(hours * 3_600)).to_string()
    }
}

/// Something that no form should let through, in one of the fields of an event, or all of it.
pub(crate) fn absurd(chance: &mut Chance, data: &Json) -> Json {
    let mut data = data.clone();
    let nonsense = match chance.below(10) {
        0 => Json::Null,
        1 => json!([]),
        2 => json!({ "nested": { "deep": [1, 2, { "x": null }] } }),
        3 => json!(-1),
        4 => json!(9.9e99),
        5 => json!("@"),
        6 => json!("<script>alert(1)</script> ${event.data} {{ event }}"),
        7 => json!("a@b.example\r\nBcc: everybody@c.example"),
        8 => json!("\u{202e}\u{0}\u{1f600} ".repeat(50)),
        _ => json!(format!("x@{}", "very-long.".repeat(2_000))),
    };
    match data.as_object_mut() {
        Some(fields) if !fields.is_empty() && !chance.one_in(10) => {
            let at = chance.below(fields.len() as u64) as usize;
            if let Some((_, value)) = fields.iter_mut().nth(at) {
                *value = nonsense;
            }
        }
        _ => data = if chance.one_in(2) { json!({}) } else { nonsense },
    }
    data
}

/// The ids of open obligations, a few.
pub(crate) fn open_obligations(state: &State) -> Vec<adjutant::model::Text> {
    let open = Value::from("open");
    let found = state.records_where("obligation", "status", &open, 50).expect("readable");
    found.iter().map(|record| record.address.id.clone()).collect()
}
