//! `/links/…`: what people follow from a mail. Looking at one changes nothing; its button does.
//!
//! The token in the address is the right to do it, so no other is asked for; mail scanners that
//! open every link only ever send GET.

use std::fmt::Write as _;

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};

use super::routes::App;
use crate::daemon::Unavailable;
use crate::model::{Input, Link, LinkVerb, Refusal, Reply, Value};

/// Where links live.
pub(super) const PREFIX: &str = "/links/";

/// The page behind a link, or what came of its button.
pub(super) async fn answer<B>(app: &App, request: &Request<B>) -> Response {
    let token = request.uri().path().strip_prefix(PREFIX).unwrap_or_default();
    let Some(links) = &app.settings.links else {
        return page(StatusCode::NOT_FOUND, "There is nothing here.", None);
    };
    let link = match links.key.read(token, app.settings.clock.wall()) {
        Ok(link) => link,
        Err(error) => return page(StatusCode::FORBIDDEN, &sentence(&error.to_string()), None),
    };
    match *request.method() {
        Method::GET | Method::HEAD => {
            let (text, button) = question(&link);
            page(StatusCode::OK, &text, Some(&button))
        }
        Method::POST => follow(app, link).await,
        _ => page(StatusCode::METHOD_NOT_ALLOWED, "Open the link, and press its button.", None),
    }
}

/// What a link asks, and what its button says.
fn question(link: &Link) -> (String, String) {
    let (run, about) = (&link.run, &link.about);
    match link.verb {
        LinkVerb::Acknowledge => {
            (format!("Escalation {run}. Are you taking care of it?"), "Acknowledge".into())
        }
        LinkVerb::Resolve => (format!("Escalation {run}. Is it resolved?"), "Resolve".into()),
        LinkVerb::Decide => {
            let (approval, outcome) = about.split_once(' ').unwrap_or((about, ""));
            (format!("Approval {approval}. Your answer: {outcome}."), capital(outcome))
        }
        LinkVerb::Unsubscribe => {
            (format!("No more mail of the kind “{about}” to {}?", link.by), "Unsubscribe".into())
        }
    }
}

/// What is said when it is done.
fn thanks(link: &Link, reply: &Reply) -> String {
    let run = &link.run;
    match link.verb {
        LinkVerb::Acknowledge => format!("Escalation {run} is acknowledged. Thank you."),
        LinkVerb::Resolve => format!("Escalation {run} is resolved. Thank you."),
        LinkVerb::Decide => {
            let status = match reply {
                Reply::Done(value) => value.get("status").and_then(Value::as_text),
                _ => None,
            };
            match status {
                Some("open") | None => {
                    "Your answer is kept; others are still asked. Thank you.".into()
                }
                Some(status) => format!("It is decided: {status}. Thank you."),
            }
        }
        LinkVerb::Unsubscribe => {
            format!("{} gets no more mail of the kind “{}”.", link.by, link.about)
        }
    }
}

async fn follow(app: &App, link: Link) -> Response {
    let wish = link.clone().wish();
    let (status, text) = match app.engine.submit(Input::Operator(wish)).await {
        Ok(Reply::Refused(refusal @ Refusal::NotFound(_))) => {
            (StatusCode::NOT_FOUND, sentence(&refusal.to_string()))
        }
        Ok(Reply::Refused(refusal)) => (StatusCode::CONFLICT, sentence(&refusal.to_string())),
        Ok(reply) => (StatusCode::OK, thanks(&link, &reply)),
        Err(why @ Unavailable::Failed(_)) => {
            (StatusCode::INTERNAL_SERVER_ERROR, sentence(&why.to_string()))
        }
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, sentence(&why.to_string())),
    };
    page(status, &text, None)
}

/// A message as a sentence of its own.
fn sentence(message: &str) -> String {
    format!("{}.", capital(message))
}

/// With a capital letter.
fn capital(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}", letters.as_str())
}

/// A page with one line of text and perhaps a button that posts to the page's own address.
fn page(status: StatusCode, text: &str, button: Option<&str>) -> Response {
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Adjutant</title><p>",
    );
    for c in text.chars() {
        match c {
            '<' => html.push_str("&lt;"),
            '&' => html.push_str("&amp;"),
            c => html.push(c),
        }
    }
    html.push_str("</p>");
    if let Some(button) = button {
        // Writing into a string does not fail.
        // What outcomes are called is letters, digits and `-`.
        let _ = write!(html, "<form method=\"post\"><button>{button}</button></form>");
    }
    html.push_str("</html>\n");
    let mut response = (status, html).into_response();
    let headers = response.headers_mut();
    let text = HeaderValue::from_static;
    headers.insert(CONTENT_TYPE, text("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, text("no-store"));
    headers.insert(REFERRER_POLICY, text("no-referrer"));
    headers.insert(CONTENT_SECURITY_POLICY, text("default-src 'none'; form-action 'self'"));
    response
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    use axum::body::Body;
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::api::ApiSettings;
    use crate::api::access::Peer;
    use crate::api::engine::Engine;
    use crate::api::tests::Script;
    use crate::daemon::{Clock, Links};
    use crate::model::{Instant, Operator, RunId, RunNo};

    #[tokio::test]
    async fn looking_changes_nothing_and_the_button_acts() {
        let dir = tempfile::tempdir().unwrap();
        let base = "https://ops.example.com".parse().unwrap();
        let links = Arc::new(Links::open(dir.path(), base).unwrap());
        let script = Arc::new(Script::default());
        let mut settings = ApiSettings::new(|| "id".into());
        settings.links = Some(links.clone());
        let app = App::new(Engine::Scripted(script.clone()), settings);
        let ask = async |method: &str, token: &str| {
            let request = Request::builder()
                .method(method)
                .uri(format!("/links/{token}"))
                // No token, a foreign origin and a form: the link itself is the right to follow it.
                .header("host", "ops.example.com")
                .header("content-type", "application/x-www-form-urlencoded")
                .body(Body::empty())
                .unwrap();
            let elsewhere = Peer::Tcp(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)));
            let response = app.answer(elsewhere, request).await;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, String::from_utf8(body.to_vec()).unwrap())
        };
        let link = |verb| Link {
            verb,
            run: RunId { no: RunNo(17), check: Some(1) },
            about: crate::model::Text::default(),
            by: "tom@ops.example".into(),
        };
        let now = Clock::start().wall();
        let token = links.key.token(&link(LinkVerb::Acknowledge), now);
        for method in ["GET", "HEAD"] {
            let (status, page) = ask(method, &token).await;
            assert_eq!(status, 200);
            assert!(page.contains("<form method=\"post\"><button>Acknowledge"), "{page}");
        }
        assert!(script.inputs.lock().unwrap().is_empty(), "looking changes nothing");
        let (status, page) = ask("POST", &token).await;
        assert!(status == 200 && page.contains("is acknowledged"), "{status} {page}");
        let inputs = script.inputs.lock().unwrap().clone();
        assert!(
            matches!(&inputs[..], [Input::Operator(Operator::Acknowledge { run: RunNo(17), by })]
                if &**by == "tom@ops.example"),
            "{inputs:?}"
        );
        let old = links.key.token(&link(LinkVerb::Resolve), Instant::from_micros(0));
        assert_eq!(ask("POST", &old).await.0, 403);
        assert_eq!(ask("POST", "forged.token").await.0, 403);
        assert_eq!(ask("PUT", &token).await.0, 405);
        assert_eq!(script.inputs.lock().unwrap().len(), 1);
    }
}
