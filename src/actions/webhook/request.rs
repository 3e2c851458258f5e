//! [`HttpRequestContent`]: a request as a pure function of its command. Secrets are still marks in
//! it, and it is neither stamped nor signed: that is done at each attempt.

use std::borrow::Cow;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderName,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use url::{Url, form_urlencoded};

use super::super::marker;
use super::super::params::{Params, scalar};
use super::json::AsJson;
use crate::model::{Cause, Command, Name, Text, Value};

/// Bytes of a URL: common servers refuse more than 8 KiB in the request line.
const URL_BYTES: usize = 8 * 1024;
/// Bytes of all names and values of headers and query: common servers refuse larger heads.
const FIELD_BYTES: usize = 16 * 1024;

/// `Idempotency-Key`: the effect's key.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// `webhook-id` of Standard Webhooks: the effect's key.
pub(crate) const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
/// `webhook-timestamp` of Standard Webhooks: the attempt's second.
pub(crate) const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// `webhook-signature` of Standard Webhooks.
pub(crate) const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// The field that allows secrets in a body of JSON: set for requests of plugins only, which name what
/// secrets they use.
pub(crate) const SECRETS_IN_BODY: &str = "secrets_in_body";
/// Who we are.
const AGENT: &str = concat!("adjutant/", env!("CARGO_PKG_VERSION"));

/// Headers that a rule may not set: the daemon does, or they change how the message is framed.
static RESERVED: [HeaderName; 15] = [
    IDEMPOTENCY_KEY,
    WEBHOOK_ID,
    WEBHOOK_TIMESTAMP,
    WEBHOOK_SIGNATURE,
    HOST,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    CONNECTION,
    EXPECT,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To this address: `http` or `https`.
    Url(Url),
    /// To this endpoint of the configuration, wherever that is at the time.
    Endpoint(Name),
}

/// A rendered request.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpRequestContent {
    /// The method, in capitals.
    pub method: Method,
    /// Where it goes.
    pub target: Target,
    /// Added to the URL's query; values may hold marks of secrets.
    pub query: Vec<(Text, String)>,
    /// Every header but those of the attempt (`webhook-timestamp`, `webhook-signature`); values may
    /// hold marks of secrets.
    pub headers: Vec<(HeaderName, String)>,
    /// The body as sent.
    pub body: Bytes,
    /// Statuses taken as success; empty: every 2xx.
    pub expect: Vec<u16>,
    /// Whether it is signed, where a signing secret is configured.
    pub sign: bool,
    /// The only secrets whose marks are replaced; `None`: any.
    pub secrets: Option<Vec<Text>>,
}

impl HttpRequestContent {
    /// The body, if it holds marks of secrets, which are replaced at each attempt.
    pub(crate) fn marked_body(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok().filter(|text| marker::is_marked(text))
    }
}

/// Renders the request of a command.
///
/// # Errors
/// A cause for people: a field that is missing or of the wrong type (`params`), a URL that is not
/// one (`url`), a line break or a reserved name in a header (`header`), a secret out of place
/// (`secret`).
pub fn render(command: &Command) -> Result<HttpRequestContent, Cause> {
    let params = Params::of(command)?;
    let target = match params.text("endpoint")? {
        Some(name) => Target::Endpoint(name.clone()),
        None => Target::Url(parse_url(params.needed("url")?)?),
    };
    let method = match params.text("method")? {
        None => Method::POST,
        Some(text) => Method::from_bytes(text.to_ascii_uppercase().as_bytes())
            .map_err(|_| Cause::new("params", "`method` of `webhook` is not an HTTP method"))?,
    };
    let (body, content_type) = body(&params)?;
    let query = query(&params)?;
    let headers = headers(command, &params, content_type)?;
    let fields = query.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
        + headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>();
    if fields > FIELD_BYTES {
        return Err(Cause::new(
            "header",
            format!("headers and query have {fields} bytes, at most {FIELD_BYTES} are allowed"),
        ));
    }
    let expect = params.list("expect")?.iter().map(|value| match value {
        Value::Int(status @ 100..=599) => Ok(*status as u16),
        other => Err(params.wrong("expect", other, "a list of HTTP statuses")),
    });
    let secrets = params
        .get("secrets")
        .map(|_| params.texts("secrets").map(|names| names.into_iter().cloned().collect()))
        .transpose()?;
    Ok(HttpRequestContent {
        method,
        target,
        query,
        headers,
        body,
        expect: expect.collect::<Result<_, _>>()?,
        sign: params.flag("sign", true)?,
        secrets,
    })
}

