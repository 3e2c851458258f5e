//! Files of rows as they come: with other delimiters, cut off, too long, broken.

use super::*;

type Read = Vec<Result<(u64, Option<u64>, String), (u64, String, String)>>;

/// Each row: its number, its line, and what it says; or its number, its text, and why it is refused.
fn read(format: Format, content: &[u8]) -> Result<Read, String> {
    let input: Input = Box::new(std::io::Cursor::new(content.to_vec()));
    let rows = Rows::open(format, input).map_err(|error| error.to_string())?;
    rows.map(|row| {
        let row = row.map_err(|error| error.to_string())?;
        Ok(match row.data {
            Ok(data) => Ok((row.number, row.line, Value::Map(data).to_json().to_string())),
            Err(why) => Err((row.number, row.text, why)),
        })
    })
    .collect()
}

fn csv(content: &str) -> Result<Read, String> {
    read(Format::Csv, content.as_bytes())
}

#[test]
fn a_table_has_a_row_for_each_line_and_a_field_for_each_column() {
    let rows = csv("email,name\nana@x.example,\"Ana, of X\"\n\nben@x.example,\n").unwrap();
    assert_eq!(
        rows,
        [
            Ok((1, Some(2), r#"{"email":"ana@x.example","name":"Ana, of X"}"#.to_owned())),
            Ok((2, Some(4), r#"{"email":"ben@x.example","name":""}"#.to_owned())),
        ]
    );
}

#[test]
fn tables_come_as_spreadsheets_write_them() {
    for content in [
        "\u{feff}email;name\r\nana@x.example;Ana\r\n",
        "email\tname\nana@x.example\tAna",
        "\"email\",\" name \"\nana@x.example,Ana\n",
        "\"email\";\"name\"\n\"ana@x.example\";\"Ana\"\n",
    ] {
        let json = r#"{"email":"ana@x.example","name":"Ana"}"#.to_owned();
        assert_eq!(csv(content).unwrap(), [Ok((1, Some(2), json))], "{content:?}");
    }
}

#[test]
fn lines_are_those_that_an_editor_shows() {
    for end in ["\n", "\r\n"] {
        for last in ["", end] {
            let lines = ["a,b", "1,2", "", "\"x", "y\",3", "4,5"].join(end) + last;
            let rows = csv(&lines).unwrap();
            let lines: Vec<_> = rows.iter().map(|row| row.as_ref().unwrap().1).collect();
            assert_eq!(lines, [Some(2), Some(4), Some(6)], "{end:?} {last:?}");
        }
    }
}

#[test]
fn a_row_that_cannot_be_read_is_told_and_those_after_it_are_read() {
    let rows = csv("a,b\n1\n1,2,3\n1,2\n").unwrap();
    assert_eq!(
        rows[0],
        Err((1, "1".to_owned(), "it has 1 field, and the header has 2".to_owned()))
    );
    assert_eq!(
        rows[1],
        Err((2, "1,2,3".to_owned(), "it has 3 fields, and the header has 2".to_owned()))
    );
    assert_eq!(rows[2], Ok((3, Some(4), r#"{"a":"1","b":"2"}"#.to_owned())));

    let rows = read(Format::Csv, b"a,b\n\xff,2\n3,4\n").unwrap();
    assert!(matches!(&rows[0], Err((1, _, why)) if why == "`a` is not UTF-8"), "{rows:?}");
    assert!(rows[1].is_ok());

    let rows = read(Format::Ndjson, b"{\"a\":1}\n\n7\n{\"a\":\n{\"a\":2}").unwrap();
    assert_eq!(rows[0], Ok((1, Some(1), r#"{"a":1}"#.to_owned())));
    assert!(matches!(&rows[1], Err((2, text, why)) if text == "7" && why.contains("an object")));
    assert!(matches!(&rows[2], Err((3, _, why)) if why.contains("not valid JSON")), "{rows:?}");
    assert_eq!(rows[3], Ok((4, Some(5), r#"{"a":2}"#.to_owned())));
}

#[test]
fn a_header_names_each_column_once() {
    for (content, why) in [
        ("", "it is empty"),
        ("a,,c\n1,2,3\n", "column 2 of the header has no name"),
        ("a,b,a\n1,2,3\n", "two columns of the header are called `a`"),
    ] {
        let error = csv(content).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    assert_eq!(csv("a,b\n").unwrap(), []);
}

#[test]
fn a_quotation_mark_that_is_not_closed_does_not_fill_the_memory() {
    let mut content = String::from("a,b\n1,2\n\"3,4\n");
    content.push_str(&"5,6\n".repeat(limits::ROW_BYTES / 2));
    let input: Input = Box::new(std::io::Cursor::new(content));
    let mut rows = Rows::open(Format::Csv, input).unwrap();
    assert!(rows.next().unwrap().is_ok());
    let error = rows.next().unwrap().unwrap_err().to_string();
    assert!(error.contains("quotation mark"), "{error}");
    assert!(rows.next().is_none(), "it ends there");
}

#[test]
fn a_line_that_is_too_long_is_one_reject() {
    let mut content = format!("{{\"a\": \"{}\"}}\n", "x".repeat(limits::ROW_BYTES));
    content.push_str("{\"a\": 1}\n");
    let rows = read(Format::Ndjson, content.as_bytes()).unwrap();
    assert!(matches!(&rows[0], Err((1, _, why)) if why.contains("more than")), "{:?}", rows[0]);
    assert_eq!(rows[1], Ok((2, Some(2), r#"{"a":1}"#.to_owned())));
}

#[test]
fn json_is_a_list_of_objects_or_one() {
    let rows = read(Format::Json, b"[{\"a\": 1}, 2, {\"a\": 3}]").unwrap();
    assert_eq!(rows[0], Ok((1, None, r#"{"a":1}"#.to_owned())));
    assert!(rows[1].is_err() && rows[2].is_ok());
    assert_eq!(read(Format::Json, b" {\"a\": 1}\n").unwrap().len(), 1);
    for (content, why) in [
        (&b"7"[..], "neither a list of objects nor an object"),
        (b"", "neither a list of objects nor an object"),
        (b"[{\"a\": 1},", "not valid JSON: EOF"),
        (b"[\xff]", "not UTF-8"),
    ] {
        let error = read(Format::Json, content).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_row_is_an_event_that_is_known_again() {
    let glob = FileGlob::parse("leads/*.csv").unwrap();
    let row = |fields: &[(&str, &str)]| {
        fields.iter().map(|(key, value)| (Text::from(*key), Value::from(*value))).collect::<Map>()
    };
    let content = Digest::of(&[b"content"]);
    let made = |fields| from_row(&glob, "leads/march.csv", content, 7, row(fields)).unwrap();
    let draft = made(&[("email", "ana@x.example")]);
    assert_eq!((&*draft.kind, &*draft.source), ("file.leads", "files/leads"));
    assert_eq!(*draft.id, format!("{content}/7"));
    assert_eq!(draft.subject, None);
    assert_eq!(draft.extensions.get("file").and_then(Value::as_text), Some("leads/march.csv"));
    assert_eq!(draft.extensions.get("row"), Some(&Value::Int(7)));

    let draft = made(&[("id", " 42 "), ("subject", "lead/42")]);
    assert_eq!((&*draft.id, draft.subject.as_deref()), ("42", Some("lead/42")));
    assert_eq!(draft.data.get("id"), Some(&Value::from(" 42 ")), "a row is as it was");
    let draft = made(&[("id", ""), ("subject", " ")]);
    assert_eq!((&*draft.id, draft.subject.as_deref()), (&*format!("{content}/7"), None));
}
