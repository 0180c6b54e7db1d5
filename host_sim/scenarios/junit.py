"""A run as JUnit XML, for whoever collects test results."""

from __future__ import annotations

from xml.etree import ElementTree

from host_sim.scenarios.story import Outcome


def junit_xml(outcome: Outcome) -> str:
    """One test suite, one test case a step; the step that failed carries its message."""
    failures = sum(not step.passed for step in outcome.steps)
    suite = ElementTree.Element(
        "testsuite",
        name=f"{outcome.scenario} ({outcome.board}, {outcome.runtime})",
        tests=str(len(outcome.steps)),
        failures=str(failures),
        time=f"{outcome.duration_s:.3f}",
    )
    for step in outcome.steps:
        case = ElementTree.SubElement(suite, "testcase", classname="step", name=f"line {step.line}: {step.step}", time=str(step.duration_s))
        if not step.passed:
            ElementTree.SubElement(case, "failure", message=step.message)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"
