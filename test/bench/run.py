#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""./dev bench: runs the benchmarks one after the other, prints their tables, and collects all in one JSON file.

Without --full each takes the time that its figure needs to be steady on a quiet machine; with
--full the lab's trials are as many as the figures in the docs were made from. Figures of a shared
machine are noisy: compare the columns of one run, not two runs.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "build/release/bin"
LAB = ROOT / "test/lab"
CLUSTER = ROOT / "test/cluster"
RESULT = ROOT / "build/bench.json"

sys.path[:0] = [str(LAB), str(ROOT / "test/kubernetes")]

import figures  # noqa: E402

# Figures of google-benchmark that there is a goal for: at least so many items a second.
RATES = {"BM_AllocateAndRelease/100000": ("allocator at 100,000 Services, allocate and release", 1e6),
         "BM_ClaimAgain/100000": ("allocator at 100,000 Services, claim again", 1e6)}


def run(title, *command):
    print(f"\n\033[1m== {title}\033[0m", flush=True)
    return subprocess.run([str(part) for part in command], cwd=ROOT, check=False).returncode


def rates(result):
    """The figures of a file of google-benchmark that there is a goal for. The goal is a least value: what is compared
    is the time of one operation."""
    found = []
    for one in result.get("benchmarks", []):
        what, rate = RATES.get(one["name"], (None, None))
        if what and "items_per_second" in one:
            found.append(figures.figure(what, 1e9 / one["items_per_second"], "ns", 1e9 / rate, 1e9 / rate))
    return found


def plan_of(full):
    """[(title, command, flag for the file with the result)]"""
    failover = ["--kills", "30", "--beside", "10", "--busy", "600"] if full else ["--kills", "3", "--beside", "2"]
    lab = [
        ("packets: ARP and NDP replies beside bare echoes and the kernel, floods", [LAB / "bench_packets.py"]),
        ("allocation: Services at a real API server, beside a bare client",
         [LAB / "bench_allocation.py", "--trials", "5" if full else "3"]),
        *([("allocation: restart with 10,000 Services",
            [LAB / "bench_allocation.py", "--only", "restart", "--services", "10000"])] if full else []),
        ("first reply: from a Service, its endpoints or a speaker's start to an answer, beside bare clients",
         [LAB / "bench_first_reply.py", *(["--rounds", "5"] if full else [])]),
        ("memory: resident, both programs",
         [LAB / "bench_memory.py", "--services", "100", "1000", *(["10000"] if full else [])]),
        ("failover: nodes die, programs are killed, stopped and rolled out, partitions heal, beside keepalived",
         [LAB / "bench_failover.py", *failover]),
        ("install: image size, start to ready, memory in the pod", [CLUSTER / "bench_install.py"]),
    ]
    micro = [("micro: " + path.name, [path, "--benchmark_counters_tabular=true", "--benchmark_out_format=json"],
              "--benchmark_out=") for path in sorted(BIN.glob("*_bench"))]
    return micro + [(title, [sys.executable, *command], "--json=") for title, command in lab]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="all trials")
    parser.add_argument("--only", help="only benchmarks whose name contains this")
    parser.add_argument("--json", metavar="FILE", default=RESULT, help="default: %(default)s")
    options = parser.parse_args()

    failed, results, goals = [], {}, []
    with tempfile.TemporaryDirectory() as folder:
        for title, command, flag in plan_of(options.full):
            if options.only and options.only not in title:
                continue
            path = pathlib.Path(folder) / f"{len(results)}.json"
            if run(title, *command, f"{flag}{path}") != 0:
                failed.append(title)
            if path.exists():
                results[title] = json.loads(path.read_text())
                goals += rates(results[title]) + results[title].get("figures", [])
    if goals:
        print("\n\033[1m== Figures that there is a goal for, or a yardstick\033[0m", flush=True)
        figures.print_figures(goals)
    machine = {"cores": os.cpu_count(), "load": os.getloadavg(), "kernel": os.uname().release}
    figures.save(options.json, {"machine": machine, "figures": goals, "failed": failed, "results": results})
    if failed:
        print("\nfailed: " + ", ".join(failed), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
