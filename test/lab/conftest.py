# SPDX-License-Identifier: Apache-2.0
"""pytest's side of the lab. A test that cannot run here is skipped by name with its reason; with CI=true nothing is
skipped: a missing prerequisite is a failure there."""
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "kubernetes")]

import prerequisites  # noqa: E402
from lab import Lab  # noqa: E402
from prerequisites import need  # noqa: E402


@pytest.fixture(scope="session")
def lab_machine():
    """The machine can run a lab."""
    need(prerequisites.of_the_lab())


@pytest.fixture(scope="session")
def stentor_machine():
    """The machine can run a lab, and Stentor is built."""
    need(prerequisites.of_stentor())


@pytest.fixture(scope="module")
def lab(lab_machine):
    """Three nodes and a control plane, shared by the tests of a file."""
    with Lab() as made:
        yield made


@pytest.fixture(scope="module")
def stentor_lab(stentor_machine):
    """The same with everything installed that Stentor's manifests bring; none of its programs runs yet."""
    with Lab() as made:
        made.install()
        yield made


@pytest.fixture
def tell(record_property):
    """Prints a line for people at the end, also where the test passes: what was measured, and is not asserted."""
    return lambda text: record_property("told", text)


def pytest_terminal_summary(terminalreporter):
    """Not when it is told: the process that runs the test may be another one than that which prints."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, text in report.user_properties if report.when == "call" else ():
            if name == "told":
                terminalreporter.write_line(f"{report.nodeid.rpartition('/')[2]}: {text}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what Stentor had to say at its end."""
    outcome = yield
    report = outcome.get_result()
    made = item.funcargs.get("story") or item.funcargs.get("stentor_lab") if hasattr(item, "funcargs") else None
    made = getattr(made, "lab", made)
    if report.failed and isinstance(made, Lab) and made.id:
        for path in sorted(made.logs.glob("*.log")):
            if path.stem == "controller" or path.stem.startswith(("speaker-", "replica-")):
                report.sections.append((f"end of {path.name}", "\n".join(path.read_text().splitlines()[-25:])))
