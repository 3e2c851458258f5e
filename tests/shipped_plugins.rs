//! The plugins that ship: what they ask for and what they make of what arrives, to the letter.

use std::path::PathBuf;

use adjutant::model::Value;
use adjutant::rules::{Context, Files, Look, RuleSet, SourceFile, Sources, render};
use adjutant::script::{NoRecords, Shared};
use serde_json::{Value as Json, json};

fn rules(settings: Json) -> RuleSet {
    let plugins = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("plugins");
    let sources = Sources::read(&[], &[plugins]).expect("they can be read");
    let Value::Map(settings) = Value::from_json(settings) else { panic!("settings") };
    let plugin_settings = settings.into_iter().collect();
    let context = Context { plugin_settings, ..Context::default() };
    match RuleSet::compile(&sources, &context) {
        Ok((rules, _)) => rules,
        Err(found) => panic!("{}", render(&found, &Files::of(sources.files()), Look::Plain)),
    }
}

fn call_with(settings: Json, function: &str, argument: Json) -> Result<Json, String> {
    let args = [Shared::new(Value::from_json(argument))];
    let now = "2026-03-02T10:00:00Z".parse().expect("an instant");
    let given = rules(settings).sandbox.call(function, &args, now, &NoRecords, &|| false);
    given.map(|value| value.to_json()).map_err(|error| error.to_string())
}

fn call(function: &str, argument: Json) -> Result<Json, String> {
    call_with(json!({}), function, argument)
}

#[test]
fn chat_speaks_to_slack() {
    let asked = call(
        "action_chat",
        json!({ "to": "ops", "title": "Late", "text": "a < b & c", "fields": { "Owner": "ana", "Days": 3 },
                "link": { "url": "https://crm.example/7", "label": "Open" } }),
    );
    let text = |text: &str| json!({ "type": "mrkdwn", "text": text });
    let blocks = json!([
        { "type": "header", "text": { "type": "plain_text", "text": "Late" } },
        { "type": "section", "text": text("a &lt; b &amp; c") },
        { "type": "section", "fields": [text("*Days*\n3"), text("*Owner*\nana")] },
        { "type": "section", "text": text("<https://crm.example/7|Open>") },
    ]);
    let message = json!({ "text": "Late: a &lt; b &amp; c", "blocks": blocks });
    assert_eq!(asked, Ok(json!({ "endpoint": "ops", "json": message, "sign": false })));
}

#[test]
fn chat_speaks_to_teams_and_mattermost() {
    let args = json!({ "to": "ops", "title": "Late", "text": "hi", "fields": { "Owner": "ana" },
                       "link": { "url": "https://crm.example/7" } });
    let teams =
        call_with(json!({ "chat": { "format": "teams" } }), "action_chat", args.clone()).unwrap();
    let card = &teams["json"]["attachments"][0];
    assert_eq!(card["contentType"], "application/vnd.microsoft.card.adaptive");
    assert_eq!(
        card["content"]["body"][1],
        json!({ "type": "TextBlock", "text": "hi", "wrap": true })
    );
    let facts = json!({ "type": "FactSet", "facts": [{ "title": "Owner", "value": "ana" }] });
    assert_eq!(card["content"]["body"][2], facts);
    assert_eq!(card["content"]["actions"][0]["url"], "https://crm.example/7");

    let mut args = args;
    args["format"] = json!("mattermost");
    let asked = call("action_chat", args).unwrap();
    let attachment = json!({
        "fallback": "hi", "title": "Late", "text": "hi", "title_link": "https://crm.example/7",
        "fields": [{ "title": "Owner", "value": "ana", "short": true }],
    });
    assert_eq!(asked["json"], json!({ "username": "Adjutant", "attachments": [attachment] }));
}

#[test]
fn chat_says_what_is_missing() {
    for (args, message) in [
        (json!({ "text": "x" }), "`chat` needs `to`"),
        (json!({ "to": "ops" }), "`chat` needs `text`"),
        (json!({ "to": "ops", "text": "x", "format": "irc" }), "`format` is irc"),
    ] {
        let why = call("action_chat", args).unwrap_err();
        assert!(
            why.starts_with("plugins/chat/chat.rhai:") || why.contains("/plugins/chat/chat.rhai:"),
            "{why}"
        );
        assert!(why.contains(message), "{why}");
    }
    let long = call("action_chat", json!({ "to": "ops", "text": "x".repeat(5_000) })).unwrap();
    assert_eq!(long["json"]["text"].as_str().map(|text| text.chars().count()), Some(3_000));
}

#[test]
fn pagerduty_opens_and_closes_an_incident() {
    let trigger = call(
        "action_pagerduty_trigger",
        json!({ "incident": "complaint/7", "summary": "nobody answers", "severity": "critical",
                "details": { "owner": "ana" }, "link": { "url": "https://crm.example/7" } }),
    );
    let key = "\u{e000}secret:pagerduty_key\u{e001}";
    let event = json!({
        "routing_key": key, "event_action": "trigger", "dedup_key": "complaint/7",
        "payload": { "summary": "nobody answers", "source": "adjutant", "severity": "critical",
                     "custom_details": { "owner": "ana" } },
        "links": [{ "href": "https://crm.example/7", "text": "https://crm.example/7" }],
    });
    let url = "https://events.pagerduty.com/v2/enqueue";
    assert_eq!(trigger, Ok(json!({ "url": url, "json": event, "expect": [202], "sign": false })));
    for action in ["acknowledge", "resolve"] {
        let function = format!("action_pagerduty_{action}");
        let eu = json!({ "pagerduty": { "region": "eu" } });
        let asked = call_with(eu, &function, json!({ "incident": 7 })).unwrap();
        let event = json!({ "routing_key": key, "event_action": action, "dedup_key": "7" });
        assert_eq!(asked["json"], event);
        assert_eq!(asked["url"], "https://events.eu.pagerduty.com/v2/enqueue");
        assert!(call(&function, json!({})).unwrap_err().contains("needs `incident`"));
    }
    let wrong = call(
        "action_pagerduty_trigger",
        json!({ "incident": "a", "summary": "b", "severity": "bad" }),
    );
    assert!(wrong.unwrap_err().contains("one of critical, error, warning, info"));
}

