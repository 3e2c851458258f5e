//! What rule files compile to: the flattened steps, the bundles, the index of triggers; and that a
//! stored bundle compiles again from its own sources.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::path::Path;

use adjutant::model::{Class, Name, Value};
use adjutant::rules::{
    Action, Bundle, Context, Files, Look, RuleSet, SourceFile, Sources, TemplateFile, Workflow,
    render,
};

fn compile(sources: &Sources) -> RuleSet {
    match RuleSet::compile(sources, &Context::default()) {
        Ok((rules, _)) => rules,
        Err(found) => panic!("{}", render(&found, &Files::of(sources.files()), Look::Plain)),
    }
}

fn one(text: &str) -> Sources {
    Sources { rules: vec![SourceFile::new("rules/t.yaml", text)], ..Sources::default() }
}

/// One line a step: `0 steps[0] log -> 1 !3`.
fn listing(workflow: &Workflow) -> String {
    let mut text = String::new();
    for (pc, step) in workflow.steps.iter().enumerate() {
        let what = match &step.action {
            Action::Branch(arms) => {
                let arms: Vec<_> =
                    arms.iter().map(|arm| format!("{} {}", arm.label, arm.target)).collect();
                format!("branch ({})", arms.join(", "))
            }
            Action::WaitFor { on_timeout, .. } => format!("wait {on_timeout:?}"),
            Action::Level { after } => format!("level {after}"),
            Action::Email(mail) => format!("email {:?} {:?}", mail.class, mail.to),
            Action::Log(_) => "log".to_owned(),
            other => format!("{other:?}").split([' ', '(']).next().unwrap().to_lowercase(),
        };
        let handler = step.on_error.map(|pc| format!(" !{pc}")).unwrap_or_default();
        writeln!(text, "{pc} {} {what} -> {}{handler} line {}", step.path, step.next, step.line)
            .unwrap();
    }
    text
}

/// Every target lies further down, at most just past the end.
fn check_targets(workflow: &Workflow) {
    let end = workflow.steps.len() as u32;
    for (pc, step) in workflow.steps.iter().enumerate() {
        let mut targets = vec![step.next];
        targets.extend(step.on_error);
        match &step.action {
            Action::Branch(arms) => targets.extend(arms.iter().map(|arm| arm.target)),
            Action::WaitFor { on_timeout, .. } => targets.extend(*on_timeout),
            _ => {}
        }
        for target in targets {
            assert!(target > pc as u32 && target <= end, "{pc} -> {target} of {end}");
        }
    }
}

