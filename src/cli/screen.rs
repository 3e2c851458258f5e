//! [`Screen`]: what people see. Everything is laid out as text with styles first; the styles are
//! taken out on the way where they are not wanted.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use clap::ColorChoice;
use clap::builder::styling::{AnsiColor, Style};
use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};
use jiff::tz::TimeZone;

use super::{Failure, Globals};

/// Bold.
pub(super) const BOLD: Style = Style::new().bold();
/// Of little weight.
pub(super) const DIM: Style = Style::new().dimmed();
/// Something to look at.
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What helps.
const HELP: Style = AnsiColor::Cyan.on_default().bold();

/// Prints for people or for programs.
pub(super) struct Screen {
    json: bool,
    zone: TimeZone,
}

impl Screen {
    /// As the global options say, in the machine's time zone.
    pub(super) fn new(globals: &Globals) -> Self {
        Self { json: globals.json, zone: TimeZone::system() }
    }

    /// In UTC, for tests.
    #[cfg(test)]
    pub(super) fn utc() -> Self {
        Self { json: false, zone: TimeZone::UTC }
    }

    /// Prints the API's JSON, or what `text` lays out.
    pub(super) fn show(&self, json: &serde_json::Value, text: impl FnOnce(&Self) -> String) {
        if self.json {
            say(&format!("{json:#}\n"));
        } else {
            say(&text(self));
        }
    }

    /// Prints one line of JSON, or what `text` lays out.
    pub(super) fn show_line(&self, json: &serde_json::Value, text: impl FnOnce(&Self) -> String) {
        if self.json {
            say(&format!("{json}\n"));
        } else {
            say(&text(self));
        }
    }

    /// An instant with its date and zone: `2026-03-02 10:00:00 CET`.
    pub(super) fn instant(&self, rfc3339: &str) -> String {
        self.time(rfc3339, "%Y-%m-%d %H:%M:%S %Z")
    }

    /// Its date with weekday.
    pub(super) fn day(&self, rfc3339: &str) -> String {
        self.time(rfc3339, "%a %Y-%m-%d %Z")
    }

    /// Its time of day.
    pub(super) fn clock(&self, rfc3339: &str) -> String {
        self.time(rfc3339, "%H:%M:%S")
    }

    fn time(&self, rfc3339: &str, format: &str) -> String {
        match rfc3339.parse::<jiff::Timestamp>() {
            Ok(timestamp) => timestamp.to_zoned(self.zone.clone()).strftime(format).to_string(),
            Err(_) => rfc3339.to_owned(),
        }
    }
}

/// A table without lines.
pub(super) fn table(titles: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    // The styles are always set here and taken out on the way where they are not wanted.
    table.enforce_styling();
    table.set_header(titles.iter().map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    table
}

/// A table as text, or what is said when it is empty.
pub(super) fn rows(table: &Table, nothing: &str) -> String {
    if table.is_empty() {
        return format!("{nothing}\n");
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A status in its colour.
pub(super) fn status(word: &str) -> Cell {
    let color = match word {
        "failed" => Color::Red,
        "done" | "fired" => Color::Green,
        "queued" | "cancelled" => Color::DarkGrey,
        _ => Color::Yellow,
    };
    Cell::new(word).fg(color)
}

/// `text` in a style.
pub(super) fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Adds to a text.
pub(super) fn put(text: &mut String, more: fmt::Arguments<'_>) {
    // Writing to a `String` does not fail.
    let _ = text.write_fmt(more);
}

/// `text` on one line, cut with an ellipsis after `most` characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// Decides for the whole process whether colours are used.
pub(super) fn choose_colors(choice: ColorChoice) {
    match choice {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    }
    .write_global();
}

/// Prints what went wrong, and what to do about it.
pub(super) fn complain(failure: &Failure) {
    let mut text = if failure.laid_out {
        failure.to_string()
    } else {
        format!("{}: {failure}\n", styled(BAD, "error"))
    };
    if let Some(help) = &failure.help {
        put(&mut text, format_args!("{}: {help}\n", styled(HELP, "help")));
    }
    // Nobody is left to tell when this fails.
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// Says something that is no failure, beside the output.
pub(super) fn warn(text: &str) {
    // Nobody is left to tell when this fails.
    let _ = anstream::stderr().write_all(format!("{}: {text}\n", styled(HELP, "note")).as_bytes());
}

/// Prints. A reader that went away (`| head`) is no failure of the command.
pub(super) fn say(text: &str) {
    let _ = anstream::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äöü…");
        assert_eq!(cut("a\nb", 9), "a b");
    }

    #[test]
    fn instants_show_their_zone() {
        assert_eq!(Screen::utc().instant("2026-03-02T10:00:05.5Z"), "2026-03-02 10:00:05 UTC");
        assert_eq!(Screen::utc().instant("soon"), "soon");
    }
}
