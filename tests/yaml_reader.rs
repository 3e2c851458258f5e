//! The YAML reader: what it reads agrees with `serde_yaml`, positions are exact, and no input makes
//! it panic.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;

use adjutant::model::Value;
use adjutant::rules::SourceFile;
use adjutant::rules::yaml::{Kind, Node, Parsed, parse};
use proptest::prelude::*;

fn read(text: &str) -> (Parsed, Vec<String>) {
    let mut out = Vec::new();
    let parsed = parse(&SourceFile::new("t.yaml", text), &mut out);
    (parsed, out.into_iter().map(|found| format!("{}: {}", found.code, found.message)).collect())
}

fn root(text: &str) -> Node {
    let (mut parsed, errors) = read(text);
    assert_eq!(errors, Vec::<String>::new(), "{text}");
    parsed.documents.remove(0).root
}

fn value(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar(scalar) => scalar.value(),
        Kind::List(items) => Value::List(items.iter().map(value).collect()),
        Kind::Map(entries) => Value::Map(
            entries.iter().map(|entry| (entry.key.as_str().into(), value(&entry.value))).collect(),
        ),
        Kind::Broken => Value::Null,
    }
}

/// The same text read by both: YAML that people write.
#[test]
fn it_agrees_with_serde_yaml() {
    let texts = [
        "a: 1\nb: [x, 'it''s', \"q\\n\\u00e9\", 1.5, true, null, ~]\nc: { d: e, f: [] }\n",
        "text: |\n  one\n    two\n\n  three\nfolded: >-\n  a\n  b\n\n  c\nkeep: |+\n  x\n\nz: 1\n",
        "a: &x { b: 1 }\nc: *x\nd: [*x, *x]\n",
        "plain: several words\n  over two lines\nno: on\nyes: 12:30\ndate: 2026-03-02\n",
        "n: -12\nx: 0x1F\no: 0o17\ne: 1.5e3\nz: 007\nv: 1.2.3\n",
        "- a\n- - b\n  - c\n-\n  d: e\n",
        "\"quoted key\": x\n? complex\n: y\n",
    ];
    for text in texts {
        let theirs: serde_json::Value = serde_yaml::from_str(text).unwrap();
        assert_eq!(value(&root(text)).to_json(), Value::from_json(theirs).to_json(), "{text}");
    }
}

/// The bytes of the file that a piece of a scalar came from.
fn piece(text: &str, key: &str, wanted: &str) -> String {
    let root = root(text);
    let node = root.get(key).unwrap();
    let scalar = node.scalar().unwrap();
    let at = scalar.text.find(wanted).unwrap_or_else(|| panic!("{wanted} in {:?}", scalar.text));
    text[node.place(text, at..at + wanted.len())].to_owned()
}

#[test]
fn a_piece_of_a_scalar_is_found_in_the_file() {
    assert_eq!(piece("é: ä\na: grün ${x.y}\n", "a", "x.y"), "x.y");
    assert_eq!(piece("a: \"grün ${x.y}\"\n", "a", "x.y"), "x.y");
    assert_eq!(piece("a: 'it''s ${x.y}'\n", "a", "x.y"), "x.y");
    assert_eq!(piece("a: \"q\\\"\\u00e9\\U0001F600 ${x.y}\"\n", "a", "x.y"), "x.y");
    assert_eq!(piece("a: \"\\ud83d\\ude00 ${x.y}\"\n", "a", "x.y"), "x.y");
    assert_eq!(piece("a: |\n\n  ä b\n    c\n  d ${x.y}\n", "a", "x.y"), "x.y");
    assert_eq!(piece("a: >\n  one\n  two\n\n  three ${x.y}\n", "a", "x.y"), "x.y");
    assert_eq!(piece("a: one\n  two ${x.y}\n", "a", "x.y"), "x.y");
    assert_eq!(piece("a: |\r\n  one\r\n  ${x.y}\r\n", "a", "x.y"), "x.y");
    assert_eq!(piece("a: \"one\n  two ${x.y}\"\n", "a", "x.y"), "x.y");
}

#[test]
fn traps_are_errors_that_say_what_to_do() {
    for (text, expected) in [
        ("a:\n", "empty-value: `a` has no value"),
        ("- x\n-\n", "empty-value: this item is empty"),
        ("if: !ready\n", "tag: `!ready` without quotes is a YAML tag, not text"),
        ("a: Ticket #42\n", "cut-off: a ` #` begins a comment, so the text ends here"),
        ("a: { b: ${x} }\n", "yaml: `${…}` inside `{ }` or `[ ]` must be quoted"),
        ("a: 1\na: 2\n", "duplicate-key: `a` stands here twice"),
        ("a: *b\n", "alias: there is no anchor `&b` for this alias"),
        ("a: &b [*b]\n", "alias: this alias repeats the very thing that it stands in"),
        ("? [a]\n: b\n", "bad-key: a key must be text, not a list"),
        ("a: b: c\n", "yaml: a second `: ` in one line"),
    ] {
        let (_, errors) = read(text);
        assert_eq!(errors, [expected], "{text}");
    }
    for fine in ["a: b # comment\n", "a: b#c\n", "hours: x   # holds\n", "", "---\n---\n", "# x\n"]
    {
        assert_eq!(read(fine).1, Vec::<String>::new(), "{fine}");
    }
}

