#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""./dev bench: runs the benchmarks one after the other and prints their tables.

Without --full each takes the time that its figure needs to be steady on a quiet machine; with
--full the lab's trials are as many as the figures in the docs were made from. Figures of a shared
machine are noisy: compare the columns of one run, not two runs.
"""
import argparse
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "build/release/bin"
LAB = ROOT / "test/lab"
CLUSTER = ROOT / "test/cluster"


def run(title, *command):
    print(f"\n\033[1m== {title}\033[0m", flush=True)
    return subprocess.run([str(part) for part in command], cwd=ROOT, check=False).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="all trials")
    parser.add_argument("--only", help="only benchmarks whose name contains this")
    options = parser.parse_args()

    kills = "30" if options.full else "10"
    plan = [("micro: " + path.name, [path, "--benchmark_counters_tabular=true"])
            for path in sorted(BIN.glob("*_bench"))]
    plan += [
        ("arp: reply latency beside a bare echo and the kernel",
         [sys.executable, LAB / "bench_arp.py"]),
        ("memory: resident, both programs", [sys.executable, LAB / "bench_memory.py"]),
        (f"failover: {kills} kills of the announcing node",
         [sys.executable, LAB / "bench_failover.py", "--kills", kills]),
        ("install: image size, start to ready, memory in the pod",
         [sys.executable, CLUSTER / "bench_install.py"]),
    ]
    failed = [title for title, command in plan
              if (not options.only or options.only in title) and run(title, *command) != 0]
    if failed:
        print("\nfailed: " + ", ".join(failed), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
