"""A gate as JUnit XML: a test case for each thing that was judged.

The form is that which CI systems read (https://github.com/testmoapp/junitxml): ``failure`` is a verdict against the run,
``error`` a run that cannot be judged, ``skipped`` what could not be told.
"""

import xml.etree.ElementTree as ET

from bench.stats.gate import Check, Gate

_SUITE = "bench gate"


def junit_xml(gate: Gate, run: str) -> str:
    """Return the verdict of a gate on a run as JUnit XML."""
    is_unfit = gate.verdict in ("INVALID", "DATA WRONG")
    counts = {
        "tests": len(gate.checks),
        "failures": 0 if is_unfit else sum(check.outcome == "failed" for check in gate.checks),
        "errors": sum(check.outcome == "failed" for check in gate.checks) if is_unfit else 0,
        "skipped": sum(check.outcome == "unclear" for check in gate.checks),
    }
    attributes = {"name": _SUITE, **{name: str(count) for name, count in counts.items()}}
    root = ET.Element("testsuites", attributes)
    suite = ET.SubElement(root, "testsuite", attributes)
    properties = ET.SubElement(suite, "properties")
    for name, value in (("verdict", gate.verdict), ("run", run)):
        ET.SubElement(properties, "property", {"name": name, "value": value})
    for check in gate.checks:
        _case(suite, check, "error" if is_unfit else "failure")
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _case(suite: ET.Element, check: Check, bad: str) -> None:
    case = ET.SubElement(suite, "testcase", {"name": check.name, "classname": _SUITE, "time": "0"})
    if check.outcome == "failed":
        ET.SubElement(case, bad, {"message": check.text, "type": "gate"}).text = check.text
    elif check.outcome == "unclear":
        ET.SubElement(case, "skipped", {"message": f"cannot tell: {check.text}"})
    else:
        ET.SubElement(case, "system-out").text = check.text
