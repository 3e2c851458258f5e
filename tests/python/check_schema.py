"""Has check-jsonschema look at files: check_schema.py SCHEMA FILE…; a JSON object on standard output."""

import subprocess
import sys

schema, *files = sys.argv[1:]
command = [sys.executable, "-m", "check_jsonschema", "--schemafile", schema, "--output-format", "json"]
sys.exit(subprocess.run(command + ["-v", *files], check=False).returncode)
