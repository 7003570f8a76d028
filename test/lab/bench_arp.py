# SPDX-License-Identifier: Apache-2.0
"""How long an ARP answer takes: Stentor's, a bare libpcap echo's and the kernel's, in rounds that take turns.

All three sit on the same node, so the wire, the switch and the asking program are the same. An idle listener that wakes
up for every frame would slow the others down: so the echo runs only while it is asked, and how often the speaker, whose
kernel filter should let it sleep, woke up while the others were asked is counted and printed beside the number of
requests (its heartbeats are in there).
"""
import argparse
import json
import statistics
import subprocess
import sys

import figures
from lab import Lab
from processes import Process, wait_for
from stentor import bin_folder
from story import ADDRESS, SERVICE, Story

ECHO_ADDRESS = "192.168.122.240"


def ask(lab, address, count):
    """One round by arp-ping in a client's namespace: its JSON."""
    done = subprocess.run(["ip", "netns", "exec", lab.clients["client-2"].namespace, bin_folder() / "arp-ping",
                           "--interface", "eth0", "--address", address, "--count", str(count)],
                          capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise RuntimeError(f"arp-ping {address}: {done.stderr.strip() or done.stdout.strip()}")
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="requests to each in all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    figures.require()
    missing = [name for name in ("arp-echo", "arp-ping") if not (bin_folder() / name).exists()]
    if missing:
        print(f"not built: {', '.join(missing)} (./dev build)", file=sys.stderr)
        return 2
    rounds = {"kernel": [], "libpcap echo": [], "stentor": []}
    each = max(1, options.count // options.rounds)
    with Lab(say=lambda text: print(text, flush=True)) as lab:
        lab.install()
        story = Story(lab)
        story.set_up()
        story.apply_manifest()
        story.address_of(SERVICE, ADDRESS)
        first = story.order[0]
        node = lab.nodes[first]
        story.speaker_is(ADDRESS, first)

        def echo():
            process = Process("arp-echo", node.namespace, [
                bin_folder() / "arp-echo", "--interface", "eth0", "--address", ECHO_ADDRESS], lab.logs / "arp-echo.log")
            wait_for(lambda: lab.poller.arping(ECHO_ADDRESS) == [node.mac], 10, "the echo answers")
            return process

        wakeups = 0
        for number in range(1, options.rounds + 1):
            print(f"round {number} of {options.rounds}, {each} requests to each", flush=True)
            rounds["stentor"].append(ask(lab, ADDRESS, each))
            process = echo()
            before = lab.stentor.speakers[first].wakeups()
            rounds["libpcap echo"].append(ask(lab, ECHO_ADDRESS, each))
            wakeups += lab.stentor.speakers[first].wakeups() - before
            process.kill()
            before = lab.stentor.speakers[first].wakeups()
            rounds["kernel"].append(ask(lab, node.address, each))
            wakeups += lab.stentor.speakers[first].wakeups() - before
    result = {who: {"n": sum(one["n"] for one in of), "median_us": statistics.median(one["median_us"] for one in of),
                    "p99_us": statistics.median(one["p99_us"] for one in of),
                    "rounds_median_us": [one["median_us"] for one in of]} for who, of in rounds.items()}
    bare = result["libpcap echo"]["median_us"]
    print()
    figures.table(["who answers", "n", "median µs", "p99 µs", "÷ echo", "medians of the rounds"],
                  [[who, one["n"], f"{one['median_us']:.1f}", f"{one['p99_us']:.1f}",
                    f"{one['median_us'] / bare:.2f}", " ".join(f"{m:.0f}" for m in one["rounds_median_us"])]
                   for who, one in result.items()])
    print(f"\nthe speaker woke up {wakeups} times while the others were asked {2 * each * options.rounds} times")
    figures.save(options.json, {"benchmark": "arp", "answers": result, "speaker_wakeups_meanwhile": wakeups})
    return 0


if __name__ == "__main__":
    sys.exit(main())
