//! The shape of `adjutant.yaml`, before anything in it is understood.
//!
//! Everything is optional here and scalars are text; what they mean is decided in `validate`. The
//! names of fields are the names of settings. Unknown keys are errors.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// Any scalar as text: a number or a boolean where text was meant gets a message of its own.
#[derive(Clone, Debug)]
pub(super) struct Scalar(pub(super) String);

/// A list; an element that was refused leaves a gap, so that later ones keep their number.
pub(super) type List<T> = Vec<Option<T>>;

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
        }

        deserializer.deserialize_any(Text)
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "settings, each `key: value`")]
pub(super) struct RawConfig {
    pub(super) data_dir: Option<Scalar>,
    pub(super) rules: Option<List<Scalar>>,
    pub(super) plugins: Option<List<Scalar>>,
    pub(super) watch: Option<Scalar>,
    pub(super) plugin_settings: Option<BTreeMap<String, serde_yaml::Value>>,
    pub(super) http: Option<RawHttp>,
    pub(super) timezone: Option<Scalar>,
    pub(super) smtp: Option<RawSmtp>,
    pub(super) outbox: Option<Scalar>,
    pub(super) spool: Option<Scalar>,
    pub(super) webhooks: Option<RawWebhooks>,
    pub(super) limits: Option<RawLimits>,
    pub(super) retention: Option<RawRetention>,
    pub(super) log: Option<RawLog>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "settings, each `key: value`")]
pub(super) struct RawHttp {
    pub(super) listen: Option<Scalar>,
    pub(super) public_url: Option<Scalar>,
    pub(super) tokens: Option<List<RawToken>>,
    pub(super) hooks: Option<List<RawHook>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a hook: { path, verify, secret, transform }")]
pub(super) struct RawHook {
    pub(super) path: Option<Scalar>,
    pub(super) verify: Option<Scalar>,
    pub(super) secret: Option<Scalar>,
    pub(super) transform: Option<Scalar>,
    pub(super) header: Option<Scalar>,
    pub(super) prefix: Option<Scalar>,
    pub(super) encoding: Option<Scalar>,
    pub(super) id_header: Option<Scalar>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a token: { name, scopes, sha256 }")]
pub(super) struct RawToken {
    pub(super) name: Option<Scalar>,
    pub(super) scopes: Option<List<Scalar>>,
    pub(super) sha256: Option<Scalar>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "settings, each `key: value`")]
pub(super) struct RawSmtp {
    pub(super) host: Option<Scalar>,
    pub(super) port: Option<Scalar>,
    pub(super) tls: Option<Scalar>,
    pub(super) username: Option<Scalar>,
    pub(super) password: Option<Scalar>,
    pub(super) from: Option<Scalar>,
    pub(super) ca: Option<Scalar>,
    pub(super) only_to: Option<List<Scalar>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "settings, each `key: value`")]
pub(super) struct RawWebhooks {
    pub(super) allow_networks: Option<List<Scalar>>,
    pub(super) timeout: Option<Scalar>,
    pub(super) secret: Option<Scalar>,
    pub(super) ca: Option<Scalar>,
    pub(super) endpoints: Option<BTreeMap<String, Option<RawEndpoint>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "an endpoint: { url, secret }")]
pub(super) struct RawEndpoint {
    pub(super) url: Option<Scalar>,
    pub(super) url_secret: Option<Scalar>,
    pub(super) secret: Option<Scalar>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "settings, each `key: value`")]
pub(super) struct RawLimits {
    pub(super) event_size: Option<Scalar>,
    pub(super) queue: Option<Scalar>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "settings, each `key: value`")]
pub(super) struct RawRetention {
    pub(super) events: Option<Scalar>,
    pub(super) runs: Option<Scalar>,
    pub(super) failed_runs: Option<Scalar>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "settings, each `key: value`")]
pub(super) struct RawLog {
    pub(super) format: Option<Scalar>,
    pub(super) level: Option<Scalar>,
}
