//! Templates: what they render, and what is refused.

use super::*;
use crate::model::{Instant, Value};

fn source(name: &str, text: &str) -> TemplateSource {
    TemplateSource {
        name: name.into(),
        file: format!("rules/templates/{name}").into(),
        text: text.into(),
    }
}

fn compile(files: &[(&str, &str)]) -> Result<Templates, Vec<TemplateError>> {
    Templates::compile(&files.iter().map(|(name, text)| source(name, text)).collect::<Vec<_>>())
}

fn map(pairs: &Value) -> Map {
    pairs.as_map().unwrap().clone()
}

/// `event.data` holds what is given.
fn scope<const N: usize>(data: [(&str, Value); N]) -> Map {
    map(&Value::from([(
        "event",
        Value::from([("data", Value::from(data)), ("type", "lead.created".into())]),
    )]))
}

/// The text of a template with one file.
fn text(body: &str, scope: &Map) -> Result<String, String> {
    let templates = compile(&[("t.txt", &format!("Subject: s\n\n{body}"))])
        .map_err(|errors| errors[0].to_string())?;
    templates.render("t", None, scope).map(|mail| mail.text).map_err(|fault| fault.to_string())
}

/// The first error: the text it is about, its line, message and help.
fn mistake(files: &[(&str, &str)]) -> (String, usize, String) {
    let errors = compile(files).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let error = &errors[0];
    let help = error.help.as_deref().unwrap_or("-");
    (
        files[error.index].1[error.span.clone()].to_owned(),
        error.line,
        format!("{}; {help}", error.message),
    )
}

#[test]
fn a_mail_has_a_subject_a_text_and_perhaps_html() {
    let templates = compile(&[
        ("lead-ack.txt", "Subject: Thank you, {{ event.data.name }}\n\nDear {{ event.data.name }},\n{% if true %}\nyours\n{% endif %}\n"),
        ("lead-ack.html", "<p>Dear {{ event.data.name }}</p>\n"),
        ("plain.txt", "Subject: Plain\nbody"),
    ])
    .unwrap();
    let mail =
        templates.render("lead-ack", None, &scope([("name", "Ana <b> & Co".into())])).unwrap();
    assert_eq!(mail.subject, "Thank you, Ana <b> & Co");
    assert_eq!(mail.text, "Dear Ana <b> & Co,\nyours\n");
    assert_eq!(mail.html.as_deref(), Some("<p>Dear Ana &lt;b&gt; &amp; Co</p>\n"));
    assert_eq!(templates.render("plain", None, &Map::new()).unwrap().html, None);
    assert_eq!(
        templates.names().collect::<Vec<_>>(),
        ["adjutant-approval", "adjutant-escalation", "lead-ack", "plain"]
    );
}

#[test]
fn data_cannot_add_lines_to_a_subject_nor_tags_to_html() {
    let templates = compile(&[
        ("t.txt", "Subject: {{ event.data.x }}\n\nx"),
        ("t.html", "{{ event.data.x|upper }}{{ event.data|json }}"),
    ])
    .unwrap();
    let mail = templates
        .render("t", None, &scope([("x", "a\r\nBcc: all@x.example\u{0}\t<i>".into())]))
        .unwrap();
    assert_eq!(mail.subject, "a Bcc: all@x.example <i>");
    assert!(!mail.html.unwrap().contains('<'));
    let fault = templates.render("t", None, &scope([("x", " \n ".into())])).unwrap_err();
    assert_eq!(fault.to_string(), "rules/templates/t.txt:1: the subject is empty");
    assert_eq!(
        mistake(&[("t.html", "{{ event.data.x|safe }}")]).2,
        "there is no filter `safe`; HTML comes only from templates, never from data"
    );
    assert!(
        mistake(&[("t.html", "{% autoescape false %}{{ event }}{% endautoescape %}")])
            .2
            .starts_with("escaping cannot be switched")
    );
}

