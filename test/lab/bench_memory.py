# SPDX-License-Identifier: Apache-2.0
"""Resident memory of both programs, as the kernel counts it, with 1 announced Service and with more; and the processor
time that they take while nothing changes: heartbeats, probes of the service proxy, the Lease.

All Services have endpoints and are announced, which the speakers' ServiceL2Statuses tell. The speakers share them, as
the election has it; with --one-speaker one of them announces all. MetalLB's speakers are measured in their place, for the same
Services, on the same machine: they are the yardstick. That of the time is bare-heartbeats.

Speakers save their state, as the chart has it. A program closes connections that it does not need after at most a minute, and
gives back memory when work is over and once a minute (common/io/memory.h), until it needs some of it again: after two minutes,
the median over another one is taken.
"""
import argparse
import collections
import contextlib
import json
import sys
import time

import api_load
import figures
import metallb
from control_plane import Options
from lab import Lab
from processes import Process, wait_for
from stentor import NAMESPACE, bin_folder
from story import ADDRESS, APP, SERVICE, Story

# By default kube-controller-manager takes minutes for the endpoints of so many Services: 20 requests a second.
OPTIONS = Options(controller_manager_flags=("--kube-api-qps=2000", "--kube-api-burst=4000",
                                            "--concurrent-service-endpoint-syncs=20",
                                            "--concurrent-endpoint-syncs=20"))
# MiB: at most so much for the controller and for a speaker.
GOALS = {1: (12, 10), 1000: (16, 14), 10000: (40, 40)}
IDLE_GOAL = 0.2  # per cent of a core, for a speaker
IDLE_SECONDS = 120
RESIDENT_SECONDS = 60
RESIDENT_SAMPLES = 12
BARE = "bare-heartbeats"
MOST_BESIDE = 1000  # Services for which MetalLB is measured, too


def start_speaker(lab, node):
    folder = lab.folder / "state" / node
    folder.mkdir(parents=True, exist_ok=True)
    return lab.start_speaker(node, f"--state-dir={folder}")


def measured(lab):
    """First the time, which lets the burst before be over, then the memory."""
    with bare_heartbeats(lab) as bare:
        found = idle(lab, bare)
    return {**found, **resident(lab), "announced": announced(lab)}


