//! The configuration as people write it, right and wrong.

use super::*;
use crate::triggers::Encoding;

fn parse(text: &str) -> Result<Config, Vec<Diagnostic>> {
    Config::parse(
        &SourceFile { name: "adjutant.yaml".into(), text: text.into() },
        Path::new("/etc/adjutant"),
    )
}

/// Each mistake as `excerpt: message; help`.
fn mistakes(text: &str) -> Vec<String> {
    let found = parse(text).unwrap_err();
    found
        .iter()
        .map(|diagnostic| {
            let help = diagnostic.help.as_deref().unwrap_or("-");
            format!("{}: {}; {help}", &text[diagnostic.primary.span.clone()], diagnostic.message)
        })
        .collect()
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let found = mistakes(text);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains(expected), "{}", found[0]);
}

const FULL: &str = r#"
data_dir: /var/lib/adjutant
rules: [rules, more/rules]
plugins: [plugins]
http:
  listen: 0.0.0.0:8750
  public_url: https://ops.example.com
  tokens: [{ name: crm, scopes: [ingest, read], sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" }]
timezone: Europe/Berlin
smtp: { host: mail.example.com, port: 2525, tls: starttls, username: bot, password: smtp_password, from: "Ops <ops@example.com>", ca: ca.pem, only_to: ["*@example.com"] }
outbox: out
spool: in
webhooks:
  allow_networks: [10.1.0.0/16, 127.0.0.1]
  timeout: 20s
  secret: hook_signing
  endpoints: { crm: { url: "https://crm.example.com/in", secret: crm-key }, later: {} }
limits: { event_size: 256KiB, queue: 16MiB }
retention: { events: 7d, runs: 30d, failed_runs: 1y }
log: { format: json, level: debug }
"#;

#[test]
fn everything_can_be_set() {
    let config = parse(FULL).unwrap_or_else(|_| panic!("{:#?}", mistakes(FULL)));
    assert_eq!(config.data_dir, Path::new("/var/lib/adjutant"));
    assert_eq!(
        config.rules,
        [Path::new("/etc/adjutant/rules"), Path::new("/etc/adjutant/more/rules")]
    );
    assert_eq!(config.http.listen.to_string(), "0.0.0.0:8750");
    assert_eq!(config.http.tokens[0].scopes, [Scope::Ingest, Scope::Read]);
    assert_eq!(config.http.tokens[0].sha256[..2], [0x9f, 0x86]);
    assert_eq!(&*config.timezone, "Europe/Berlin");
    assert_eq!(config.smtp.port, 2525);
    assert_eq!(config.smtp.ca.as_deref(), Some(Path::new("/etc/adjutant/ca.pem")));
    assert_eq!(config.smtp.password.as_deref(), Some("smtp_password"));
    assert_eq!(config.outbox, Path::new("/etc/adjutant/out"));
    assert_eq!(config.spool, Path::new("/etc/adjutant/in"));
    assert_eq!(config.webhooks.allow_networks.len(), 2);
    assert_eq!(config.webhooks.timeout, Span::from_secs(20));
    assert_eq!(config.webhooks.endpoints["crm"].secret.as_deref(), Some("crm-key"));
    assert_eq!(config.webhooks.endpoints["later"], Endpoint::default());
    assert_eq!((config.limits.event_size, config.limits.queue), (262_144, 16 << 20));
    assert_eq!(config.retention.failed_runs, Span::from_days(365));
    assert_eq!(config.log, LogConfig { format: LogFormat::Json, level: LogLevel::Debug });
}

#[test]
fn an_empty_file_and_no_file_are_the_defaults() {
    let config = parse("# nothing yet\n").unwrap();
    assert_eq!(config, Config::defaults(Path::new("/etc/adjutant")));
    assert_eq!(config, parse("").unwrap());
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8750");
    assert_eq!(config.rules, [Path::new("/etc/adjutant/rules")]);
    assert_eq!(config.smtp.from, "Adjutant <adjutant@localhost>");
    assert_eq!((config.limits.event_size, config.smtp.port), (1 << 20, 587));
    assert_eq!(Config::defaults(Path::new("")).data_dir, Path::new("data"));
    assert_eq!(parse("rules: []").unwrap().rules, [] as [PathBuf; 0]);
}

#[test]
fn the_port_of_mail_follows_tls() {
    let port = |tls: &str| parse(&format!("smtp: {{ tls: {tls} }}")).unwrap().smtp.port;
    assert_eq!((port("starttls"), port("tls"), port("none")), (587, 465, 25));
}

#[test]
fn all_mistakes_are_found_at_once_and_point_at_their_place() {
    let text = "\
data_dri: /x
http:
  listen: localhost:80
  lisen: x
  tokens:
    - { name: crm, scopes: [ingest, reed], sha256: abc }
    - 5
  hooks: [{ path: x }]
rules: rules
timezone: Berlin
smtp: { tls: startls, port: 99999 }
webhooks: { allow_networks: [10.1.2.3/8, fine], timeout: 15, endpoints: { CRM: { url: crm }, x: { address: y } } }
limits: { event_size: 2MiB, queue: 1KiB }
retention: { events: 4bh }
log: { format: journald, level: inof }
";
    let found = mistakes(text);
    let expected = [
        "data_dri: there is no setting `data_dri`; did you mean `data_dir`?",
        "localhost:80: `localhost:80` is not an address to listen on; write an address: 127.0.0.1:80",
        "lisen: there is no setting `lisen` in `http`; did you mean `listen`?",
        "reed: `reed` is not possible here; did you mean `read`?",
        "abc: this is not a SHA-256",
        "5: `http.tokens[1]` cannot be a number; write a token: { name, scopes, sha256 }",
        "{ path: x }: the hook has no `verify`; write { path: crm, verify: standard",
        "rules: `rules` cannot be text; write a list: [a, b]",
        "Berlin: `Berlin` is not a time zone; did you mean `Europe/Berlin`?",
        "startls: `startls` is not possible here; did you mean `starttls`?",
        "99999: `99999` is not a port",
        "10.1.2.3/8: `10.1.2.3/8` has bits beyond its prefix; write 10.0.0.0/8, or 10.1.2.3 alone",
        "fine: `fine` is not a network",
        "15: `15` has no unit",
        "CRM: `CRM` is not a name",
        "crm: `crm` is not a URL",
        "address: there is no setting `address` in `webhooks.endpoints.x`; there are url, url_secret, secret",
        "2MiB: `2MiB` is more than the engine takes",
        "1KiB: `1KiB` is too small for a queue",
        "4bh: `4bh` counts open time",
        "format: `journald` is not supported yet",
        "inof: `inof` is not possible here; did you mean `info`?",
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn hooks_say_how_they_are_verified() {
    let text = "\
http:
  hooks:
    - { path: forms, verify: none, transform: from_form }
    - { path: crm, verify: standard, secret: crm_hook }
    - { path: shop, verify: hmac, secret: shop_hook, header: X-Shop, prefix: \"sha256=\", encoding: base64, id_header: X-Id }
";
    let config = parse(text).unwrap();
    let [forms, crm, shop] = &config.http.hooks[..] else { panic!("{:?}", config.http.hooks) };
    assert_eq!((&forms.verify, forms.transform.as_deref()), (&Verify::None, Some("from_form")));
    assert_eq!((&crm.verify, crm.secret.as_deref()), (&Verify::Standard, Some("crm_hook")));
    let (header, prefix) = ("x-shop".into(), "sha256=".into());
    assert_eq!(shop.verify, Verify::Hmac { header, prefix, encoding: Encoding::Base64 });
    assert_eq!(shop.id_header.as_deref(), Some("x-id"));
    for (hook, message) in [
        ("{ path: a, verify: stripe, secret: s }", "`verify: stripe` is not supported yet"),
        ("{ path: a, verify: hamc, secret: s }", "did you mean `hmac`?"),
        ("{ path: a, verify: standard }", "the hook has no `secret`"),
        ("{ path: a, verify: none, secret: s }", "nothing is verified with this secret"),
        (
            "{ path: a, verify: standard, secret: s, prefix: x }",
            "`prefix` is only for verify: hmac",
        ),
        ("{ path: a/b, verify: none }", "`a/b` is not a name"),
        ("{ path: a, verify: none, transform: a-b }", "`a-b` is not the name of a function"),
        ("{ path: a, verify: none }, { path: a, verify: none }", "there are two hooks `a`"),
        ("{ verify: none }", "the hook has no `path`"),
    ] {
        refused(&format!("http: {{ hooks: [{hook}] }}"), message);
    }
}

#[test]
fn plugins_get_settings_by_name() {
    assert!(parse("").unwrap().watch && !parse("watch: false").unwrap().watch);
    refused("watch: maybe", "`maybe`");
    let config = parse("plugin_settings: { chat: { format: teams } }");
    let settings = config.unwrap().plugin_settings;
    assert_eq!(settings["chat"].get("format"), Some(&"teams".into()));
    refused("plugin_settings: { chat: teams }", "the settings of `chat` are not an object");
    refused(
        "webhooks: { endpoints: { a: { url: \"https://x.example\", url_secret: b } } }",
        "cannot stand together",
    );
}

#[test]
fn other_machines_need_tokens() {
    refused(
        "http: { listen: \"0.0.0.0:8750\" }",
        "can be reached from other machines, and there are no tokens; list a token in http.tokens",
    );
    refused("http: { listen: \"[::]:8750\", tokens: [] }", "there are no tokens");
    assert!(parse("http: { listen: \"[::1]:8750\" }").is_ok());
    // a token that is wrong is one mistake, not two
    refused(
        "http: { listen: \"0.0.0.0:1\", tokens: [{ name: crm, scopes: [admin], sha256: x }] }",
        "SHA-256",
    );
}

#[test]
fn tokens_are_whole_and_differ() {
    let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let other = hash.replace('9', "8");
    let tokens = |list: &str| format!("http: {{ tokens: [{list}] }}");
    refused(&tokens(&format!("{{ name: a, sha256: {hash} }}")), "the token has no `scopes`");
    refused(&tokens(&format!("{{ name: a, scopes: [], sha256: {hash} }}")), "may do nothing");
    refused(
        &tokens(&format!("{{ name: local, scopes: [read], sha256: {hash} }}")),
        "callers without a token",
    );
    let two = |name: &str, second: &str| {
        tokens(&format!(
            "{{ name: a, scopes: [read], sha256: {hash} }}, {{ name: {name}, scopes: [read], sha256: {second} }}"
        ))
    };
    refused(&two("a", &other), "there are two tokens `a`");
    refused(&two("b", hash), "this token is there already");
    assert_eq!(parse(&two("a", &other)).unwrap_err()[0].secondary[0].text, "the first one");
    assert!(parse(&two("b", &other)).is_ok());
    assert_eq!(mistakes(&tokens("{}")).len(), 3);
}

#[test]
fn mail_needs_a_sender_and_both_halves_of_a_login() {
    refused("smtp: { host: mail.example.com }", "write smtp.from");
    refused("smtp: { username: bot }", "name its secret in smtp.password");
    refused("smtp: { password: pw }", "a password without a username");
    let written_out = mistakes("smtp: { username: bot, password: \"hunter2!\" }").remove(0);
    assert!(!written_out.split_once(": ").unwrap().1.contains("hunter2"), "{written_out}");
}

#[test]
fn shapes_that_yaml_would_let_pass_are_refused() {
    refused("smtp:\n  host:\n", "there is no value");
    refused("log: { level: info }\nlog: { level: warn }\n", "`log` stands twice");
    refused("- a\n- b\n", "cannot be a list; write settings");
    refused("just text", "cannot be text; write settings");
    refused("a: [\n", "");
    refused("data_dir: ~/x", "`~` is not expanded");
    refused("data_dir: { a: b }", "`data_dir` cannot be settings of its own; write text");
    refused("webhooks: { endpoints: [a] }", "write names, each with its settings");
}

#[test]
fn files_are_found_in_the_documented_order() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, zone: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("\u{feff}timezone: {zone}\n")).unwrap();
        path
    };
    let none = |_: &str| None;
    let default = Config::load(None, none, dir.path()).unwrap();
    assert_eq!((default.file, default.data_dir), (None, dir.path().join("data")));
    let beside = write("adjutant.yaml", "Asia/Kolkata");
    let found = Config::load(None, none, dir.path()).unwrap();
    assert_eq!((&*found.timezone, found.file), ("Asia/Kolkata", Some(beside)));
    write("env/a.yaml", "Europe/Berlin");
    let env = |name: &str| (name == CONFIG_VARIABLE).then(|| "env/a.yaml".into());
    let found = Config::load(None, env, dir.path()).unwrap();
    assert_eq!((&*found.timezone, found.outbox), ("Europe/Berlin", dir.path().join("env/outbox")));
    write("b.yaml", "America/New_York");
    let found = Config::load(Some(Path::new("b.yaml")), env, dir.path()).unwrap();
    assert_eq!(&*found.timezone, "America/New_York");
    assert_eq!(
        &*Config::load(None, |_| Some("".into()), dir.path()).unwrap().timezone,
        "Asia/Kolkata"
    );
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let bad = Config::load(Some(Path::new("no.yaml")), |_| None, dir.path()).unwrap_err();
    assert_eq!((bad.diagnostics[0].code, bad.source.is_none()), ("unreadable", true));
    assert!(bad.diagnostics[0].message.starts_with("the configuration `no.yaml` cannot be read: "));
    let env = Config::load(None, |_| Some("no.yaml".into()), dir.path()).unwrap_err();
    assert!(env.diagnostics[0].help.as_ref().unwrap().contains("ADJUTANT_CONFIG"));
    // one that is there and wrong is not passed over
    fs::write(dir.path().join("adjutant.yaml"), "smpt: {}").unwrap();
    let bad = Config::load(None, |_| None, dir.path()).unwrap_err();
    assert_eq!(bad.diagnostics[0].help.as_deref(), Some("did you mean `smtp`?"));
    assert_eq!(&*bad.source.unwrap().name, "adjutant.yaml");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z:{}\\[\\],\"'#&*!|>\n \\-ü0-9]{0,80}") {
        if let Err(found) = parse(&text) {
            for diagnostic in found {
                proptest::prop_assert!(text.get(diagnostic.primary.span).is_some());
            }
        }
    }

    #[test]
    fn no_setting_makes_it_panic(key in "(http|smtp|webhooks|limits|rules|log|timezone)", inner in "(listen|tokens|endpoints|tls|queue|level)", value in "[\\[\\]{}:a-z0-9, \"]{0,20}") {
        for text in [format!("{key}: {value}"), format!("{key}:\n  {inner}: {value}\n")] {
            if let Err(found) = parse(&text) {
                for diagnostic in found {
                    proptest::prop_assert!(text.get(diagnostic.primary.span).is_some());
                }
            }
        }
    }
}
