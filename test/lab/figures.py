# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks of the lab share: percentiles, a table, one JSON file."""
import json
import pathlib
import statistics
import sys

import prerequisites


def percentile(values, share):
    """The smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, round(share * len(ordered) + 0.5) - 1))]


def summary(values):
    return {"n": len(values), "median": statistics.median(values), "min": min(values), "max": max(values)}


def table(head, rows):
    """Prints rows under a head, columns as wide as they must be; numbers to the right."""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for number, row in enumerate(cells):
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def save(path, result):
    if path:
        pathlib.Path(path).write_text(json.dumps(result, indent=2) + "\n")
        print(f"\nwritten: {path}")


def comparison(what, value, unit, yardstick):
    """One figure beside what was measured for comparison in the same run: on a machine that does other things too, the
    ratio says more than the value."""
    return {"what": what, "value": value, "unit": unit, "yardstick": yardstick,
            "ratio": value / yardstick if yardstick else None}


def figure(what, value, unit, goal, yardstick=None):
    """One figure that there is a goal for: at most `goal`."""
    compared = {} if yardstick is None else comparison(what, value, unit, yardstick)
    return {"what": what, "value": value, "unit": unit, **compared, "goal": goal, "within": value <= goal}


def print_figures(figures):
    table(["figure", "measured", "goal", "", "yardstick", "ratio"], [
        [one["what"], f"{one['value']:.4g} {one['unit']}".rstrip(), f"≤ {one['goal']:.4g}" if "goal" in one else "",
         "missed" if not one.get("within", True) else "", f"{one['yardstick']:.4g}" if "yardstick" in one else "",
         f"{one['ratio']:.2f}" if one.get("ratio") else ""] for one in figures])


def require(more=()):
    """Ends the program with one clear line each where the lab, Stentor or something else is missing."""
    missing = prerequisites.of_stentor() + list(more)
    if missing:
        print("this benchmark cannot run here:\n  " + "\n  ".join(missing), file=sys.stderr)
        sys.exit(2)
