"""Reads a JUnit report from standard input with junitparser: how many cases, and how many failed."""

import sys

from junitparser import JUnitXml

report = JUnitXml.fromstring(sys.stdin.buffer.read())
cases = [case for suite in report for case in suite]
failed = [case for case in cases if not case.is_passed]
assert all(case.result[0].message for case in failed)
print(len(cases), len(failed))
