# SPDX-License-Identifier: Apache-2.0
"""How addresses move: a node dies, a program is killed, stopped, rolled out, comes back, a partition heals; Stentor by
its profiles, and keepalived (VRRP) by its timers and MetalLB on the same nodes, for the same addresses and the same client.
Every trial is printed, then median and worst.

Five nodes share a hundred addresses. Each trial is at a random moment; see failover.py for what it does. keepalived's
fastest timers confirm nothing: a node that is late for 30 ms is taken for dead.
"""
import argparse
import random
import statistics
import subprocess
import sys

import announcers
import figures
import metallb
from announcers import Keepalived, Speakers
from failover import RATE, World
from lab import Lab
from processes import Timeout
from stentor import bin_folder

NODES, ADDRESSES = 5, 100
DIES, KILLED, STOPPED, BACK, ROLLED, HEALS = ("node dies", "killed, node lives", "SIGTERM", "back", "rolling restart",
                                              "partition heals")
LASTING, BUSY = "open connections", "busy machine"
# What a table shows of a trial: (key, head); seconds have three digits, the rest is counted.
CONNECTIONS = (("connections", "connections"), ("cut", "cut"), ("failed", "failed"), ("late", "late"))
COLUMNS = {
    DIES: (("served_s", "client served"), ("one_taken_s", "one taken"), ("all_taken_s", "all taken")),
    KILLED: (("one_taken_s", "one taken"), ("all_taken_s", "all taken"), ("silence_s", "nobody answers"),
             ("both_s", "two answer"), *CONNECTIONS),
    STOPPED: (("all_taken_s", "all taken"), ("silence_s", "nobody answers"), ("both_s", "two answer"), *CONNECTIONS),
    BACK: (("all_taken_s", "all taken"), ("silence_s", "nobody answers"), ("both_s", "two answer"), *CONNECTIONS),
    ROLLED: (("took_s", "took"), ("silence_s", "nobody answers"), *CONNECTIONS),
    HEALS: (("one_owner_s", "one owner"), ("silence_s", "nobody answers"), *CONNECTIONS),
}
# of whom → of which trial → [(key, how to sum up, at most, which of keepalived's)]
MEDIAN, WORST, TOTAL = ("median", statistics.median), ("worst", max), ("total", sum)
GOALS = {
    "Stentor, lan": {
        DIES: [("served_s", MEDIAN, 0.3, "keepalived, 0.1 s"), ("served_s", WORST, 0.5, "keepalived, 0.1 s")],
        KILLED: [("all_taken_s", MEDIAN, 0.1, "keepalived, 0.1 s")],
        STOPPED: [("failed", TOTAL, 0, "keepalived, 1 s")],
        BACK: [("failed", TOTAL, 0, "keepalived, 1 s")],
        ROLLED: [("failed", TOTAL, 0, "keepalived, 1 s")],
        HEALS: [("one_owner_s", MEDIAN, 0.2, "keepalived, 0.1 s")]},
    "Stentor, fast": {
        DIES: [("served_s", MEDIAN, 0.12, "keepalived, 0.01 s")]},
}


def told(result, columns):
    return ", ".join(f"{head} {shown(key, result[key])}{' s' if key.endswith('_s') else ''}" for key, head in columns)


def shown(key, value):
    return f"{value:.3f}" if key.endswith("_s") else str(value)


