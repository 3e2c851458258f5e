//! [`Client`]: the daemon's API, over its Unix socket or at `--url`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::{Exit, Failure, Globals, socket};
use crate::api::{USER_HEADER, wire};

/// How long an answer may take: a commit is given 10 s before the daemon gives up on its disk.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// What stays as it is in one part of a path.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Speaks to the daemon.
pub(super) struct Client {
    way: Way,
}

enum Way {
    Socket { path: PathBuf, user: Option<String> },
    Url { client: reqwest::Client, base: String, token: Option<String> },
}

/// What goes out.
struct Outgoing<'a> {
    method: Method,
    path: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: Vec<u8>,
}

/// What came back: the status, `Retry-After` and the body.
struct Incoming {
    status: u16,
    retry_after: Option<u32>,
    body: Vec<u8>,
}

/// An answer: the API's JSON and what it means.
pub(super) struct Answer<T> {
    pub(super) json: serde_json::Value,
    pub(super) value: T,
}

impl Client {
    /// For the daemon that the global options name.
    pub(super) fn new(globals: &Globals) -> Result<Self, Failure> {
        let Some(url) = &globals.url else {
            let path = socket::of(globals)?;
            let user = ["SUDO_USER", "USER", "LOGNAME"];
            let user = user.iter().find_map(|name| std::env::var(name).ok());
            return Ok(Self { way: Way::Socket { path, user } });
        };
        let wrong = |why: &dyn std::fmt::Display| {
            Failure::new(Exit::Usage, format!("`{url}` cannot be asked: {why}"))
                .help("write `--url http://127.0.0.1:8750`")
        };
        let parsed: url::Url = url.parse().map_err(|error| wrong(&error))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(wrong(&"it is neither http nor https"));
        }
        // Somebody may have installed it before us, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ANSWER_TIME)
            .build()
            .map_err(|error| wrong(&error))?;
        let base = parsed.as_str().trim_end_matches('/').to_owned();
        Ok(Self { way: Way::Url { client, base, token: globals.token.clone() } })
    }

    /// GET.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, Failure> {
        let outgoing = Outgoing { method: Method::GET, path, headers: &[], body: Vec::new() };
        self.exchange(outgoing).await
    }

    /// POST of JSON.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<Answer<T>, Failure> {
        self.send(path, &[("content-type", "application/json")], body.to_string().into_bytes())
            .await
    }

    /// POST with headers of one's own.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer<T>, Failure> {
        self.exchange(Outgoing { method: Method::POST, path, headers, body }).await
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        outgoing: Outgoing<'_>,
    ) -> Result<Answer<T>, Failure> {
        let incoming = match &self.way {
            Way::Socket { path, user } => by_socket(path, user.as_deref(), outgoing).await?,
            Way::Url { client, base, token } => {
                by_url(client, base, token.as_deref(), outgoing).await?
            }
        };
        read(&incoming)
    }
}

/// One part of a path, percent-encoded.
pub(super) fn part(text: &str) -> String {
    utf8_percent_encode(text, PART).to_string()
}

/// `path?name=value…` of the values that are there.
pub(super) fn with_query(path: &str, pairs: &[(&str, Option<String>)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

async fn by_socket(
    socket: &Path,
    user: Option<&str>,
    outgoing: Outgoing<'_>,
) -> Result<Incoming, Failure> {
    let at = socket.display();
    let stream = UnixStream::connect(socket).await.map_err(|error| {
        Failure::new(Exit::Unreachable, format!("no daemon answers at {at}: {error}")).help(
            if error.kind() == std::io::ErrorKind::PermissionDenied {
                "run this as the user the daemon runs as, or use --url with a token"
            } else {
                "start it with `adjutant serve`, name its configuration with --config, or its \
                 address with --url"
            },
        )
    })?;
    let broken = |error: hyper::Error| {
        Failure::new(Exit::Unreachable, format!("the daemon at {at} broke off: {error}"))
    };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut request =
        Request::builder().method(outgoing.method).uri(outgoing.path).header("host", "localhost");
    for (name, value) in
        outgoing.headers.iter().copied().chain(user.map(|user| (USER_HEADER, user)))
    {
        request = request.header(name, value);
    }
    let request = request
        .body(Full::new(Bytes::from(outgoing.body)))
        .map_err(|error| Failure::new(Exit::Usage, format!("this cannot be sent: {error}")))?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        let retry_after =
            response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|seconds| seconds.parse().ok());
        let body = response.into_body().collect().await.map_err(broken)?.to_bytes().to_vec();
        Ok(Incoming { status, retry_after, body })
    };
    let both = async { tokio::join!(exchange, connection) };
    match tokio::time::timeout(ANSWER_TIME, both).await {
        Ok((result, _)) => result,
        Err(_) => Err(no_answer()),
    }
}

