"""Writes diagnostics, JSON on standard input, as workflow commands of GitHub Actions, with actions-toolkit."""

import json
import sys

from actions_toolkit.command import issue_command

for one in json.load(sys.stdin):
    fields = {"file": one["file"]}
    if "line" in one:
        fields |= {"line": one["line"], "endLine": one["end"]["line"]}
        if one["line"] == one["end"]["line"]:
            fields |= {"col": one["col"], "endColumn": one["end"]["col"]}
    fields["title"] = one["code"]
    message = one["message"]
    if one["help"] is not None:
        message += f"\nhelp: {one['help']}"
    issue_command(one["severity"], fields, message)