fn delivery(body: Json) -> Json {
    json!({ "hook": "contact", "id": "d-1", "body": body, "text": "", "headers": {}, "query": {},
            "received": "2026-03-02T10:00:00Z" })
}

#[test]
fn forms_come_as_json_or_as_a_form() {
    let event = call("from_form", delivery(json!({ "E-Mail": "a@x.example", "How many?": "5" })));
    let data = json!({ "form": "contact", "submitted": null, "answers": { "e_mail": "a@x.example", "how_many_": "5" } });
    let expected = json!({ "type": "form.submitted", "id": "d-1", "subject": "form/contact/d-1", "data": data });
    assert_eq!(event, Ok(expected));
    let typed = json!({ "forms": { "type": "lead.created" } });
    assert_eq!(
        call_with(typed, "from_form", delivery(json!({ "a": 1 }))).unwrap()["type"],
        "lead.created"
    );
    assert_eq!(call("from_form", delivery(json!({}))), Ok(Json::Null));
    assert!(call("from_form", delivery(json!([1]))).unwrap_err().contains("not list"));
    assert!(call("from_form", delivery(Json::Null)).unwrap_err().contains("not nothing"));
}

#[test]
fn forms_of_typeform_and_tally_are_understood() {
    let typeform = json!({ "event_type": "form_response", "form_response": {
        "form_id": "lT4Z3j", "token": "a3a12ec6", "submitted_at": "2018-01-18T18:17:02Z",
        "hidden": { "utm": "x" },
        "answers": [
            { "type": "email", "email": "a@x.example", "field": { "id": "1", "ref": "Email" } },
            { "type": "choice", "choice": { "label": "Yes" }, "field": { "id": "2" } },
            { "type": "choices", "choices": { "labels": ["a", "b"] }, "field": { "ref": "many" } },
            { "type": "number", "number": 5, "field": { "ref": "n" } },
        ] } });
    let event = call("from_form", delivery(typeform)).unwrap();
    let answers =
        json!({ "email": "a@x.example", "2": "Yes", "many": ["a", "b"], "n": 5, "utm": "x" });
    assert_eq!(
        (&event["id"], &event["subject"]),
        (&json!("a3a12ec6"), &json!("form/lT4Z3j/a3a12ec6"))
    );
    assert_eq!(event["data"]["answers"], answers);
    assert_eq!(event["data"]["submitted"], "2018-01-18T18:17:02Z");

    let tally = json!({ "eventId": "e", "eventType": "FORM_RESPONSE", "createdAt": "x", "data": {
        "responseId": "2wgx4n", "formId": "VwbNEw", "createdAt": "2023-06-28T15:00:21.000Z",
        "fields": [
            { "key": "q1", "label": "Your name", "type": "INPUT_TEXT", "value": "Ann" },
            { "key": "q2", "label": "Colour", "type": "MULTIPLE_CHOICE", "value": ["o2"],
              "options": [{ "id": "o1", "text": "red" }, { "id": "o2", "text": "blue" }] },
        ] } });
    let event = call("from_form", delivery(tally)).unwrap();
    assert_eq!(event["data"]["answers"], json!({ "your_name": "Ann", "colour": ["blue"] }));
    assert_eq!(event["id"], "2wgx4n");
}

/// The fenced block of the README's section on plugins in this language.
fn readme_block(language: &str) -> String {
    let readme = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).expect("a README");
    let (_, section) = readme.split_once("## Plugins").expect("a section on plugins");
    let (_, block) = section.split_once(&format!("```{language}\n")).expect("a block");
    block.split_once("```").expect("its end").0.to_owned()
}

#[test]
fn the_plugin_of_the_readme_does_what_it_says() {
    let file = |name: &str, text: String| SourceFile::new(format!("plugins/desk/{name}"), text);
    let sources = Sources {
        plugins: vec![
            file("plugin.yaml", readme_block("yaml")),
            file("desk.rhai", readme_block("rust")),
        ],
        ..Sources::default()
    };
    let rules = match RuleSet::compile(&sources, &Context::default()) {
        Ok((rules, _)) => rules,
        Err(found) => panic!("{}", render(&found, &Files::of(sources.files()), Look::Plain)),
    };
    let call = |function: &str, args: &[Json]| {
        let args: Vec<Shared> =
            args.iter().cloned().map(|arg| Shared::new(Value::from_json(arg))).collect();
        let now = "2026-03-02T10:00:00Z".parse().expect("an instant");
        rules.sandbox.call(function, &args, now, &NoRecords, &|| false).expect("a value").to_json()
    };
    let ticket = call("action_ticket", &[json!({ "title": "Late" })]);
    assert_eq!(ticket["json"], json!({ "title": "Late", "queue": "general" }));
    assert_eq!(call("new_tickets", &[Json::Null])["query"], json!({ "after": 0 }));
    let found = call("new_tickets", &[json!(7), json!({ "body": [{ "id": 8 }, { "id": 9 }] })]);
    assert_eq!((&found["cursor"], &found["events"][1]["subject"]), (&json!(9), &json!("ticket/9")));
    let none = call("new_tickets", &[json!(7), json!({ "body": [] })]);
    assert_eq!(none, json!({ "cursor": 7 }));
}
