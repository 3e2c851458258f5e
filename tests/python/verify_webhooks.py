"""Verifies recorded webhooks with the standardwebhooks package: verify_webhooks.py SECRET LEDGER.

LEDGER has one JSON object a line with `headers` (pairs) and `body` (base64). Every request must carry
a signature that holds, and none that holds for a changed body. Prints how many were verified; exits
with 1 at the first that does not hold.
"""

import base64
import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def main() -> None:
    hook = Webhook(sys.argv[1])
    verified = 0
    with open(sys.argv[2], encoding="utf-8") as ledger:
        for number, line in enumerate(ledger, start=1):
            request = json.loads(line)
            headers = dict(request["headers"])
            body = base64.b64decode(request["body"])
            try:
                hook.verify(body, headers, json_parse=False)
            except WebhookVerificationError as error:
                sys.exit(f"request {number}: {error}: {headers}")
            try:
                hook.verify(body + b" ", headers, json_parse=False)
            except WebhookVerificationError:
                verified += 1
            else:
                sys.exit(f"request {number}: the signature holds for another body as well")
    print(verified)


if __name__ == "__main__":
    main()
