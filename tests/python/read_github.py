"""Reads workflow commands of GitHub Actions as the runner does, and prints what it would annotate.

The grammar and the escapes are those of the runner's own parser, ActionCommand.cs, version 2:
https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
"""

import sys

DATA = [("%0D", "\r"), ("%0A", "\n"), ("%25", "%")]
PROPERTY = [("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")]


def unescaped(text, escapes):
    for escape, plain in escapes:
        text = text.replace(escape, plain)
    return text


for line in sys.stdin.read().splitlines():
    assert line.startswith("::"), line
    head, data = line[2:].split("::", 1)
    command, _, rest = head.partition(" ")
    assert command in ("error", "warning", "notice"), command
    fields = {}
    for pair in rest.split(","):
        key, value = pair.split("=", 1)
        fields[key] = unescaped(value, PROPERTY)
    assert set(fields) <= {"file", "line", "endLine", "col", "endColumn", "title"}, fields
    assert unescaped(data, DATA)
    print(command, fields["file"], fields["line"], fields.get("col"), fields["title"])
