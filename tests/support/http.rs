//! A blocking HTTP client for tests.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::runtime::Runtime;

/// Longer than anything that should answer at once.
const TIMEOUT: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// Headers, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON; null if it is not.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Sends one request and reads the whole answer; `Err` says why there was none.
pub(crate) fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> Result<Answer, String> {
    let (runtime, client) = tools();
    let method = method.parse::<reqwest::Method>().expect("a method");
    let mut request = client.request(method, url).body(body.into());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    runtime.block_on(async {
        let response = request.send().await.map_err(|error| format!("{error:?}"))?;
        let status = response.status().as_u16();
        let headers = response.headers().iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let headers = headers.collect();
        let body = response.text().await.map_err(|error| format!("{error:?}"))?;
        Ok(Answer { status, headers, body })
    })
}

/// One runtime and one pool of connections for all tests of a binary.
fn tools() -> &'static (Runtime, reqwest::Client) {
    static TOOLS: OnceLock<(Runtime, reqwest::Client)> = OnceLock::new();
    TOOLS.get_or_init(|| {
        // Fails only if one is installed already, which is as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        (runtime, client)
    })
}
