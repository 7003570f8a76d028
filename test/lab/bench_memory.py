# SPDX-License-Identifier: Apache-2.0
"""Resident memory of both programs, as the kernel counts it, with 1 Service and with 100."""
import argparse
import json
import sys

import figures
from lab import Lab
from processes import wait_for
from story import ADDRESS, SERVICE, Story, pool, service


def resident(lab):
    """Of the controller, and of the speaker that has most."""
    controller, speaker = lab.stentor.controller.memory_kib(), max(
        process.memory_kib() for process in lab.stentor.speakers.values())
    return {"controller_kib": controller[0], "controller_anonymous_kib": controller[1],
            "speaker_kib": speaker[0], "speaker_anonymous_kib": speaker[1]}


def assigned(lab, names):
    with_address = {item["metadata"]["name"] for item in lab.get("services")["items"]
                    if item["status"]["loadBalancer"].get("ingress")}
    return names <= with_address


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, default=100, metavar="N", help="besides the one")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    figures.require()
    result = {}
    with Lab(say=lambda text: print(text, flush=True)) as lab:
        lab.install()
        story = Story(lab)
        story.set_up()
        story.apply_manifest()
        story.address_of(SERVICE, ADDRESS)
        story.speaker_is(ADDRESS, story.order[0])
        result["1"] = resident(lab)
        if options.services:
            # Addresses of the segment itself, so that they can be asked for; kube-proxy has nothing to do for them.
            lab.apply(json.dumps(pool("more", "192.168.122.120-192.168.122.239", "192.168.123.0/24")))
            names, items = set(), []
            for number in range(options.services):
                one = service(f"more-{number}", labels={"service.kubernetes.io/service-proxy-name": "nobody"})
                one["spec"]["allocateLoadBalancerNodePorts"] = False
                one["metadata"]["annotations"] = {"metallb.io/address-pool": "more"}
                names.add(one["metadata"]["name"])
                items.append(one)
            advertisement = {"apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement",
                             "metadata": {"name": "more", "namespace": "metallb-system"}, "spec": {}}
            lab.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": [advertisement, *items]}))
            wait_for(lambda: assigned(lab, names), 60, f"{options.services} Services have addresses")
            some = lab.service_addresses("more-0")[0]
            wait_for(lambda: lab.speaker_of(some), 20, "they are announced")
            result[str(options.services + 1)] = resident(lab)
    print()
    figures.table(["Services", "controller MiB", "of it anonymous", "speaker MiB", "of it anonymous"],
                  [[count, *(f"{one[key] / 1024:.1f}" for key in (
                      "controller_kib", "controller_anonymous_kib", "speaker_kib", "speaker_anonymous_kib"))]
                   for count, one in result.items()])
    figures.save(options.json, {"benchmark": "memory", "resident": result})
    return 0


if __name__ == "__main__":
    sys.exit(main())
