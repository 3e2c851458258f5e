//! `http.hooks`: inbound webhooks and how they are verified.

use crate::model::{Name, Text};
use crate::triggers::{Encoding, Verify};

use super::raw::{List, RawHook, Scalar};
use super::validate::Reader;
use super::{Bad, HookConfig, values};

/// Presets that the design has and this version does not.
const LATER: [&str; 4] = ["github", "stripe", "shopify", "slack"];
/// The header of an HMAC when nothing is said.
const SIGNATURE: &str = "x-signature";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Preset {
    None,
    Standard,
    Hmac,
}

impl Reader<'_> {
    pub(super) fn hooks(&mut self, raw: List<RawHook>) -> Vec<HookConfig> {
        let mut hooks: Vec<HookConfig> = Vec::new();
        for (index, hook) in raw.into_iter().enumerate() {
            let Some(hook) = hook else { continue };
            let path = format!("http.hooks[{index}]");
            let Some(hook) = self.hook(&path, hook) else { continue };
            if hooks.iter().any(|other| other.name == hook.name) {
                let bad = Bad::new(
                    format!("there are two hooks `{}`", hook.name),
                    "give each sender a path of its own",
                );
                self.refuse(&path, "duplicate", bad);
            }
            hooks.push(hook);
        }
        hooks
    }

    fn hook(&mut self, path: &str, raw: RawHook) -> Option<HookConfig> {
        let at = |key: &str| format!("{path}.{key}");
        for (key, missing) in [("path", raw.path.is_none()), ("verify", raw.verify.is_none())] {
            if missing {
                let help = "write { path: crm, verify: standard, secret: crm_hook }; `verify: none` takes \
                            only deliveries that carry a token of the API";
                self.refuse(path, "missing", Bad::new(format!("the hook has no `{key}`"), help));
            }
        }
        let name = self.value(&at("path"), raw.path, values::name);
        let verify = self.value(&at("verify"), raw.verify, preset);
        let wrote_secret = raw.secret.is_some();
        let secret = self.value(&at("secret"), raw.secret, values::secret);
        let mut header = |key: &str, raw: Option<Scalar>| self.value(&at(key), raw, header_name);
        let wrote = [raw.header.is_some(), raw.prefix.is_some(), raw.encoding.is_some()];
        let signed = header("header", raw.header);
        let id_header = header("id_header", raw.id_header);
        let prefix = self.value(&at("prefix"), raw.prefix, |text| Ok(Text::from(text)));
        let encodings = [("hex", Encoding::Hex), ("base64", Encoding::Base64)];
        let encoding =
            self.value(&at("encoding"), raw.encoding, |text| values::choice(text, &encodings));
        let transform = self.value(&at("transform"), raw.transform, function);
        let (name, preset) = (name?, verify?);
        if preset != Preset::None && !wrote_secret {
            let help = "name the secret that the sender signs with: secret: crm_hook";
            self.refuse(&at("verify"), "missing", Bad::new("the hook has no `secret`", help));
        }
        if preset == Preset::None && wrote_secret {
            let bad = Bad::new("nothing is verified with this secret", "say how: verify: hmac");
            self.refuse(&at("secret"), "useless", bad);
        }
        for (key, _) in
            ["header", "prefix", "encoding"].iter().zip(wrote).filter(|(_, wrote)| *wrote)
        {
            if preset != Preset::Hmac {
                let bad = Bad::new(format!("`{key}` is only for verify: hmac"), "take it out");
                self.refuse(&at(key), "useless", bad);
            }
        }
        let verify = match preset {
            Preset::None => Verify::None,
            Preset::Standard => Verify::Standard,
            Preset::Hmac => Verify::Hmac {
                header: signed.unwrap_or_else(|| SIGNATURE.into()),
                prefix: prefix.unwrap_or_default(),
                encoding: encoding.unwrap_or(Encoding::Hex),
            },
        };
        Some(HookConfig { name: Name::from(&*name), verify, secret, transform, id_header })
    }
}

fn preset(text: &str) -> Result<Preset, Bad> {
    if LATER.contains(&text) {
        return Err(Bad::new(
            format!("`verify: {text}` is not supported yet"),
            "many of its kind are verified by `verify: hmac` with `header` and `prefix`",
        ));
    }
    values::choice(
        text,
        &[("standard", Preset::Standard), ("hmac", Preset::Hmac), ("none", Preset::None)],
    )
}

fn header_name(text: &str) -> Result<Text, Bad> {
    http::HeaderName::from_bytes(text.as_bytes()).map(|name| name.as_str().into()).map_err(|_| {
        Bad::new(format!("`{text}` is not the name of a header"), "write it as in X-Signature")
    })
}

fn function(text: &str) -> Result<Text, Bad> {
    let sound = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if sound {
        Ok(text.into())
    } else {
        Err(Bad::new(
            format!("`{text}` is not the name of a function"),
            "write it as in its plugin",
        ))
    }
}