fn parse_url(text: &str) -> Result<Url, Cause> {
    let wrong = |why: &str| Cause::new("url", format!("the URL of the webhook {why}"));
    marker::refuse(text, "the URL of a webhook")?;
    if text.len() > URL_BYTES {
        return Err(wrong(&format!("is longer than {URL_BYTES} bytes")));
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(wrong("has a line break, a space or a control character"));
    }
    let url = Url::parse(text).map_err(|error| wrong(&format!("is not one: {error}")))?;
    check_url(&url).map_err(wrong)?;
    Ok(url)
}

/// What every address of a request must have, in a rule or in the configuration.
pub(crate) fn check_url(url: &Url) -> Result<(), &'static str> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user name or a password: use a header with secret(…)");
    }
    Ok(())
}

/// The body and its type.
fn body(params: &Params<'_>) -> Result<(Bytes, Option<&'static str>), Cause> {
    let given: Vec<&str> =
        ["json", "form", "body"].into_iter().filter(|field| params.raw(field).is_some()).collect();
    let (text, content_type): (Cow<'_, str>, _) = match given.as_slice() {
        [] => return Ok((Bytes::new(), None)),
        ["json"] => {
            let value = params.raw("json").unwrap_or(&Value::Null);
            let json = serde_json::to_string(&AsJson(value))
                .map_err(|error| Cause::new("params", format!("`json` of `webhook`: {error}")))?;
            (json.into(), "application/json")
        }
        ["form"] => (form(params)?.into(), "application/x-www-form-urlencoded"),
        ["body"] => match params.get("body") {
            None => return Ok((Bytes::new(), None)),
            Some(value) => {
                let text = scalar(value).ok_or_else(|| params.wrong("body", value, "text"))?;
                (text, "text/plain; charset=utf-8")
            }
        },
        _ => {
            return Err(Cause::new(
                "params",
                "`webhook` takes one of `json`, `form` and `body`, not several",
            ));
        }
    };
    let reveals = content_type == "application/json" && params.flag(SECRETS_IN_BODY, false)?;
    if !reveals {
        marker::refuse(&text, "the body of a webhook")?;
    }
    Ok((Bytes::from(text.into_owned()), Some(content_type)))
}

/// `a=1&b=x&b=y`; `()` is left out, a list repeats its name.
fn form(params: &Params<'_>) -> Result<String, Cause> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in params.map("form")?.into_iter().flatten() {
        for value in each(value) {
            let text = scalar(value).ok_or_else(|| {
                params.wrong(&format!("form.{name}"), value, "a scalar or a list of scalars")
            })?;
            form.append_pair(name, &text);
        }
    }
    Ok(form.finish())
}

fn query(params: &Params<'_>) -> Result<Vec<(Text, String)>, Cause> {
    let mut query = Vec::new();
    for (name, value) in params.map("query")?.into_iter().flatten() {
        for value in each(value) {
            let text = scalar(value).ok_or_else(|| {
                params.wrong(&format!("query.{name}"), value, "a scalar or a list of scalars")
            })?;
            query.push((name.clone(), text.into_owned()));
        }
    }
    Ok(query)
}

/// The items of a list, a single value, or nothing for `()`.
fn each(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::List(items) => items,
        one => std::slice::from_ref(one),
    }
}

fn headers(
    command: &Command,
    params: &Params<'_>,
    content_type: Option<&'static str>,
) -> Result<Vec<(HeaderName, String)>, Cause> {
    let mut headers = Vec::with_capacity(8);
    for (name, value) in params.map("headers")?.into_iter().flatten() {
        let wrong = |why: &str| {
            let name: String =
                name.chars().take(40).map(|c| if c.is_control() { '␤' } else { c }).collect();
            Cause::new("header", format!("the header `{name}` of the webhook {why}"))
        };
        if value.is_null() {
            continue;
        }
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| wrong("has a name that no header can have"))?;
        if RESERVED.contains(&name) {
            return Err(wrong("is set by the daemon"));
        }
        let value = scalar(value).ok_or_else(|| wrong("is a list or an object, not text"))?;
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(wrong("has a line break or another control character"));
        }
        headers.push((name, value.into_owned()));
    }
    let mut default = |name: HeaderName, value: &str| {
        if !headers.iter().any(|(given, _)| *given == name) {
            headers.push((name, value.to_owned()));
        }
    };
    if let Some(content_type) = content_type {
        default(CONTENT_TYPE, content_type);
    }
    default(ACCEPT, "*/*");
    default(USER_AGENT, AGENT);
    let key = command.key.to_string();
    default(IDEMPOTENCY_KEY, &key);
    default(WEBHOOK_ID, &key);
    Ok(headers)
}