def resident(lab):
    """Of the controller, and of the speaker that has most; each the median over RESIDENT_SECONDS."""
    samples = {"controller": [], "speaker": []}
    for _ in range(RESIDENT_SAMPLES):
        time.sleep(RESIDENT_SECONDS / RESIDENT_SAMPLES)  # the time that is measured, no wait for anything
        samples["controller"].append(lab.stentor.controller.memory_kib())
        samples["speaker"].append(max(process.memory_kib() for process in lab.stentor.speakers.values()))
    found = {}
    for program, taken in samples.items():
        found[f"{program}_kib"], found[f"{program}_anonymous_kib"] = sorted(taken)[len(taken) // 2]
    return found


def idle_percent(programs):
    """Per cent of a core that each takes while nothing changes."""
    return [percent for percent, _ in idle_load(programs)]


def idle_load(programs):
    """The same, and how often the main thread of each wakes up in a second."""
    before = [(one.run_seconds(), one.wakeups()) for one in programs]
    time.sleep(IDLE_SECONDS)  # the time that is measured, no wait for anything
    return [(100 * (one.run_seconds() - seconds) / IDLE_SECONDS, (one.wakeups() - wakeups) / IDLE_SECONDS)
            for one, (seconds, wakeups) in zip(programs, before)]


def idle(lab, bare):
    """Of the controller, of the speaker that takes most, and of the bare program that does."""
    ours = [lab.stentor.controller, *lab.stentor.speakers.values()]
    controller, *members = idle_load([*ours, *bare])
    speakers, yardstick = members[:len(ours) - 1], members[len(ours) - 1:]
    return {"controller_idle_percent": controller[0], "speaker_idle_percent": max(speakers)[0],
            "speaker_idle_wakeups": max(speakers)[1], "bare_idle_percent": max(yardstick)[0]}


@contextlib.contextmanager
def bare_heartbeats(lab):
    """On each node a program that does nothing but send and read as many datagrams as a speaker, each as it comes: how much
    of a speaker's time is the kernel's, for the way of a datagram, which in the lab the sender goes to its end."""
    with contextlib.ExitStack() as stack:
        processes = []
        for node in lab.nodes.values():
            peers = [other.address for other in lab.nodes.values() if other is not node]
            processes.append(Process(BARE, node.namespace, [bin_folder() / BARE, node.address, *peers],
                                     lab.logs / f"{BARE}-{node.name}.log"))
            stack.callback(processes[-1].kill)
        yield processes


def beside(lab, count):
    """The same of MetalLB's speakers, which announce the Services meanwhile."""
    for node in lab.nodes:
        lab.stentor.kill_speaker(node)
    speakers = metallb.Speakers(lab)
    anew(lab, lambda node: speakers.start(node, announces=False), count)
    found = {"metallb_speaker_idle_percent": max(idle_percent(speakers.processes())),
             "metallb_speaker_kib": max(one.memory_kib()[0] for one in speakers.processes())}
    speakers.end()
    anew(lab, lambda node: start_speaker(lab, node), count)
    return found


def anew(lab, start, count):
    """Others announce, and say so."""
    lab.kubectl("delete", "servicel2statuses", "--all", "-n", NAMESPACE, timeout=300)
    for node in lab.nodes:
        start(node)
    wait_announced(lab, count)


def announced(lab):
    """How many Services each speaker announces, the most first."""
    names = lab.kubectl("get", "servicel2statuses", "-n", NAMESPACE, "-o", "jsonpath={.items[*].status.node}",
                        timeout=300).split()
    return [number for _, number in collections.Counter(names).most_common()]


def add_services(lab, load, count, more):
    """So many more Services; all `count` of them are announced when this returns."""
    load.create(more, f"more-{count}", f"--app={APP}", deadline=3600)
    wait_announced(lab, count)


def wait_announced(lab, count):
    wait_for(lambda: sum(announced(lab)) == count, 1200, lambda: f"{count} Services are announced; "
             f"{announced(lab)} are", every=2)
    api_load.quiet(lab, 0, deadline=600)  # for less than the time between two renewals of the Lease


def goals(count, one):
    found = []
    for program, goal in zip(("controller", "speaker"), GOALS.get(count, ())):
        theirs = one.get(f"metallb_{program}_kib")
        found.append(figures.figure(f"{count} Services: resident memory, {program}", one[f"{program}_kib"] / 1024,
                                    "MiB", goal, theirs and theirs / 1024))
    what = f"{count} Services: CPU of a speaker while nothing changes"
    found.append(figures.figure(what, one["speaker_idle_percent"], "%", IDLE_GOAL, one["bare_idle_percent"]))
    if "metallb_speaker_idle_percent" in one:
        found.append(figures.comparison(f"{what}, beside {metallb.NAME}", one["speaker_idle_percent"], "%",
                                        one["metallb_speaker_idle_percent"]))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, nargs="*", default=[1000], metavar="N", help="besides the one")
    parser.add_argument("--one-speaker", action="store_true", help="one announces all, instead of each its share")
    parser.add_argument("--metallb", action=argparse.BooleanOptionalAction, default=True,
                        help=f"MetalLB's speakers in place of ours, too, for up to {MOST_BESIDE} Services")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    figures.require([*api_load.missing(), *(metallb.missing() if options.metallb else ())])
    result, limits = {}, []
    with Lab(options=OPTIONS, say=lambda text: print(text, flush=True)) as lab:
        lab.install()
        story = Story(lab)
        lab.add_pods(APP, story.order[1:])
        lab.start_controller()
        for node in lab.nodes:
            start_speaker(lab, node)
        story.apply_manifest()
        story.address_of(SERVICE, ADDRESS)
        story.speaker_is(ADDRESS, story.order[0])
        wait_for(lambda: announced(lab) == [1], 60, "its speaker says so")
        most_beside = MOST_BESIDE if options.metallb else 0
        result[1] = {**measured(lab), **(beside(lab, 1) if most_beside else {})}
        load = api_load.ApiLoad(lab, namespace="default")
        nodes = [{"matchLabels": {"kubernetes.io/hostname": story.order[0]}}] if options.one_speaker else []
        lab.apply(json.dumps({"apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement",
                              "metadata": {"name": "more", "namespace": NAMESPACE}, "spec": {"nodeSelectors": nodes}}))
        for count in sorted(set(options.services) - {1}):
            print(f"{count} Services", flush=True)
            add_services(lab, load, count, count - max(result))
            result[count] = {**measured(lab), **(beside(lab, count) if count <= most_beside else {})}
    print()
    figures.table(["Services", "most announced by one", "controller MiB", "of it anonymous", "speaker MiB",
                   "of it anonymous", "controller CPU %", "speaker CPU %",
                   "its wake-ups/s"],
                  [[count, max(one["announced"]), *(f"{one[key] / 1024:.1f}" for key in (
                      "controller_kib", "controller_anonymous_kib", "speaker_kib", "speaker_anonymous_kib")),
                    f"{one['controller_idle_percent']:.2f}", f"{one['speaker_idle_percent']:.2f}",
                    f"{one['speaker_idle_wakeups']:.0f}"]
                   for count, one in result.items()])
    for count, one in result.items():
        limits += goals(count, one)
    print()
    figures.print_figures(limits)
    figures.save(options.json, {"benchmark": "memory", "resident": result, "figures": limits})
    return 0


if __name__ == "__main__":
    sys.exit(main())
