# SPDX-License-Identifier: Apache-2.0
"""How long a client waits when the node that announces an address dies: every trial printed, then median and worst.

Each trial cuts the node's cables and kills all that runs on it, at a random moment, for failure detectors have a
rhythm. The pods are on nodes that survive: what is measured is the address, not how soon Kubernetes notices dead pods.
The client opens 50 connections a second, open loop, and believes its own kernel about who has the address.
"""
import argparse
import random
import sys
import time

import figures
from lab import Lab
from story import ADDRESS, SERVICE, Story

LIMIT = 1.5


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, metavar="N")
    parser.add_argument("--rate", type=int, default=50, help="requests a second")
    parser.add_argument("--seed", type=int, default=None, help="of the moments of the kills")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    figures.require()
    seed = options.seed if options.seed is not None else random.randrange(1 << 16)
    dice, trials = random.Random(seed), []
    with Lab(say=lambda text: print(text, flush=True)) as lab:
        lab.install()
        story = Story(lab)
        story.set_up()
        story.apply_manifest()
        story.address_of(SERVICE, ADDRESS)
        first, second = story.order[:2]
        with lab.open_loop(ADDRESS, rate=options.rate) as client:
            for number in range(1, options.kills + 1):
                # Check before each trial that all is as it should be: a speaker that ended, or a client that still
                # suffers from the last trial, would be measured as an endless outage.
                story.speaker_is(ADDRESS, first)
                client.wait_steady(seconds=2)
                time.sleep(dice.uniform(0, 1))  # the random phase: this wait is for nothing
                moment = lab.kill_node(first)
                outage, gap, _ = client.gap(moment)
                story.speaker_is(ADDRESS, second)
                trials.append({"after_kill_s": round(outage, 3), "between_answers_s": round(gap, 3)})
                print(f"  kill {number:>2} of {options.kills}: {first} dies, next good answer after {outage:.3f} s "
                      f"(between good answers {gap:.3f} s)", flush=True)
                lab.revive_node(first)
    outages = figures.summary([trial["after_kill_s"] for trial in trials])
    gaps = figures.summary([trial["between_answers_s"] for trial in trials])
    print()
    figures.table(["seconds", "n", "median", "min", "max"],
                  [["kill → next good answer", *(f"{outages[key]:.3f}" if key != "n" else outages[key]
                                                 for key in ("n", "median", "min", "max"))],
                   ["good answer → good answer", *(f"{gaps[key]:.3f}" if key != "n" else gaps[key]
                                                   for key in ("n", "median", "min", "max"))]])
    figures.save(options.json, {"benchmark": "failover", "seed": seed, "rate": options.rate, "trials": trials,
                                "after_kill_s": outages, "between_answers_s": gaps})
    if outages["max"] > LIMIT:
        print(f"\nslower than {LIMIT} s", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