#[test]
fn the_locale_falls_back_from_region_to_language_to_default() {
    let templates = compile(&[
        ("ack.txt", "Subject: Hello\n\nEnglish {% include 'foot.txt' %}"),
        ("ack.de.txt", "Subject: Hallo\n\nDeutsch {% include 'foot.txt' %}"),
        ("ack.de-CH.html", "<p>Schweiz</p>"),
        ("ack.html", "<p>English</p>"),
        ("foot.txt", "bye"),
        ("foot.de.txt", "tschüss"),
        ("foot.de-CH.txt", "ade"),
    ])
    .unwrap();
    let all = |locale: Option<&str>| {
        let mail = templates.render("ack", locale, &Map::new()).unwrap();
        format!("{} | {} | {}", mail.subject, mail.text, mail.html.unwrap_or_default())
    };
    assert_eq!(all(None), "Hello | English bye | <p>English</p>");
    assert_eq!(all(Some("fr")), "Hello | English bye | <p>English</p>");
    // English HTML would hide the German text
    assert_eq!(all(Some("de")), "Hallo | Deutsch tschüss | ");
    assert_eq!(all(Some("de-AT")), "Hallo | Deutsch tschüss | ");
    assert_eq!(all(Some("de-CH")), "Hallo | Deutsch ade | <p>Schweiz</p>");
    assert_eq!(all(Some("DE_ch")), "Hallo | Deutsch ade | <p>Schweiz</p>");
    let names: Vec<_> = templates.referenced("ack").into_iter().collect();
    assert_eq!(
        names.iter().map(|name| &**name).collect::<Vec<_>>(),
        [
            "ack.de-CH.html",
            "ack.de.txt",
            "ack.html",
            "ack.txt",
            "foot.de-CH.txt",
            "foot.de.txt",
            "foot.txt"
        ]
    );
    assert!(templates.referenced(ESCALATION_TEMPLATE).is_empty());
}

#[test]
fn files_include_extend_and_import_each_other() {
    let templates = compile(&[
        ("t.txt", "Subject: s\n\n{% for item in event.data.list %}{% include 'row.txt' %}{% endfor %}{% include 'no.txt' ignore missing %}"),
        ("row.txt", "[{{ item }}/{{ loop.index }}]"),
        ("t.html", "{% extends 'base.html' %}{% from 'lib.html' import bold %}{% block body %}{{ bold('<x>') }}{% endblock %}"),
        ("base.html", "<html>{% block body %}{% endblock %}</html>"),
        ("lib.html", "{% macro bold(x) %}<b>{{ x }}</b>{% endmacro %}"),
        ("unused.txt", "x"),
    ])
    .unwrap();
    let mail = templates
        .render("t", None, &scope([("list", Value::List(vec![1.into(), 2.into()]))]))
        .unwrap();
    assert_eq!(mail.text, "[1/1][2/2]");
    assert_eq!(mail.html.unwrap(), "<html><b>&lt;x&gt;</b></html>");
    let names = templates.referenced("t");
    assert_eq!(names.len(), 5, "{names:?}");
    assert!(!templates.has("row") && !templates.has("base"));
    assert_eq!(templates.explain_missing("row").0, "`rules/templates/row.txt` has no subject");
    assert_eq!(templates.explain_missing("base").0, "there is `base.html`, but no `base.txt`");
    assert_eq!(
        templates.explain_missing("adjutant-escalatoin").1.unwrap(),
        "did you mean `adjutant-escalation`?"
    );
    assert!(templates.render("row", None, &Map::new()).is_err());
}

