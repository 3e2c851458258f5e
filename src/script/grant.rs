//! [`Grant`]: what a plugin may do besides computing, and the settings it was given.
//!
//! A function that a plugin has no permission for is not there for it, so misuse is found when rules
//! are loaded. What only shows at run time (a computed kind of records, the host of a request) is
//! asked here again.

use serde::{Deserialize, Serialize};

use crate::model::{Map, Text, Value};

/// Permissions and settings of one plugin: part of what a run is pinned to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grant {
    /// What it may reach.
    pub permissions: Permissions,
    /// Its settings with their defaults; `None`: its manifest declares none.
    pub settings: Option<Map>,
}

/// What a plugin may reach. Nothing, unless its manifest says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Permissions {
    /// Hosts its requests may go to: `events.example.com`, or `*.example.com` for those below.
    pub hosts: Vec<Text>,
    /// Endpoints of the configuration its requests may go to; `*`: whichever a rule names.
    pub endpoints: Vec<Text>,
    /// Names of secrets it may put into its requests.
    pub secrets: Vec<Text>,
    /// Kinds of records it may read; `*`: every kind.
    pub records: Vec<Text>,
}

/// A grant as it is kept: JSON, with its members in this order.
#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(default)]
    permissions: Permissions,
    #[serde(default)]
    settings: Option<serde_json::Value>,
}

impl Grant {
    /// That of plugins from before there were manifests: they may read records of every kind.
    #[must_use]
    pub fn from_before_manifests() -> Self {
        let permissions = Permissions { records: vec!["*".into()], ..Permissions::default() };
        Self { permissions, settings: None }
    }

    /// As text, the same for the same grant.
    #[must_use]
    pub fn encode(&self) -> Text {
        let settings = self.settings.clone().map(|settings| Value::Map(settings).to_json());
        let kept = Kept { permissions: self.permissions.clone(), settings };
        // Plain data: writing it to memory cannot fail.
        serde_json::to_string(&kept).unwrap_or_default().into()
    }

    /// Reads what [`Grant::encode`] wrote; `None` when it is damaged.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let Kept { permissions, settings } = serde_json::from_str(text).ok()?;
        let settings = match settings.map(Value::from_json) {
            None | Some(Value::Null) => None,
            Some(Value::Map(settings)) => Some(settings),
            Some(_) => return None,
        };
        Some(Self { permissions, settings })
    }

    /// Why calling `function`, one of the language, is not for this plugin, and what to do about it.
    pub(super) fn withholds(&self, function: &str) -> Option<(String, String)> {
        let permission = match function {
            "record" | "records" if self.permissions.records.is_empty() => "records: [KIND]",
            "secret" if self.permissions.secrets.is_empty() => "secrets: [NAME]",
            "settings" if self.settings.is_none() => {
                let help = "declare them in its `plugin.yaml`: `settings: { properties: … }`";
                return Some(("this plugin has no settings".to_owned(), help.to_owned()));
            }
            _ => return None,
        };
        let message = format!("this plugin has no permission for `{function}`");
        let help = format!("give it one in its `plugin.yaml`: `permissions: {{ {permission} }}`");
        Some((message, help))
    }

    /// Why these literal arguments of `function` are not for this plugin.
    pub(super) fn withholds_this(
        &self,
        function: &str,
        args: &[Option<Value>],
    ) -> Option<(String, String)> {
        let first = args.first()?.as_ref()?.as_text()?;
        let (allowed, permission, name) = match function {
            "secret" => (self.permissions.secret(first), "secrets", first),
            "record" | "records" => {
                let kind = first.split_once('/').map_or(first, |(kind, _)| kind);
                (self.permissions.record(kind), "records", kind)
            }
            _ => return None,
        };
        let message = format!("this plugin has no permission for {permission} of `{name}`");
        let message = message.replace("secrets of", "the secret");
        let help = format!("add `{name}` to `permissions.{permission}` in its `plugin.yaml`");
        (!allowed).then_some((message, help))
    }
}

impl Permissions {
    /// Whether a request may go to this host.
    #[must_use]
    pub fn host(&self, host: &str) -> bool {
        self.hosts.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(domain) => host.len().checked_sub(domain.len() + 1).is_some_and(|dot| {
                host.as_bytes()[dot] == b'.' && host[dot + 1..].eq_ignore_ascii_case(domain)
            }),
            None => host.eq_ignore_ascii_case(pattern),
        })
    }

    /// Whether a request may go to this endpoint.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> bool {
        named(&self.endpoints, name)
    }

    /// Whether this secret may stand in a request.
    #[must_use]
    pub fn secret(&self, name: &str) -> bool {
        self.secrets.iter().any(|known| **known == *name)
    }

    /// Whether records of this kind may be read.
    #[must_use]
    pub fn record(&self, kind: &str) -> bool {
        named(&self.records, kind)
    }
}

fn named(list: &[Text], name: &str) -> bool {
    list.iter().any(|known| **known == *name || **known == *"*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_whole_names_or_those_below_one() {
        let permissions = Permissions {
            hosts: vec!["api.example.com".into(), "*.chat.example".into()],
            ..Permissions::default()
        };
        for host in ["api.example.com", "API.example.com", "eu.chat.example", "a.b.chat.example"] {
            assert!(permissions.host(host), "{host}");
        }
        for host in ["chat.example", "evilchat.example", "x.api.example.com", "example.com", ""] {
            assert!(!permissions.host(host), "{host}");
        }
    }

    #[test]
    fn a_grant_is_kept_as_text() {
        let mut grant = Grant::from_before_manifests();
        assert_eq!(Grant::decode(&grant.encode()), Some(grant.clone()));
        grant.settings = Some(Map::from([("a".into(), Value::Int(1))]));
        grant.permissions.hosts.push("x.example".into());
        assert_eq!(Grant::decode(&grant.encode()), Some(grant));
        assert_eq!(Grant::decode("{\"settings\": 5}"), None);
        assert_eq!(Grant::decode("{}"), Some(Grant::default()));
    }
}