async fn by_url(
    client: &reqwest::Client,
    base: &str,
    token: Option<&str>,
    outgoing: Outgoing<'_>,
) -> Result<Incoming, Failure> {
    let mut request = client.request(outgoing.method, format!("{base}{}", outgoing.path));
    for (name, value) in outgoing.headers {
        request = request.header(*name, *value);
    }
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let failed = |error: reqwest::Error| {
        if error.is_timeout() {
            return no_answer();
        }
        let mut why: &dyn std::error::Error = &error;
        while let Some(deeper) = why.source() {
            why = deeper;
        }
        Failure::new(Exit::Unreachable, format!("no daemon answers at {base}: {why}"))
    };
    let response = request.body(outgoing.body).send().await.map_err(failed)?;
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|seconds| seconds.parse().ok());
    let body = response.bytes().await.map_err(failed)?.to_vec();
    Ok(Incoming { status, retry_after, body })
}

fn no_answer() -> Failure {
    let seconds = ANSWER_TIME.as_secs();
    Failure::new(Exit::Again, format!("the daemon did not answer within {seconds} s"))
}

/// What an answer means.
fn read<T: DeserializeOwned>(incoming: &Incoming) -> Result<Answer<T>, Failure> {
    let strange = |why: String| {
        Failure::new(Exit::Failed, format!("the answer makes no sense: {why}"))
            .help("is it an Adjutant daemon of this version that answers there?")
    };
    if !(200..300).contains(&incoming.status) {
        let detail = match serde_json::from_slice::<wire::Problem>(&incoming.body) {
            Ok(problem) => problem.detail,
            Err(_) => return Err(strange(format!("status {}", incoming.status))),
        };
        let exit = if matches!(incoming.status, 429 | 503) { Exit::Again } else { Exit::Failed };
        let failure = Failure::new(exit, detail);
        return Err(match incoming.retry_after {
            Some(seconds) => failure.help(format!("try again in {seconds} s")),
            None if incoming.status == 401 => {
                failure.help("give a token: --token or ADJUTANT_TOKEN")
            }
            None => failure,
        });
    }
    let json: serde_json::Value =
        serde_json::from_slice(&incoming.body).map_err(|error| strange(error.to_string()))?;
    let value = T::deserialize(&json).map_err(|error| strange(error.to_string()))?;
    Ok(Answer { json, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded() {
        assert_eq!(part("lead/ü 1"), "lead%2F%C3%BC%201");
        assert_eq!(with_query("/v1/runs", &[("a", None), ("b", None)]), "/v1/runs");
        let pairs = [("subject", Some("lead/4 2".to_owned())), ("limit", Some("5".to_owned()))];
        assert_eq!(with_query("/v1/events", &pairs), "/v1/events?subject=lead%2F4+2&limit=5");
    }

    #[test]
    fn statuses_become_exit_codes() {
        let said = |status, detail: &str, retry_after| {
            let body =
                serde_json::json!({"title": "", "status": status, "code": "", "detail": detail});
            let incoming = Incoming { status, retry_after, body: body.to_string().into_bytes() };
            read::<serde_json::Value>(&incoming).err().unwrap()
        };
        let failure = said(503, "busy", Some(7));
        assert_eq!(
            (failure.exit, failure.help.as_deref()),
            (Exit::Again, Some("try again in 7 s"))
        );
        assert_eq!(said(404, "there is no run 9", None).exit, Exit::Failed);
        let html = Incoming { status: 502, retry_after: None, body: b"<html>".to_vec() };
        let failure = read::<serde_json::Value>(&html).err().unwrap();
        assert!(failure.message.contains("status 502"), "{failure}");
    }
}
