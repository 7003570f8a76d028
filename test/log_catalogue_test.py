#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The event catalogue (common/obs/events.def) is complete: ids are unique, each is used, and
docs/log-messages.md is what the catalogue generates."""
import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
EVENT = re.compile(r'STENTOR_EVENT\((k\w+),\s*"(\w+)",\s*(k\w+),\s*((?:"[^"]*"\s*)+)\)')


def main():
    problems = []
    events = EVENT.findall((ROOT / "common/obs/events.def").read_text())
    if not events:
        problems.append("no event found")
    for what, names in (("enumerator", [e[0] for e in events]), ("id", [e[1] for e in events])):
        for name, count in collections.Counter(names).items():
            if count > 1:
                problems.append(f"{what} {name} stands {count} times in the catalogue")
    sources = "".join(
        path.read_text() for side in ("common", "controller", "speaker")
        for path in (ROOT / side).rglob("*.cc"))
    for enumerator, *_ in events:
        if f"Event::{enumerator}" not in sources:
            problems.append(f"{enumerator} is in the catalogue and never logged")
    if subprocess.run([ROOT / "docs/generate-log-messages", "--check"], check=False).returncode:
        problems.append("docs/log-messages.md is not what docs/generate-log-messages writes")
    print("\n".join(problems) or f"{len(events)} events are unique, used and documented")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