#[test]
fn values_print_as_in_rules() {
    let at: Instant = "2026-03-02T10:00:00+01:00".parse().unwrap();
    let scope = scope([
        ("at", at.into()),
        ("text", "2026-07-01T00:30:00+02:00".into()),
        ("flag", true.into()),
        ("number", Value::Float(2.5)),
        ("list", Value::List(vec!["a".into(), Value::Null])),
        ("nothing", Value::Null),
        ("earlier", Instant::from_micros(0).into()),
        ("span", Value::Span(crate::model::Span::from_secs(90))),
    ]);
    let shown = |body: &str| text(body, &scope).unwrap();
    assert_eq!(
        shown(
            "{{ event.data.at }} {{ event.data.flag }} {{ event.data.number }} {{ event.data.list }}"
        ),
        r#"2026-03-02T09:00:00Z true 2.5 ["a",null]"#
    );
    assert_eq!(
        shown("{{ event.data.at|date('%d.%m.%Y %H:%M', 'Europe/Berlin') }}"),
        "02.03.2026 10:00"
    );
    assert_eq!(shown("{{ event.data.text|date('%H:%M') }} {{ event.data.span }}"), "22:30 PT90S");
    assert_eq!(
        shown("{{ event.data.number|number(2) }} {{ 7|number }} {{ 7|number(1) }}"),
        "2.50 7 7.0"
    );
    assert_eq!(
        shown("{{ event.data.earlier < event.data.at }} {{ event.data.at == event.data.at }}"),
        "true true"
    );
    assert_eq!(shown("{{ {'a': event.data.at}|json }}"), r#"{"a":"2026-03-02T09:00:00Z"}"#);
    assert_eq!(
        shown("{{ event.data.nothing or '-' }} {{ event.data.missing|default('x') }}"),
        "- x"
    );
}

#[test]
fn faults_say_where_and_what() {
    let scope = scope([("x", 5.into()), ("nothing", Value::Null)]);
    let fault = |body: &str| text(body, &scope).unwrap_err();
    assert_eq!(
        fault("one\n{{ event.data.nmae }}"),
        "rules/templates/t.txt:4: `event.data.nmae` is missing"
    );
    assert_eq!(fault("{{ event.hops.x }}"), "rules/templates/t.txt:3: `event.hops` is missing");
    assert_eq!(fault("{{ event.dota.x }}"), "an event has no attribute `dota`");
    assert_eq!(
        fault("{% if event.data.y %}{% endif %}"),
        "rules/templates/t.txt:3: `event.data.y` is missing"
    );
    assert!(
        fault("{{ event.data.nothing }}").contains("`event.data.nothing` is nothing"),
        "{}",
        fault("{{ event.data.nothing }}")
    );
    assert!(fault("{{ vars.x }}").contains("`vars` is missing"));
    assert!(fault("{{ event.data.x|date('%Y') }}").contains("needs an instant"));
    assert!(
        fault("{{ '2026-03-02T10:00:00Z'|date('%Y', 'Berlin') }}")
            .contains("did you mean `Europe/Berlin`?")
    );
    assert!(fault("{{ '2026-03-02T10:00:00Z'|date('%!') }}").contains("cannot print `%!`"));
    assert!(fault("{{ 'x'|number }}").contains("`number` needs a number, not \"x\""));
    let templates = compile(&[
        ("t.txt", "Subject: s\n\n{% include 'deep.txt' %}"),
        ("deep.txt", "\n\n{{ event.data.z }}"),
    ])
    .unwrap();
    assert_eq!(
        templates.render("t", None, &scope).unwrap_err().to_string(),
        "rules/templates/deep.txt:3: `event.data.z` is missing"
    );
    let subject = compile(&[("t.txt", "Subject: {{ event.data.z }}\n\nx")]).unwrap();
    assert_eq!(
        subject.render("t", None, &scope).unwrap_err().to_string(),
        "rules/templates/t.txt:1: `event.data.z` is missing"
    );
    assert!(subject.render("nope", None, &scope).is_err());
}

#[test]
fn work_depth_and_output_are_bounded() {
    let endless = "{% for a in range(10000) %}{% for b in range(10000) %}{% set x = a %}{% endfor %}{% endfor %}";
    assert!(text(endless, &Map::new()).unwrap_err().contains("does too much"));
    let long = "{% for a in range(50000) %}{{ 'x' * 100 }}{% endfor %}";
    assert!(text(long, &Map::new()).unwrap_err().contains("larger than 1024 KiB"));
    let loops = compile(&[
        ("t.txt", "Subject: s\n\n{% include 'a.txt' %}"),
        ("a.txt", "{% include 'a.txt' %}"),
    ])
    .unwrap();
    assert!(loops.render("t", None, &Map::new()).is_err());
    let large = "x".repeat(TEMPLATE_BYTES + 1);
    assert!(mistake(&[("t.txt", &large)]).2.contains("larger than 256 KiB"));
}

#[test]
fn mistakes_carry_their_place() {
    let subject = "Subject: s\n\n";
    let with = |body: &str| mistake(&[("t.txt", &format!("{subject}{body}"))]);
    assert_eq!(
        with("ü\n{{ event.x|uppper }}"),
        ("uppper".into(), 4, "there is no filter `uppper`; did you mean `upper`?".into())
    );
    assert_eq!(
        with("{{ evnet.data }}"),
        ("evnet".into(), 3, "`evnet` is not known here; did you mean `event`?".into())
    );
    assert_eq!(with("{% include 'foo.txt' %}").2, "there is no template file `foo.txt`; -");
    assert_eq!(
        with("{% include event.x %}").2.split(';').next(),
        Some("the name of the file is computed")
    );
    assert!(with("{{ records('lead') }}").2.starts_with("`records` is not known here"));
    assert!(with("{{ event.x is odder }}").2.starts_with("there is no test `odder`"));
    let (at, line, message) = with("one\n{% if event %}\n");
    assert_eq!(line, 4, "{at:?} {message}");
    let (at, line, message) = with("one\n{{ event. }}\n");
    assert_eq!((at.as_str(), line), ("}}", 4), "{message}");
    // in a subject, and several at once
    let errors = compile(&[
        ("t.txt", "Subject: {{ a }}\n\n{{ b }}"),
        ("u.txt", "{{ c|dd }}{% block x %}{{ e }}{% endblock %}"),
    ])
    .unwrap_err();
    let lines: Vec<_> = errors.iter().map(|error| (error.index, error.line)).collect();
    assert_eq!(lines, [(0, 1), (0, 3), (1, 1), (1, 1), (1, 1)], "{errors:?}");
}

#[test]
fn files_that_do_not_fit_together_are_refused() {
    assert!(mistake(&[("t.md", "x")]).2.starts_with("`t.md` is neither .txt nor .html"));
    assert!(
        mistake(&[("t.de.txt", "Subject: x\n\nx")]).2.starts_with("there is no default `t.txt`")
    );
    assert!(
        mistake(&[("t.txt", "Subject: x\n\nx"), ("t.de.txt", "x")])
            .2
            .contains("do not both begin with `Subject:`")
    );
    assert!(
        mistake(&[("t.txt", "Subject: x\n\nx"), ("t.de.html", "x")])
            .2
            .starts_with("there is no text in the language")
    );
    assert!(
        mistake(&[
            ("t.txt", "Subject: x\n\nx"),
            ("t.de.txt", "Subject: x\n\n"),
            ("t.DE.txt", "Subject: x\n\n")
        ])
        .2
        .contains("is there twice")
    );
    assert!(
        mistake(&[("t.html", "{% include 'f.txt' %}"), ("f.txt", "x")])
            .2
            .starts_with("a .html file can only use .html files")
    );
    let help =
        mistake(&[("t.txt", "{% include 'f.de.txt' %}"), ("f.txt", "x"), ("f.de.txt", "y")]).2;
    assert!(help.contains("write `f.txt`"), "{help}");
}

#[test]
fn the_built_in_escalation_says_what_to_do() {
    let at: Instant = "2026-03-02T10:00:00Z".parse().unwrap();
    let event = Value::from([
        ("type", "complaint.filed".into()),
        ("subject", "complaint/7".into()),
        ("time", at.into()),
    ]);
    let mut scope = map(&Value::from([
        ("level", 2.into()),
        ("summary", Value::Null),
        ("severity", 1.into()),
        ("event", event),
        ("args", Value::Map(Map::new())),
        ("run", "17-9f86d081884c7d65".into()),
        ("now", at.into()),
    ]));
    let templates = Templates::default();
    let mail = templates.render(ESCALATION_TEMPLATE, None, &scope).unwrap();
    assert_eq!(mail.subject, "Escalation, level 2: complaint.filed");
    assert!(
        mail.text.contains("    adjutant escalations ack 17-9f86d081884c7d65\n"),
        "{}",
        mail.text
    );
    assert!(
        mail.text
            .contains("Severity:  1\nSince:     2026-03-02T10:00:00Z\nAbout:     complaint/7\n"),
        "{}",
        mail.text
    );
    assert!(!mail.text.contains("http"));
    scope.insert("summary".into(), "Nobody answers".into());
    scope.insert(
        "links".into(),
        Value::from([
            ("acknowledge", "https://ops/ack".into()),
            ("resolve", "https://ops/res".into()),
        ]),
    );
    let mail = templates.render(ESCALATION_TEMPLATE, None, &scope).unwrap();
    assert_eq!(mail.subject, "Escalation, level 2: Nobody answers");
    assert!(mail.text.starts_with("Nobody answers\n\nLevel:     2\n"), "{}", mail.text);
    assert!(mail.text.contains("\nhttps://ops/ack\n"));
    // a file of that name replaces it
    let own = compile(&[("adjutant-escalation.txt", "Subject: own\n\nx")]).unwrap();
    assert_eq!(own.render(ESCALATION_TEMPLATE, None, &scope).unwrap().subject, "own");
}
