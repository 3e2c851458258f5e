//! [`Report`]: one table of figures, as markdown for people and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::machine::Machine;

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Whole things, or things a second.
    Count,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Seconds.
    Seconds,
    /// Bytes, shown in millions.
    Megabytes,
    /// Bytes.
    Bytes,
    /// A part of 1, shown in percent.
    Share,
    /// A quotient.
    Ratio,
}

impl Unit {
    /// A value for people.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Count => thousands(value),
            Self::Millis => format!("{} ms", digits(value)),
            Self::Micros => format!("{} µs", digits(value)),
            Self::Seconds => format!("{value:.3} s"),
            Self::Megabytes => format!("{} MB", digits(value / 1e6)),
            Self::Bytes => format!("{} B", thousands(value)),
            Self::Share => format!("{:.1} %", value * 100.0),
            Self::Ratio => format!("{value:.2}"),
        }
    }
}

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// At most so much.
    AtMost(f64),
    /// At least so much.
    AtLeast(f64),
    /// At least this share of the floor's.
    OfFloor(f64),
    /// Must not happen, whatever the machine: if it does, the benchmark fails.
    Never,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    name: String,
    what: String,
    unit: Unit,
    floor: Option<f64>,
    ours: Option<f64>,
    given_ratio: Option<f64>,
    target: Option<Target>,
}

impl Row {
    /// A figure of the daemon: `name` is for programs, `what` for people.
    pub(crate) fn new(name: &str, what: &str, unit: Unit, ours: impl Into<Option<f64>>) -> Self {
        let (name, what) = (name.to_owned(), what.to_owned());
        Self { name, what, unit, floor: None, ours: ours.into(), given_ratio: None, target: None }
    }

    /// The same of the floor.
    pub(crate) fn floor(mut self, floor: impl Into<Option<f64>>) -> Self {
        self.floor = floor.into();
        self
    }

    /// What it should be.
    pub(crate) fn target(mut self, target: impl Into<Option<Target>>) -> Self {
        self.target = target.into();
        self
    }

    /// A ratio found in another way than by dividing the two.
    pub(crate) fn with_ratio(mut self, ratio: Option<f64>) -> Self {
        self.given_ratio = ratio;
        self
    }

    fn ratio(&self) -> Option<f64> {
        let floor = self.floor.filter(|floor| *floor > 0.0)?;
        self.given_ratio.or(Some(self.ours? / floor))
    }

    fn met(&self) -> Option<bool> {
        let ours = self.ours?;
        match self.target? {
            Target::AtMost(most) => Some(ours <= most),
            Target::AtLeast(least) => Some(ours >= least),
            Target::OfFloor(share) => Some(self.ratio()? >= share),
            Target::Never => Some(ours <= 0.0),
        }
    }

    fn markdown(&self) -> String {
        let show =
            |value: Option<f64>| value.map_or("–".to_owned(), |value| self.unit.show(value));
        let ratio = self.ratio().map_or(String::new(), |ratio| Unit::Ratio.show(ratio));
        let target = match self.target {
            None => String::new(),
            Some(Target::AtMost(most)) => format!("≤ {}", self.unit.show(most)),
            Some(Target::AtLeast(least)) => format!("≥ {}", self.unit.show(least)),
            Some(Target::OfFloor(share)) => format!("≥ {share} × floor"),
            Some(Target::Never) => "0".to_owned(),
        };
        let met = match self.met() {
            None => "",
            Some(true) => " ✓",
            Some(false) => " ✗",
        };
        let floor = if self.floor.is_some() { show(self.floor) } else { String::new() };
        format!("| {} | {} | {floor} | {ratio} | {target}{met} |\n", self.what, show(self.ours))
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name, "what": self.what, "unit": format!("{:?}", self.unit).to_lowercase(),
            "adjutant": self.ours, "floor": self.floor, "ratio": self.ratio(), "met": self.met(),
        })
    }
}

/// Lines that belong together, with what there is to say about them.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    title: String,
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Section {
    /// An empty one.
    pub(crate) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), rows: Vec::new(), notes: Vec::new() }
    }

    /// One more line.
    pub(crate) fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// One more sentence below the table.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

/// Everything.
pub(crate) struct Report {
    machine: Machine,
    sections: Vec<Section>,
}

impl Report {
    /// An empty one.
    pub(crate) const fn new(machine: Machine) -> Self {
        Self { machine, sections: Vec::new() }
    }

    /// Puts a section at the end.
    pub(crate) fn add(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// What happened and must never.
    pub(crate) fn broken(&self) -> Vec<String> {
        let rows = self
            .sections
            .iter()
            .flat_map(|section| section.rows.iter().map(|row| (&section.title, row)));
        rows.filter(|(_, row)| {
            matches!(row.target, Some(Target::Never)) && row.met() == Some(false)
        })
        .map(|(title, row)| format!("{title}: {}", row.what))
        .collect()
    }

    /// Ready to be pasted.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("{}\n\n", self.machine);
        text.push_str("| | Adjutant | floor | ratio | target |\n|---|---|---|---|---|\n");
        for section in &self.sections {
            let _ = writeln!(text, "| **{}** | | | | |", section.title);
            section.rows.iter().for_each(|row| text.push_str(&row.markdown()));
        }
        for section in &self.sections {
            for note in &section.notes {
                let _ = write!(text, "\n- {}: {note}", section.title);
            }
        }
        text.push('\n');
        text
    }

    /// For programs: figures in the units of their rows, bytes as bytes.
    pub(crate) fn json(&self) -> Value {
        let sections = self.sections.iter().map(|section| {
            let rows: Vec<Value> = section.rows.iter().map(Row::json).collect();
            json!({ "title": section.title, "rows": rows, "notes": section.notes })
        });
        json!({ "machine": self.machine.json(), "sections": sections.collect::<Vec<_>>() })
    }
}

/// The one in the middle, or the mean of the two; `None` of nothing.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// Three digits that matter.
fn digits(value: f64) -> String {
    match value {
        100.0.. => thousands(value),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < -0.5 { format!("-{text}") } else { text }
}
