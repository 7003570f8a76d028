# SPDX-License-Identifier: Apache-2.0
"""The packet path of a speaker, for ARP and for NDP: how long an answer takes beside a bare libpcap echo and the kernel,
what an answer costs under flood beside a bare AF_PACKET echo, and what other people's requests cost.

All of them sit on the same node, so the wire, the switch and the asking program are the same. An idle listener that wakes
up for every frame would slow the others down: so an echo runs only while it is asked, and how often the speaker, whose
kernel filter should let it sleep, woke up while the others were asked is counted and printed beside the number of
requests (its heartbeats are in there).
"""
import argparse
import contextlib
import json
import statistics
import subprocess
import sys

import figures
from layer2 import Layer2, addresses, advertisement, dual_stack, OPTIONS, pool_of
from lab import Lab
from processes import Process, wait_for
from stentor import bin_folder

PROGRAMS = ("packet-echo", "packet-ping")
OURS, ECHO, FOREIGN = addresses(111), addresses(240), addresses(241)
FAMILIES = ("ARP", "NDP")
FOREIGN_RATE = 100_000  # requests a second that are none of ours


class Bench(Layer2):
    def __init__(self, lab):
        super().__init__(lab)
        self.node = lab.nodes["node-1"]
        self.apply(pool_of("bench", 110, 119), advertisement("bench", ["bench"], ["eth0"]), dual_stack("bench", 111))
        lab.start_controller()
        self.speaker = lab.start_speaker(self.node.name)
        for address in OURS:
            self.answers(address, self.node.mac)
        self.own = (self.node.address, "2001:db8:122::11")  # those of the node's kernel

    def ask(self, address, *flags):
        """packet-ping in a client's namespace: its JSON."""
        done = subprocess.run(["ip", "netns", "exec", self.poller.host.namespace, bin_folder() / "packet-ping",
                               "--interface", "eth0", "--address", address, *map(str, flags)],
                              capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(f"packet-ping {address}: {done.stderr.strip() or done.stdout.strip()}")
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def echo(self, address, *flags):
        process = Process("packet-echo", self.node.namespace, [
            bin_folder() / "packet-echo", "--interface", "eth0", "--address", address, *flags],
            self.lab.logs / "packet-echo.log")
        try:
            wait_for(lambda: self.ask(address, "--count", 1), 10, "the echo answers")
            yield process
        finally:
            process.kill()

    def latency(self, family, rounds, each):
        asked = {"kernel": [], "libpcap echo": [], "stentor": []}
        wakeups = 0
        for number in range(1, rounds + 1):
            print(f"{FAMILIES[family]}, round {number} of {rounds}, {each} requests to each", flush=True)
            asked["stentor"].append(self.ask(OURS[family], "--count", each))
            with self.echo(ECHO[family]):
                before = self.speaker.wakeups()
                asked["libpcap echo"].append(self.ask(ECHO[family], "--count", each))
                wakeups += self.speaker.wakeups() - before
            before = self.speaker.wakeups()
            asked["kernel"].append(self.ask(self.own[family], "--count", each))
            wakeups += self.speaker.wakeups() - before
        result = {who: {"n": sum(one["n"] for one in of),
                        "median_us": statistics.median(one["median_us"] for one in of),
                        "p99_us": statistics.median(one["p99_us"] for one in of),
                        "rounds_median_us": [one["median_us"] for one in of]} for who, of in asked.items()}
        bare = result["libpcap echo"]["median_us"]
        print()
        figures.table([f"who answers {FAMILIES[family]}", "n", "median µs", "p99 µs", "÷ echo", "medians of the rounds"],
                      [[who, one["n"], f"{one['median_us']:.1f}", f"{one['p99_us']:.1f}",
                        f"{one['median_us'] / bare:.2f}", " ".join(f"{m:.0f}" for m in one["rounds_median_us"])]
                       for who, one in result.items()])
        print(f"\nthe speaker woke up {wakeups} times while the others were asked {2 * each * rounds} times\n")
        return {"answers": result, "speaker_wakeups_meanwhile": wakeups}

    def cost(self, process, address, seconds):
        """Microseconds of processor time for an answer under flood, and how it went."""
        before = process.cpu_seconds()
        flood = self.ask(address, "--flood", seconds)
        spent = process.cpu_seconds() - before
        return {**flood, "us_per_answer": spent * 1e6 / max(1, flood["answered"])}

    def flood(self, family, seconds):
        print(f"{FAMILIES[family]} under flood, {seconds} s each", flush=True)
        found = {"stentor": self.cost(self.speaker, OURS[family], seconds)}
        for who, flags in (("libpcap echo", ()), ("AF_PACKET echo", ("--raw", "yes"))):
            with self.echo(ECHO[family], *flags) as process:
                found[who] = self.cost(process, ECHO[family], seconds)
        print()
        figures.table([f"who answers {FAMILIES[family]}", "requests/s", "answers/s", "CPU µs an answer"],
                      [[who, f"{one['sent'] / one['seconds']:.0f}", f"{one['answered'] / one['seconds']:.0f}",
                        f"{one['us_per_answer']:.2f}"] for who, one in found.items()])
        print()
        return found

    def foreign(self, family, seconds):
        """Share of a core that the speaker uses while others are asked for."""
        before = self.speaker.cpu_seconds()
        flood = self.ask(FOREIGN[family], "--flood", seconds, "--rate", FOREIGN_RATE)
        return {"requests_per_second": flood["sent"] / flood["seconds"],
                "cpu_share": (self.speaker.cpu_seconds() - before) / flood["seconds"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="requests to each in all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each flood")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    figures.require([f"{name} is not built (./dev build)" for name in PROGRAMS if not (bin_folder() / name).exists()])
    result, limits = {}, []
    with Lab(nodes=1, options=OPTIONS, say=lambda text: print(text, flush=True)) as lab:
        bench = Bench(lab)
        for family, name in enumerate(FAMILIES):
            latency = bench.latency(family, options.rounds, max(1, options.count // options.rounds))
            flood = bench.flood(family, options.seconds)
            foreign = bench.foreign(family, options.seconds)
            result[name] = {**latency, "flood": flood, "foreign": foreign}
            bare = latency["answers"]["libpcap echo"]["median_us"]
            limits += [
                figures.figure(f"{name} reply, median", latency["answers"]["stentor"]["median_us"], "µs", 1.1 * bare,
                               bare),
                figures.figure(f"{name} reply under flood, CPU", flood["stentor"]["us_per_answer"], "µs", 4,
                               flood["AF_PACKET echo"]["us_per_answer"]),
                {"what": f"{name}, {foreign['requests_per_second']:.0f} foreign requests/s: CPU of the speaker",
                 "value": foreign["cpu_share"] * 100, "unit": "%"}]
    figures.print_figures(limits)
    figures.save(options.json, {"benchmark": "packets", "results": result, "figures": limits})
    return 0


if __name__ == "__main__":
    sys.exit(main())
