//! `webhook:` with its fields.

use crate::script::{Part, Shape};

use super::compile::{Cx, Place};
use super::decode::Fields;
use super::directory::Sort;
use super::program::{UrlPart, WebhookBody, WebhookStep, WebhookTarget};
use super::step_mail::headers;
use super::step_wait::object;
use super::suggest::nearest;
use super::yaml::{Kind, Node};

/// Headers that the daemon writes itself.
const OWN_HEADERS: [&str; 10] = [
    "connection",
    "content-length",
    "host",
    "idempotency-key",
    "te",
    "trailer",
    "transfer-encoding",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];

/// Methods a rule may use.
const METHODS: [(&str, &str); 6] = [
    ("GET", "GET"),
    ("POST", "POST"),
    ("PUT", "PUT"),
    ("PATCH", "PATCH"),
    ("DELETE", "DELETE"),
    ("HEAD", "HEAD"),
];

/// `webhook:`
pub(super) fn webhook(
    cx: &mut Cx<'_>,
    target: &Node,
    fields: Fields<'_>,
    place: Place,
) -> Option<WebhookStep> {
    let target = self::target(cx, target, place);
    let method = match fields.get("method") {
        Some(node) => method(cx, node),
        None => Some("POST"),
    };
    let headers = match fields.get("headers") {
        Some(node) => headers(cx, node, place.with_secret(), &OWN_HEADERS),
        None => Some(Vec::new()),
    };
    let query = match fields.get("query") {
        Some(node) => cx.named(node, "query", place.with_secret()),
        None => Some(Vec::new()),
    };
    let body = body(cx, fields, place, method);
    let expect = match fields.get("expect") {
        Some(node) => expect(cx, node),
        None => Some(Vec::new()),
    };
    let sign = match fields.get("sign") {
        Some(node) => cx.sink.boolean(node, "sign"),
        None => Some(true),
    };
    Some(WebhookStep {
        target: target?,
        method: method?.into(),
        headers: headers?,
        query: query?,
        body: body?,
        expect: expect?,
        sign: sign?,
    })
}

/// The name of an endpoint. One that the configuration does not name is set up later: until then its
/// requests go to the outbox. A name close to one that is there is a slip.
fn endpoint(cx: &mut Cx<'_>, node: &Node) -> Option<WebhookTarget> {
    let name = cx.sink.name(node, "webhook")?;
    let slip = cx.directory.is_some_and(|directory| {
        !directory.knows(Sort::Endpoint, name)
            && nearest(name, directory.names(Sort::Endpoint)).is_some()
    });
    if slip {
        return cx.reference(node, "webhook", Sort::Endpoint).map(WebhookTarget::Endpoint);
    }
    Some(WebhookTarget::Endpoint(name.into()))
}

fn target(cx: &mut Cx<'_>, node: &Node, place: Place) -> Option<WebhookTarget> {
    let text = cx.sink.raw(node, "webhook")?;
    let Some((scheme, after)) = text.split_once("://") else {
        if text.contains("${") || text.contains(['/', '.', ':']) {
            let message = format!("`{text}` is neither a URL nor the name of an endpoint");
            cx.sink
                .error("url", node.head(), message)
                .help("write `https://host/path` with a literal host, or the name of an endpoint of the configuration");
            return None;
        }
        return endpoint(cx, node);
    };
    if !matches!(scheme, "http" | "https") {
        let message = if scheme.contains("${") {
            "the scheme of a URL cannot be computed".to_owned()
        } else {
            format!("`{scheme}` is not a scheme that webhooks use")
        };
        cx.sink.error("url", node.head(), message).help("write `https://`, or `http://`");
        return None;
    }
    let end = authority_end(after);
    let (host, rest) = after.split_at(end);
    if host.contains("${") {
        cx.sink
            .error("url", node.head(), "the host of a URL cannot be computed")
            .help("write it out, or use the name of an endpoint of the configuration: a rule that lets data choose the host can be made to talk to anybody");
        return None;
    }
    if host.contains('@') {
        cx.sink
            .error("url", node.head(), "a URL cannot carry a user or a password")
            .help("use `headers` with `secret(…)`");
        return None;
    }
    let origin = format!("{scheme}://{host}");
    let parsed = url::Url::parse(&origin).ok().filter(url::Url::has_host);
    if parsed.is_none() {
        let message = format!("`{host}` is not a host");
        cx.sink.error("url", node.head(), message).help("write `https://host/path`");
        return None;
    }
    if rest.contains('#') && !rest.contains("${") {
        cx.sink
            .error("url", node.head(), "what follows `#` in a URL is never sent")
            .help("take it out");
        return None;
    }
    let shape = cx.text_shape(node, "webhook", place)?;
    Some(WebhookTarget::Url { rest: parts(&shape, &origin), origin: origin.into() })
}

