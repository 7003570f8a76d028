# SPDX-License-Identifier: Apache-2.0
"""Resident memory of both programs, as the kernel counts it, with 1 announced Service and with more."""
import argparse
import json
import sys

import api_load
import figures
from control_plane import Options
from lab import Lab
from processes import wait_for
from story import ADDRESS, APP, SERVICE, Story

# By default kube-controller-manager takes minutes for the endpoints of so many Services: 20 requests a second.
OPTIONS = Options(controller_manager_flags=("--kube-api-qps=2000", "--kube-api-burst=4000",
                                            "--concurrent-service-endpoint-syncs=20",
                                            "--concurrent-endpoint-syncs=20"))
# MiB, of design.md: at most so much for the controller and for a speaker.
GOALS = {1: (12, 10), 1000: (16, 14), 10000: (40, 40)}


def resident(lab):
    """Of the controller, and of the speaker that has most."""
    controller, speaker = lab.stentor.controller.memory_kib(), max(
        process.memory_kib() for process in lab.stentor.speakers.values())
    return {"controller_kib": controller[0], "controller_anonymous_kib": controller[1],
            "speaker_kib": speaker[0], "speaker_anonymous_kib": speaker[1]}


def add_services(lab, load, number, more):
    """So many more Services; all are announced when this returns."""
    load.create(more, f"more-{number}", f"--app={APP}", deadline=3600)
    addresses = [entry["ip"] for item in lab.get("services", "-n", load.namespace)["items"]
                 for entry in item["status"]["loadBalancer"].get("ingress", ())]
    # The order in which endpoints appear is nobody's: all have to be asked for.
    for address in (addresses[0], addresses[len(addresses) // 2], addresses[-1]):
        wait_for(lambda address=address: lab.speaker_of(address), 300, f"{address} is announced", every=0.5)
    api_load.quiet(lab, 0, deadline=300)  # for less than the time between two renewals of the Lease


def goals(count, one):
    found = []
    for program, goal in zip(("controller", "speaker"), GOALS.get(count, ())):
        found.append(figures.figure(f"{count} Services: resident memory, {program}", one[f"{program}_kib"] / 1024,
                                    "MiB", goal))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, nargs="*", default=[1000], metavar="N", help="besides the one")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    figures.require(api_load.missing())
    result, limits = {}, []
    with Lab(options=OPTIONS, say=lambda text: print(text, flush=True)) as lab:
        lab.install()
        story = Story(lab)
        story.set_up()
        story.apply_manifest()
        story.address_of(SERVICE, ADDRESS)
        story.speaker_is(ADDRESS, story.order[0])
        result[1] = resident(lab)
        load = api_load.ApiLoad(lab, namespace="default")
        lab.apply(json.dumps({"apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement",
                              "metadata": {"name": "more", "namespace": "metallb-system"}, "spec": {}}))
        for count in sorted(options.services):
            print(f"{count} Services", flush=True)
            add_services(lab, load, count, count - max(result))
            result[count] = resident(lab)
    print()
    figures.table(["Services", "controller MiB", "of it anonymous", "speaker MiB", "of it anonymous"],
                  [[count, *(f"{one[key] / 1024:.1f}" for key in (
                      "controller_kib", "controller_anonymous_kib", "speaker_kib", "speaker_anonymous_kib"))]
                   for count, one in result.items()])
    for count, one in result.items():
        limits += goals(count, one)
    print()
    figures.print_figures(limits)
    figures.save(options.json, {"benchmark": "memory", "resident": result, "figures": limits})
    return 0


if __name__ == "__main__":
    sys.exit(main())
