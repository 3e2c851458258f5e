"""Validates SARIF 2.1.0 on standard input with sarif-pydantic, and prints a line a result."""

import sys

from sarif_pydantic import Sarif

log = Sarif.model_validate_json(sys.stdin.read())
run = log.runs[0]
rules = [rule.id for rule in run.tool.driver.rules]
for result in run.results:
    assert rules[result.rule_index] == result.rule_id
    place = result.locations[0].physical_location
    region = place.region
    assert (region.start_line, region.start_column) <= (region.end_line, region.end_column)
    level = getattr(result.level, "value", result.level)
    print(f"{result.rule_id} {level} {place.artifact_location.uri}:{region.start_line}:{region.start_column}")
