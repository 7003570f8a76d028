#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every test that docs/compatibility.md names exists."""
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parent
PAGE = TESTS.parent / "docs/compatibility.md"


def named_tests(text):
    """(path, name or None) of each code span that is a path under test/."""
    for span in re.findall(r"`([^`\n]+)`", text):
        found = re.fullmatch(r"((?:[a-z_0-9]+/)+[a-z_0-9]+\.(?:py|cc|h))(?:::(.+))?", span)
        if found:
            yield found.groups()


def problem(path, name):
    """Why the test can't be meant; nothing where it is there."""
    file = TESTS / path
    if not file.is_file():
        return f"there is no test/{path}"
    if name is None:
        return None
    declared = rf"def {re.escape(name)}\(" if file.suffix == ".py" else rf'TEST_CASE\(\s*"{re.escape(name)}"'
    return None if re.search(declared, file.read_text()) else f'test/{path} has no test "{name}"'


def main():
    tests = sorted(set(named_tests(PAGE.read_text())), key=str)
    if not tests:
        sys.exit("docs/compatibility.md names no test at all: has its form changed?")
    problems = [said for path, name in tests if (said := problem(path, name))]
    print("\n".join(problems) or f"{len(tests)} tests, all of them there")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
