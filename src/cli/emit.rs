//! `adjutant emit`: send an event.

use std::io::Read as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::client::{Client, part, with_query};
use super::screen::{DIM, Screen, put, styled};
use super::{Exit, Failure};
use crate::api::wire;

/// Bytes of a file that is sent: more than the daemon ever takes.
const FILE_BYTES: u64 = 16 * 1024 * 1024;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  adjutant emit lead.accepted --subject lead/42 --data by=ana
  adjutant emit lead.created --subject lead/42 --data '{\"email\": \"ana@x.example\"}'
  adjutant emit order.placed --id order-7 --file order.json
  adjutant emit --file event.json          a whole CloudEvent, or a list of them
  crm-export | adjutant emit lead.created --file -")]
pub(super) struct Emit {
    /// Type of the event, such as `lead.created`
    #[arg(value_name = "TYPE", required_unless_present = "file")]
    kind: Option<String>,
    /// What it is about, such as `lead/42`
    #[arg(long, requires = "kind")]
    subject: Option<String>,
    /// Its id: sending the same id again starts nothing
    #[arg(long, requires = "kind")]
    id: Option<String>,
    /// Who says so [default: local]
    #[arg(long, requires = "kind", requires = "id")]
    source: Option<String>,
    /// Its payload: JSON, or `key=value` pairs
    #[arg(long, num_args = 1.., value_name = "JSON|KEY=VALUE", conflicts_with = "file")]
    data: Vec<String>,
    /// Read the payload from a JSON file (`-`: standard input); without TYPE a whole CloudEvent
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(super) async fn run(emit: Emit, client: &Client, screen: &Screen) -> Result<Exit, Failure> {
    let data = match &emit.file {
        Some(file) => read(file)?,
        None => payload(&emit.data)?,
    };
    let Some(kind) = &emit.kind else { return whole(&data, client, screen).await };
    let answer = if let Some(source) = &emit.source {
        let mut event = json!({
            "specversion": "1.0", "type": kind, "source": source, "id": emit.id, "data": data,
        });
        if let Some(subject) = &emit.subject {
            event["subject"] = json!(subject);
        }
        client.send("/v1/events", &[STRUCTURED], event.to_string().into_bytes()).await?
    } else {
        let path = format!("/v1/events/{}", part(kind));
        let path = with_query(&path, &[("subject", emit.subject.clone())]);
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(emit.id.as_deref().map(|id| ("idempotency-key", id)));
        client.send(&path, &headers, data.to_string().into_bytes()).await?
    };
    report(&answer.json, &answer.value, client, screen).await;
    Ok(Exit::Fine)
}

const STRUCTURED: (&str, &str) = ("content-type", "application/cloudevents+json");
const BATCH: (&str, &str) = ("content-type", "application/cloudevents-batch+json");

/// Sends what a file holds: one CloudEvent or a list of them.
async fn whole(data: &Value, client: &Client, screen: &Screen) -> Result<Exit, Failure> {
    let body = data.to_string().into_bytes();
    if !data.is_array() {
        let answer = client.send("/v1/events", &[STRUCTURED], body).await?;
        report(&answer.json, &answer.value, client, screen).await;
        return Ok(Exit::Fine);
    }
    let answer = client.send::<wire::BatchAnswer>("/v1/events", &[BATCH], body).await?;
    let results = &answer.value.results;
    let refused = results.iter().filter(|result| result.status != 202).count();
    screen.show(&answer.json, |_| {
        let mut text = format!("{} accepted, {refused} refused\n", results.len() - refused);
        for (index, result) in results.iter().enumerate() {
            if let Some(detail) = &result.detail {
                put(&mut text, format_args!("  event {}: {} {detail}\n", index + 1, result.status));
            }
        }
        text
    });
    Ok(match results.iter().find(|result| result.status != 202) {
        None => Exit::Fine,
        Some(_) if results.iter().all(|result| matches!(result.status, 202 | 429 | 503)) => {
            Exit::Again
        }
        Some(_) => Exit::Failed,
    })
}

/// Says that an event is accepted, and what came of it as far as that may be seen.
async fn report(json: &Value, accepted: &wire::Accepted, client: &Client, screen: &Screen) {
    // Whoever may only send events may not look at them: then there is less to say.
    let event = client.get::<wire::Event>(&format!("/v1/events/{}", accepted.event)).await.ok();
    screen.show(json, |_| {
        let again = if accepted.duplicate { ", known already" } else { "" };
        let mut text = format!(
            "event {} accepted{again} {}\n",
            accepted.event,
            styled(DIM, format_args!("(id {}, source {})", accepted.id, accepted.source)),
        );
        if let Some(answer) = event {
            text.push_str(&super::events::consequences(&answer.value));
        }
        text
    });
}

/// The payload of `--data`: one JSON value, or `key=value` pairs.
fn payload(given: &[String]) -> Result<Value, Failure> {
    let pairs = match given {
        [] => return Ok(Value::Null),
        [one] => match serde_json::from_str(one) {
            Ok(value) => return Ok(value),
            // A text that begins like JSON was meant as JSON.
            Err(error) if one.trim_start().starts_with(['{', '[', '"']) => {
                return Err(Failure::new(
                    Exit::Usage,
                    format!("--data is not valid JSON: {error}"),
                ));
            }
            Err(_) => given,
        },
        many => many,
    };
    let mut object = serde_json::Map::new();
    for pair in pairs {
        let Some((key, value)) = pair.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Failure::new(
                Exit::Usage,
                format!("`{pair}` is neither JSON nor key=value"),
            ));
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        if object.insert(key.to_owned(), value).is_some() {
            return Err(Failure::new(Exit::Usage, format!("`{key}` is given twice")));
        }
    }
    Ok(Value::Object(object))
}

fn read(file: &PathBuf) -> Result<Value, Failure> {
    let name = file.display();
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::new(Exit::Usage, format!("{name} cannot be read: {why}"))
    };
    let mut bytes = Vec::new();
    let source: Box<dyn std::io::Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(|error| wrong(&error))?)
    };
    source.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| wrong(&error))?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(wrong(&format_args!("it is larger than {FILE_BYTES} bytes")));
    }
    serde_json::from_slice(&bytes).map_err(|error| wrong(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(given: &[&str]) -> Result<Value, String> {
        let given: Vec<String> = given.iter().map(|text| (*text).to_owned()).collect();
        payload(&given).map_err(|failure| failure.message)
    }

    #[test]
    fn data_is_json_or_pairs() {
        assert_eq!(data(&[]), Ok(Value::Null));
        assert_eq!(data(&[r#"{"a": 1}"#]), Ok(json!({"a": 1})));
        assert_eq!(
            data(&["by=ana", "score=80", "note=a=b", "tags=[1]"]),
            Ok(json!({"by": "ana", "score": 80, "note": "a=b", "tags": [1]}))
        );
        assert_eq!(data(&["by=ana"]), Ok(json!({"by": "ana"})));
        assert!(data(&["{a: 1}"]).unwrap_err().starts_with("--data is not valid JSON"));
        assert!(data(&["ana"]).unwrap_err().contains("neither JSON nor key=value"));
        assert!(data(&["a=1", "a=2"]).unwrap_err().contains("given twice"));
    }
}