/// Where the host of a URL ends: at the path, the query or the fragment, but not inside `${…}`.
fn authority_end(after: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in after.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '/' | '?' | '#' if depth == 0 => return at,
            _ => {}
        }
    }
    after.len()
}

/// What follows `origin` in the URL, beginning with `/` unless it is empty.
fn parts(shape: &Shape, origin: &str) -> Vec<UrlPart> {
    let mut parts = Vec::new();
    let literal = |text: &str, parts: &mut Vec<UrlPart>| {
        if !text.is_empty() {
            let lead = if parts.is_empty() && !text.starts_with('/') { "/" } else { "" };
            parts.push(UrlPart::Literal(format!("{lead}{text}").into()));
        }
    };
    match shape {
        Shape::Literal(value) => {
            let text = value.to_string();
            literal(text.strip_prefix(origin).unwrap_or(""), &mut parts);
        }
        Shape::Text(pieces) => {
            for (at, piece) in pieces.iter().enumerate() {
                match piece {
                    Part::Literal(text) if at == 0 => {
                        literal(text.strip_prefix(origin).unwrap_or(text), &mut parts);
                    }
                    Part::Literal(text) => literal(text, &mut parts),
                    Part::Value(expr) => parts.push(UrlPart::Value(expr.clone())),
                }
            }
        }
        // The literal scheme and host stand before any hole, so these cannot be.
        Shape::Expr(_) | Shape::List(_) | Shape::Map(_) => {}
    }
    parts
}

fn method(cx: &mut Cx<'_>, node: &Node) -> Option<&'static str> {
    let word = cx.sink.raw(node, "method")?;
    cx.choice(node, "method", word, &METHODS)
}

fn body(
    cx: &mut Cx<'_>,
    fields: Fields<'_>,
    place: Place,
    method: Option<&str>,
) -> Option<WebhookBody> {
    let given: Vec<_> =
        ["json", "form", "body"].iter().filter_map(|key| fields.entry(key)).collect();
    match given[..] {
        [] => Some(WebhookBody::Empty),
        [entry] => {
            if let Some(method @ ("GET" | "HEAD")) = method {
                let message = format!("a `{method}` request has no body");
                cx.sink
                    .error("conflict", entry.key_span.clone(), message)
                    .help("use `query`, or another `method`");
                return None;
            }
            match entry.key.as_str() {
                "json" => cx.shape(&entry.value, place).map(WebhookBody::Json),
                "form" => object(cx, &entry.value, "form", place).map(WebhookBody::Form),
                _ => cx.text_shape(&entry.value, "body", place).map(WebhookBody::Raw),
            }
        }
        [first, second, ..] => {
            let message = format!("`{}` and `{}` cannot stand together", first.key, second.key);
            let file = cx.sink.file.name.clone();
            cx.sink
                .error("conflict", second.key_span.clone(), message)
                .also(&file, first.key_span.clone(), "the first")
                .help("a request has one body");
            None
        }
    }
}

/// Statuses taken as success.
fn expect(cx: &mut Cx<'_>, node: &Node) -> Option<Vec<u16>> {
    let one = |cx: &mut Cx<'_>, node: &Node| {
        let status = cx.sink.whole(node, "expect", 100..=599)?;
        u16::try_from(status).ok()
    };
    match &node.kind {
        Kind::List(items) => {
            let statuses: Vec<_> = items.iter().map(|item| one(cx, item)).collect();
            statuses.into_iter().collect()
        }
        _ => one(cx, node).map(|status| vec![status]),
    }
}
