"""Sends events with the CloudEvents SDK: send_events.py URL MODE COUNT.

MODE is binary, structured or batch. Event n has the id MODE-n, the subject lead/n, an extension
attribute, and data that needs care: letters outside ASCII, a float, null and nesting. Prints one JSON
object: the statuses of the answers and their bodies. The SDK has no batch format, so a batch is a
JSON array of what it writes in structured mode, as the JSON event format defines it:
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md#4-json-batch-format
"""

import json
import sys
from datetime import datetime, timezone

import requests
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent


def event(mode: str, number: int) -> CloudEvent:
    attributes = {
        "id": f"{mode}-{number}",
        "source": "https://shop.example/orders?x=ä b",
        "type": "demo.sent",
        "subject": f"lead/{number}",
        "time": datetime(2026, 3, 2, 9, 30, 0, 250000, tzinfo=timezone.utc),
        "datacontenttype": "application/json",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    data = {"name": "Zoë Ångström €", "score": 0.5, "nothing": None, "tags": [{"n": number}]}
    return CloudEvent(attributes, data)


def main() -> None:
    url, mode, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    events = [event(mode, number) for number in range(count)]
    if mode == "binary":
        messages = [to_binary_event(each) for each in events]
        requests_ = [(message.headers, message.body) for message in messages]
    elif mode == "structured":
        messages = [to_structured_event(each) for each in events]
        requests_ = [(message.headers, message.body) for message in messages]
    else:
        items = b",".join(JSONFormat().write(each) for each in events)
        headers = {"content-type": "application/cloudevents-batch+json"}
        requests_ = [(headers, b"[" + items + b"]")]
    answers = [requests.post(url, headers=head, data=body, timeout=20) for head, body in requests_]
    print(
        json.dumps(
            {
                "statuses": [answer.status_code for answer in answers],
                "bodies": [answer.text for answer in answers],
            }
        )
    )


if __name__ == "__main__":
    main()