#[test]
fn blocks_are_flattened_and_handlers_inherited() {
    let rules = compile(&one("\
workflow: w
triggers: [{ event: a.b }]
steps:
  - log: start
  - if: event.data.x
    then:
      - log: yes
      - log: own
        on_error: fail
    else:
      - log: no
    on_error:
      - log: ${error.message}
      - log: handled
  - switch:
      - if: event.data.y == 1
        then: []
      - else:
          - log: other
    on_error: continue
  - wait_for: a.c
    timeout: 3d
    on_timeout:
      - log: late
  - stop: done
"));
    let workflow = &rules.workflows["w"].main;
    check_targets(workflow);
    assert_eq!(
        listing(workflow),
        "\
0 steps[0] log -> 1 line 4
1 steps[1] branch (then 2, else 4) -> 7 !5 line 5
2 steps[1].then[0] log -> 3 !5 line 7
3 steps[1].then[1] log -> 7 line 8
4 steps[1].else[0] log -> 7 !5 line 11
5 steps[1].on_error[0] log -> 6 line 13
6 steps[1].on_error[1] log -> 7 line 14
7 steps[2] branch (case 1 9, else 8) -> 9 !9 line 15
8 steps[2].switch[1].else[0] log -> 9 !9 line 19
9 steps[3] wait Some(10) -> 11 line 21
10 steps[3].on_timeout[0] log -> 11 line 24
11 steps[4] stop -> 12 line 25
"
    );
}

#[test]
fn a_ladder_is_levels_mails_and_a_summit() {
    let rules = compile(&one("\
escalation: e
repeat: 1
levels:
  - { after: 0m, notify: [tom, \"${args.owner}\"] }
  - after: 30m
    steps:
      - log: one
      - log: two
"));
    let bundle = &rules.policies["e"];
    assert!(bundle.policy);
    check_targets(&bundle.main);
    let first = listing(&bundle.main);
    assert!(
        first.starts_with("0 levels[0] level 0s -> 1 line 4\n1 levels[0].notify[0] email Urgent"),
        "{first}"
    );
    let lines: Vec<_> = first.lines().collect();
    assert!(lines[1].contains("person:tom") && lines[1].ends_with("-> 2 !2 line 4"), "{first}");
    assert!(lines[2].ends_with("-> 3 !3 line 4"), "{first}");
    assert_eq!(
        lines[3..6],
        [
            "3 levels[1] level 30m -> 4 line 5",
            "4 levels[1].steps[0] log -> 5 !6 line 7",
            "5 levels[1].steps[1] log -> 6 !6 line 8",
        ]
    );
    assert!(lines[6].starts_with("6 round 2 levels[0] level"), "{first}");
    assert_eq!(lines[12], "12 unresolved summit -> 13 line 1");
    let Action::Email(mail) = &bundle.main.steps[1].action else { panic!() };
    assert_eq!((&*mail.purpose, mail.class), ("internal", Class::Urgent));
}

#[test]
fn hours_are_those_of_the_step_or_the_document() {
    let rules = compile(&one("\
workflow: w
triggers: []
hours: a
steps:
  - delay: 2bd
  - delay: 2bd
    hours: b
  - if: \"true\"
    hours: b
    then: [{ delay: 1bh }]
---
calendar: a
timezone: UTC
open: { mon: \"09:00-17:00\" }
---
calendar: b
timezone: UTC
open: { tue: \"09:00-17:00\" }
"));
    let hours: Vec<_> =
        rules.workflows["w"].main.steps.iter().map(|step| step.hours.as_deref()).collect();
    assert_eq!(hours, [Some("a"), Some("b"), Some("b"), Some("b")]);
}

#[test]
fn candidates_are_found_by_type_and_prefix_in_order_of_name() {
    let rules = compile(&one("\
workflow: c
triggers: [{ event: lead.* }, { event: lead.created }]
steps: []
---
workflow: a
triggers: [{ event: [x.y, lead.created] }]
steps: []
---
workflow: b
triggers: [{ event: \"*\" }]
steps: []
---
workflow: off
enabled: false
triggers: [{ event: lead.created }]
steps: []
"));
    let found = |kind: &str| {
        let found = rules.candidates(kind, &Value::Null, None, usize::MAX);
        found.map(|bundle| bundle.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(found("lead.created"), ["a", "b", "c"]);
    assert_eq!(found("lead.lost"), ["b", "c"]);
    assert_eq!(found("other"), ["b"]);
    assert!(RuleSet::empty().unwrap().purposes.contains_key("internal"));
}

fn language() -> Sources {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/language");
    Sources::read(std::slice::from_ref(&folder), &[folder.join("plugins")]).unwrap()
}

#[test]
fn the_four_packs_compile() {
    let rules = compile(&language());
    let names: Vec<_> = rules.workflows.keys().map(|name| &**name).collect();
    assert_eq!(
        names,
        [
            "complaint-changed",
            "complaint-filed",
            "dealreg",
            "dealreg-expiry",
            "lead-response",
            "nurture"
        ]
    );
    assert_eq!(rules.policies.len(), 2);
    assert_eq!(rules.records["person"].rows.len(), 8);
    assert_eq!(rules.purposes["marketing"].class, Class::Bulk, "everybody can unsubscribe");
    assert!(rules.purposes["marketing"].hold_uncertain);
    for bundle in rules.workflows.values().chain(rules.policies.values()) {
        check_targets(&bundle.main);
    }
}

#[test]
fn a_bundle_pins_what_it_uses_and_nothing_else() {
    let rules = compile(&language());
    let bundle = &rules.workflows["lead-response"].source;
    let templates: Vec<_> = bundle.templates.iter().map(|file| &*file.name).collect();
    assert_eq!(templates, ["lead-ack.txt", "new-lead.txt"]);
    assert!(bundle.plugins.is_empty());
    let plugins = |name: &str| -> Vec<Name> {
        rules.workflows[name].source.plugins.iter().map(|plugin| plugin.name.clone()).collect()
    };
    assert_eq!(plugins("complaint-changed"), [Name::from("complaints")]);
    assert_eq!(plugins("dealreg"), [Name::from("deals")]);
    assert!(bundle.main.text.starts_with("workflow: lead-response"));
    assert!(!bundle.main.text.contains("escalation: "), "only its own document");
}

#[test]
fn a_stored_bundle_compiles_again_to_the_same() {
    let rules = compile(&language());
    for bundle in rules.workflows.values().chain(rules.policies.values()) {
        let again = Bundle::decode(&bundle.source.encode()).unwrap_or_else(|found| {
            let files = bundle.source.files();
            panic!("{}", render(&found, &Files::of(&files), Look::Plain))
        });
        assert_eq!(again.id, bundle.id);
        assert_eq!(again.name, bundle.name);
        assert_eq!(again.policy, bundle.policy);
        assert_eq!(listing(&again.main), listing(&bundle.main));
        assert_eq!(format!("{:?}", again.main), format!("{:?}", bundle.main));
        assert_eq!(again.callees.len(), bundle.callees.len());
        assert_eq!(again.source, bundle.source);
    }
    assert!(Bundle::decode(&[]).is_err());
    assert!(Bundle::decode(&[9, 1, 2]).is_err());
    assert!(Bundle::decode(&[1, 255, 255, 255]).is_err());
}

const CALLER: &str = "\
workflow: a
triggers: [{ event: x.y }]
steps:
  - call: b
    args: { n: \"${twice(1)}\" }
---
workflow: b
triggers: []
steps:
  - call: c
---
workflow: c
triggers: []
steps:
  - email: a@example.com
    purpose: internal
    template: hello
  - escalate: e
---
escalation: e
levels: [{ after: 1m, notify: [tom] }]
";

fn callers(rule_file: &str, text: &str, template: &str) -> Sources {
    Sources {
        rules: vec![SourceFile::new(rule_file, text)],
        templates: vec![
            TemplateFile {
                file: SourceFile::new("rules/templates/hello.txt", template),
                dir: "rules".into(),
            },
            TemplateFile {
                file: SourceFile::new("rules/templates/footer.txt", "bye"),
                dir: "rules".into(),
            },
            TemplateFile {
                file: SourceFile::new("rules/templates/unused.txt", "Subject: x\n\nx"),
                dir: "rules".into(),
            },
        ],
        plugins: vec![
            SourceFile::new("plugins/one.rhai", "fn twice(x) { x * 2 }"),
            SourceFile::new("plugins/two.rhai", "fn thrice(x) { x * 3 }"),
        ],
    }
}

const HELLO: &str = "Subject: Hello\n\n{% include \"footer.txt\" %}";

#[test]
fn a_bundle_holds_everybody_below_it() {
    let rules = compile(&callers("rules/t.yaml", CALLER, HELLO));
    let bundle = &rules.workflows["a"];
    assert_eq!(bundle.callees.keys().map(|name| &**name).collect::<Vec<_>>(), ["b", "c"]);
    assert!(bundle.workflow("a").is_some() && bundle.workflow("c").is_some());
    assert!(bundle.workflow("e").is_none(), "policies are live");
    let templates: Vec<_> = bundle.source.templates.iter().map(|file| &*file.name).collect();
    assert_eq!(templates, ["footer.txt", "hello.txt"]);
    let plugins: Vec<_> = bundle.source.plugins.iter().map(|plugin| &*plugin.name).collect();
    assert_eq!(plugins, ["one"]);
    let again = Bundle::decode(&bundle.source.encode()).unwrap();
    assert_eq!(format!("{:?}", again.callees), format!("{:?}", bundle.callees));
    assert!(again.templates.has("hello"));
}

#[test]
fn the_id_is_that_of_the_content() {
    let id = |file: &str, text: &str, template: &str| {
        compile(&callers(file, text, template)).workflows["a"].id
    };
    let first = id("rules/t.yaml", CALLER, HELLO);
    assert_eq!(first, id("rules/other.yaml", CALLER, HELLO), "not of the file's name");
    let shifted = format!("record: x\n---\n{CALLER}");
    assert_eq!(first, id("rules/t.yaml", &shifted, HELLO), "not of the lines above");
    assert_ne!(first, id("rules/t.yaml", &CALLER.replace("x.y", "x.z"), HELLO));
    let callee = CALLER.replace("a@example.com", "b@example.com");
    assert_ne!(first, id("rules/t.yaml", &callee, HELLO), "a callee is part of it");
    assert_ne!(first, id("rules/t.yaml", CALLER, "Subject: Other\n\nx"));
    let policy = CALLER.replace("notify: [tom]", "notify: [ana]");
    assert_eq!(first, id("rules/t.yaml", &policy, HELLO), "a policy is not");
}

#[test]
fn lines_of_a_stored_bundle_are_those_of_its_file() {
    let sources = callers("rules/t.yaml", &format!("record: x\n---\n\n# comment\n{CALLER}"), HELLO);
    let rules = compile(&sources);
    let bundle = &rules.workflows["c"];
    let again = Bundle::decode(&bundle.source.encode()).unwrap();
    let lines =
        |workflow: &Workflow| workflow.steps.iter().map(|step| step.line).collect::<Vec<_>>();
    assert_eq!(lines(&again.main), lines(&bundle.main));
}

#[test]
fn folders_are_read_with_their_templates() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("rules/b.yml", b"record: b");
    put("rules/a.yaml", b"record: a");
    put("rules/notes.txt", b"not a rule");
    put("rules/leads/c.yaml", b"record: c");
    put("rules/leads/templates/x.txt", b"Subject: x\n\nx");
    put("rules/leads/tests/t.yaml", b"scenario: no");
    put("rules/.git/d.yaml", b"no");
    put("plugins/p.rhai", b"fn p() { 1 }");
    let root = folder.path();
    let sources = Sources::read(&[root.join("rules")], &[root.join("plugins")]).unwrap();
    let short = |name: &str| name.rsplit_once("rules/").map_or(name, |(_, rest)| rest).to_owned();
    let rules: Vec<_> = sources.rules.iter().map(|file| short(&file.name)).collect();
    assert_eq!(rules, ["a.yaml", "b.yml", "leads/c.yaml"]);
    assert_eq!(sources.templates.len(), 1);
    assert!(sources.templates[0].dir.ends_with("rules/leads"));
    assert_eq!(sources.plugins.len(), 1);
    compile(&sources);

    put("rules/latin.yaml", b"record: caf\xe9");
    put("plugins/bare/x.rhai", b"fn x() { 1 }");
    let errors =
        Sources::read(&[root.join("rules"), root.join("nowhere")], &[root.join("plugins")]);
    let messages: Vec<_> = errors.unwrap_err().into_iter().map(|error| error.message).collect();
    assert_eq!(messages.len(), 3, "{messages:?}");
    assert!(messages[0].contains("line 1 is not UTF-8"), "{messages:?}");
    assert!(messages[2].contains("needs a `plugin.yaml`"), "{messages:?}");
    put("plugins/bare/plugin.yaml", b"name: bare\nversion: 1.0.0");
    let sources = Sources::read(&[], &[root.join("plugins")]).unwrap();
    assert_eq!((sources.plugins.len(), sources.plugin_count()), (3, 2));
}