#[test]
fn an_empty_item_is_pointed_at_by_its_dash() {
    for text in ["- # c\u{10800}\n", "- # c\u{10800}", "-\n  # é\n\n  # ü\n", "- #\n- b\n"] {
        let mut out = Vec::new();
        parse(&SourceFile::new("t.yaml", text), &mut out);
        let [found] = out.as_slice() else { panic!("{text:?}: {out:?}") };
        assert_eq!(found.primary.span, 0..1, "{text:?}");
    }
}

#[test]
fn documents_know_their_own_text() {
    let text = "# top\na: 1\n---\n\n# of b\nb: 2\n# end\n...\n---\nc: 3\n";
    let (parsed, _) = read(text);
    let texts: Vec<_> = parsed.documents.iter().map(|d| &text[d.span.clone()]).collect();
    assert_eq!(texts, ["a: 1", "# of b\nb: 2\n# end", "c: 3"]);
}

#[test]
fn after_a_mistake_the_next_document_is_read() {
    let (parsed, errors) = read("a: [1, 2\n---\nb: 1\n---\nc: 'x\n---\nd: 1\n");
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(parsed.incomplete);
    assert_eq!(parsed.documents.len(), 2);
}

#[test]
fn bombs_are_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let item = format!("*a{}, ", level - 1).repeat(10);
        writeln!(bomb, "a{level}: &a{level} [{}]", item.trim_end_matches(", ")).unwrap();
    }
    assert!(read(&bomb).1[0].starts_with("too-large"), "{:?}", read(&bomb).1);
    assert!(read(&"[".repeat(200)).1[0].starts_with("nesting"));
    assert!(read(&"- ".repeat(200)).1[0].starts_with("nesting"));
    let mut deep = String::from("a0: &a0 [x]\n");
    for level in 1..40 {
        writeln!(deep, "a{level}: &a{level} [[*a{}]]", level - 1).unwrap();
    }
    assert!(read(&deep).1[0].starts_with("nesting"));
    assert!(read(&" ".repeat(1024 * 1024 + 1)).1[0].starts_with("too-large"));
}

/// Bits that YAML is made of, so that random text gets somewhere.
fn yamlish() -> impl Strategy<Value = String> {
    let bit = prop_oneof![
        Just("a: "),
        Just("- "),
        Just("\n"),
        Just("  "),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(", "),
        Just("\""),
        Just("'"),
        Just("&x "),
        Just("*x"),
        Just("!t "),
        Just("|\n"),
        Just(">-\n"),
        Just("# c"),
        Just("---\n"),
        Just("...\n"),
        Just("${é}"),
        Just("\\u00"),
        Just("? "),
        Just(": "),
        Just("\t"),
        Just("\r\n"),
        Just("<<: "),
        Just("%Y\n"),
        Just("\u{feff}"),
    ];
    proptest::collection::vec(
        prop_oneof![4 => bit.prop_map(str::to_owned), 1 => "\\PC{0,3}"],
        0..60,
    )
    .prop_map(|bits| bits.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_input_panics_and_every_place_is_in_the_file(text in prop_oneof![yamlish(), any::<String>()]) {
        let file = SourceFile::new("t.yaml", text.as_str());
        let mut out = Vec::new();
        let parsed = parse(&file, &mut out);
        for found in &out {
            prop_assert!(text.get(found.primary.span.clone()).is_some(), "{found:?}");
        }
        let mut open: Vec<&Node> = parsed.documents.iter().map(|document| &document.root).collect();
        while let Some(node) = open.pop() {
            prop_assert!(text.get(node.span.clone()).is_some(), "{node:?}");
            match &node.kind {
                Kind::Scalar(scalar) => {
                    for (at, c) in scalar.text.char_indices() {
                        let place = node.place(&text, at..at + c.len_utf8());
                        prop_assert!(text.get(place.clone()).is_some(), "{node:?} {place:?}");
                    }
                }
                Kind::List(items) => open.extend(items),
                Kind::Map(entries) => open.extend(entries.iter().map(|entry| &entry.value)),
                Kind::Broken => {}
            }
        }
        if out.is_empty() {
            prop_assert!(!parsed.incomplete);
        }
    }
}
