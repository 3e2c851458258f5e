//! What happened live beside what happens on virtual time: the same mails word by word, the same requests, events and
//! failures. Only links and the numbers of runs differ, since each state has its own.

use std::collections::{BTreeMap, BTreeSet};

use adjutant::model::Value;
use adjutant::scenario::Happening;

/// What a mail or a request does not show of itself.
const HIDDEN: [&str; 4] = ["template", "purpose", "locale", "action"];
/// What has its own rules of being the same.
const HEADERS: &str = "headers";
/// Where links begin, live as well as on virtual time.
const LINKS: &str = "https://adjutant.example/links/";
/// Hexadecimal digits behind the number of a run.
const RUN_DIGITS: usize = 16;

/// Gives each mail and request what it does not show, from the one on virtual time that shows the same; and says
/// what happened on one side only.
pub(crate) fn compare(live: &mut [Happening], wanted: &[Happening]) -> Vec<String> {
    let mut open: Vec<&Happening> = wanted.iter().collect();
    let mut lines = Vec::new();
    for one in live {
        match open.iter().position(|wanted| differences(one, wanted).is_empty()) {
            Some(at) => {
                let wanted = open.remove(at);
                for name in HIDDEN {
                    if let Some(value) = wanted.fields.get(name) {
                        one.fields.insert(name.into(), value.clone());
                    }
                }
            }
            None => {
                lines.push(format!("only live:     {}", one.say()));
                let alike = open.iter().filter(|wanted| wanted.kind == one.kind);
                let nearest = alike.map(|wanted| differences(one, wanted)).min_by_key(Vec::len);
                lines.extend(nearest.into_iter().flatten());
            }
        }
    }
    lines.extend(open.iter().map(|one| format!("only virtual:  {}", one.say())));
    lines
}

/// Where what happened live differs from what happened on virtual time.
fn differences(live: &Happening, wanted: &Happening) -> Vec<String> {
    if live.kind != wanted.kind {
        return vec![format!("  it is {}, not {}", live.kind, wanted.kind)];
    }
    let mut found = Vec::new();
    let mut differ = |name: &str, live: String, wanted: String| {
        if live != wanted {
            found.push(format!("  {name}: {live:?}\n    not {wanted:?}"));
        }
    };
    let names: BTreeSet<_> = wanted.fields.keys().chain(live.fields.keys()).collect();
    for name in names.into_iter().filter(|name| !HIDDEN.contains(&&***name) && &***name != HEADERS)
    {
        let get = |of: &Happening| of.fields.get(name).map(plain).unwrap_or_default();
        differ(name, get(live), get(wanted));
    }
    // On the wire there are more of them than the rules ask for.
    let mut sent = headers(live);
    for (name, wanted) in headers(wanted) {
        differ(&name, sent.remove(&name).unwrap_or_default(), wanted);
    }
    found
}

/// Headers, names in lower case.
fn headers(of: &Happening) -> BTreeMap<String, String> {
    let Some(Value::Map(all)) = of.fields.get(HEADERS) else { return BTreeMap::new() };
    all.iter().map(|(name, value)| (name.to_lowercase(), plain(value))).collect()
}

/// A value as text, without what each state has of its own.
fn plain(value: &Value) -> String {
    let text = match value {
        Value::Text(text) => text.trim_end().replace("&#x2f;", "/"),
        other => other.to_json().to_string(),
    };
    without_runs(&without_links(&text))
}

fn without_links(text: &str) -> String {
    let mut pieces = text.split(LINKS);
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|c: char| c.is_whitespace() || "\"'<>)&;,".contains(c));
        plain.push_str(LINKS);
        plain.push_str(&piece[end.unwrap_or(piece.len())..]);
    }
    plain
}

/// `17-9f86d081884c7d65` is `RUN`.
fn without_runs(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('-') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        let digits = after.bytes().take_while(u8::is_ascii_hexdigit).count();
        let head = before.trim_end_matches(|c: char| c.is_ascii_digit());
        if digits == RUN_DIGITS && head.len() < before.len() {
            plain.push_str(head);
            plain.push_str("RUN");
            rest = &after[digits..];
        } else {
            plain.push_str(&rest[..=at]);
            rest = after;
        }
    }
    plain.push_str(rest);
    plain
}

#[test]
fn only_links_and_the_numbers_of_runs_may_differ() {
    let mail = |text: &str| {
        let fields = [("email", "a@x.example"), ("text", text)];
        let fields = fields.map(|(name, text)| (name.into(), text.into()));
        Happening::new("email", "2026-03-02T09:00:00Z".parse().unwrap(), "w".into(), fields.into())
    };
    let one =
        |run: &str, link: &str| mail(&format!("Run {run}, see <{LINKS}{link}>, 2026-03-02.\n"));
    let mut live = [one("17-9f86d081884c7d65", "AbC_-1")];
    let mut virtual_one = one("0-0000000000000000", "unsubscribe-1");
    virtual_one.fields.insert("template".into(), "news".into());
    assert_eq!(compare(&mut live, &[virtual_one.clone()]), [""; 0]);
    assert_eq!(live[0].fields.get("template").and_then(Value::as_text), Some("news"));
    for other in ["Run 17-9f86d081884c7d6, see nothing", "", "Run 17"] {
        let said = compare(&mut [mail(other)], &[virtual_one.clone()]);
        assert!(matches!(&said[..], [_, why, _] if why.starts_with("  text: ")), "{said:?}");
    }
}