class Bench:
    def __init__(self, world, options, dice):
        self.world, self.options, self.dice = world, options, dice
        self.results = {}  # kind of trial → who → results
        self.left_out = {}  # kind of trial → who → how many

    def attempt(self, number, announcer, trial, *kinds):
        """One trial, which may be of several kinds. Where addresses move of themselves there is none: a machine that is
        too busy for the shortest timers."""
        who = announcer.name
        try:
            results = trial()
        except Timeout as error:
            print(f"  {who}, {kinds[0]}, {number}: left out: {error}", flush=True)
            of = self.left_out.setdefault(kinds[0], {})
            of[who] = of.get(who, 0) + 1
            self.world.mend(announcer)
            return
        for what, result in zip(kinds, results if len(kinds) > 1 else [results]):
            self.results.setdefault(what, {}).setdefault(who, []).append(result)
            print(f"  {who}, {what}, {number}: {told(result, COLUMNS[what])}", flush=True)

    def trials(self, announcer):
        world, dice, who, wanted = self.world, self.dice, announcer.name, self.options.only
        world.start_all(announcer)
        trials = self.options.kills if isinstance(announcer, Speakers) else self.options.beside
        for number in range(1, trials + 1):
            node = world.victims[number % len(world.victims)]
            for trial, *kinds in ((world.node_dies, DIES), (world.killed, KILLED),
                                  (world.stopped_and_back, STOPPED, BACK), (world.heals, HEALS)):
                if kinds[0] in wanted:
                    self.attempt(number, announcer, lambda trial=trial: trial(announcer, node, dice), *kinds)
        for number in range(1, max(1, trials // 5) + 1) if ROLLED in wanted else ():
            self.attempt(number, announcer, lambda: world.rolled(announcer), ROLLED)
        if LASTING in wanted:
            self.results.setdefault(LASTING, {})[who] = world.lasting(announcer, world.victims[0])
        if BUSY in wanted and self.options.busy:
            found = self.results.setdefault(BUSY, {})[who] = world.busy(announcer, self.options.busy)
            print(f"  {who}, {BUSY}: {found['moved']} addresses moved in {found['seconds']} s", flush=True)
        world.stop_all(announcer)

    # -- tables -------------------------------------------------------------------------------------------------------

    def print_tables(self):
        for what, columns in COLUMNS.items():
            if what in self.results:
                print()
                seconds = [column for column in columns if column[0].endswith("_s")]
                counted = [column for column in columns if not column[0].endswith("_s")]
                figures.table([f"{what}: seconds, median / worst", "n", *(head for _, head in (*seconds, *counted))],
                              [[who, len(results), *(self._both(results, key) for key, _ in seconds),
                                *(sum(one[key] for one in results) for key, _ in counted)]
                               for who, results in self.results[what].items()])
        for what, of in self.left_out.items():
            print(f"\n{what}: left out because all was not well before or after: "
                  + ", ".join(f"{who} {number}" for who, number in of.items()))
        for who, ways in self.results.get(LASTING, {}).items():
            print()
            kinds = next(iter(ways.values()))
            figures.table([f"{who}: open connections that ended well", *kinds],
                          [[way, *found.values()] for way, found in ways.items()])
        if BUSY in self.results:
            print()
            figures.table([BUSY, "seconds", "addresses that moved"],
                          [[who, found["seconds"], found["moved"]] for who, found in self.results[BUSY].items()])

    @staticmethod
    def _both(results, key):
        values = [one[key] for one in results]
        return f"{statistics.median(values):.3f} / {max(values):.3f}"

    def figures(self):
        found = []
        for who, kinds in GOALS.items():
            for what, goals in kinds.items():
                of = self.results.get(what, {})
                for key, (name, sum_up), goal, beside in goals if who in of else ():
                    yardstick = sum_up(one[key] for one in of[beside]) if beside in of else None
                    found.append(figures.figure(f"{who}: {what}: {dict(COLUMNS[what])[key]}, {name}",
                                                sum_up(one[key] for one in of[who]), "s" if key.endswith("_s") else "",
                                                goal, yardstick))
        return found


def profiles():
    """Those that the speaker knows."""
    text = subprocess.run([bin_folder() / "stentor-speaker", "--help"], capture_output=True, text=True).stdout
    return ("lan", "fast") if "--ml-profile" in text else ("lan",)


def main():
    everything = (DIES, KILLED, STOPPED, ROLLED, HEALS, LASTING, BUSY)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, metavar="N", help="trials of each kind")
    parser.add_argument("--beside", type=int, default=3, metavar="N", help="trials of each kind with keepalived and MetalLB")
    parser.add_argument("--only", nargs="+", choices=everything, default=everything, metavar="KIND",
                        help=f"of: {', '.join(everything)}")
    parser.add_argument("--profiles", nargs="*", default=None, help="Stentor's; default: all that it knows")
    parser.add_argument("--adverts", type=float, nargs="*", default=(1, 0.1, 0.01), metavar="SECONDS",
                        help="keepalived's times between advertisements")
    parser.add_argument("--metallb", action=argparse.BooleanOptionalAction, default=True, help="MetalLB's speakers, too")
    parser.add_argument("--addresses", type=int, default=ADDRESSES, metavar="N", help="at most 120")
    parser.add_argument("--busy", type=float, default=30, metavar="SECONDS", help="with all cores taken; 0: not at all")
    parser.add_argument("--seed", type=int, default=None, help="of the moments")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    figures.require([*(announcers.missing() if options.adverts else ()), *(metallb.missing() if options.metallb else ())])
    seed = options.seed if options.seed is not None else random.randrange(1 << 16)
    with Lab(nodes=NODES, say=lambda text: print(text, flush=True)) as lab:
        world = World(lab, options.addresses)
        bench = Bench(world, options, random.Random(seed))
        ours = [Speakers(lab, one) for one in (profiles() if options.profiles is None else options.profiles)]
        others = [Keepalived(lab, world.addresses, advert) for advert in options.adverts]
        others += [metallb.Speakers(lab)] if options.metallb else []
        for announcer in ours + others:
            print(f"\n{announcer.name}", flush=True)
            bench.trials(announcer)
    bench.print_tables()
    limits = bench.figures()
    print()
    figures.print_figures(limits)
    figures.save(options.json, {"benchmark": "failover", "seed": seed, "rate": RATE, "results": bench.results,
                                "left_out": bench.left_out, "figures": limits})
    return 0


if __name__ == "__main__":
    sys.exit(main())
