# SPDX-License-Identifier: Apache-2.0
"""What the tests of layer 2 have in common: a lab of both families whose speakers announce on chosen interfaces."""
import json

import netns
from control_plane import SERVICE_RANGE, Options
from lab import Lab
from processes import wait_for
from stentor import NAMESPACE
from story import SOON, pool, service

OPTIONS = Options(service_range=f"{SERVICE_RANGE},2001:db8:96::/112")
PREFIX6 = "2001:db8:122::"
APP = "web"


def advertisement(name, pools, interfaces=(), nodes=(), annotations=None):
    spec = {"ipAddressPools": list(pools)}
    if interfaces:
        spec["interfaces"] = list(interfaces)
    if nodes:
        spec["nodeSelectors"] = [{"matchLabels": {"kubernetes.io/hostname": node}} for node in nodes]
    return {"apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement",
            "metadata": {"name": name, "namespace": NAMESPACE, "annotations": annotations or {}}, "spec": spec}


def dual_stack(name, number, wanted=True):
    """A Service of both families, with the addresses of that number (wanted: asked for by annotation)."""
    body = service(name, annotations={"metallb.io/loadBalancerIPs": ",".join(addresses(number))} if wanted else {})
    body["spec"] |= {"ipFamilyPolicy": "RequireDualStack", "selector": {"app": APP}}
    return body


def addresses(number):
    return [f"192.168.122.{number}", f"{PREFIX6}{number}"]


def pool_of(name, first, last):
    return pool(name, f"192.168.122.{first}-192.168.122.{last}", f"{PREFIX6}{first}-{PREFIX6}{last}")


class Layer2:
    """A lab with controller, speakers and a pod; its clients speak IPv6 too."""

    def __init__(self, lab, pod_on="node-1"):
        self.lab, self.client, self.poller = lab, lab.client, lab.poller
        lab.install()
        for number, host in enumerate(lab.clients.values(), 100):
            netns.ip("address", "add", f"{PREFIX6}{number}/64", "dev", "eth0", namespace=host.namespace)
        for number, node in enumerate(lab.nodes.values(), 11):
            netns.ip("address", "add", f"{PREFIX6}{number}/64", "dev", "eth0", namespace=node.namespace)
        lab.add_pods(APP, [pod_on])

    def apply(self, *manifests):
        self.lab.apply("\n---\n".join(map(json.dumps, manifests)))

    def delete(self, kind, *names, namespace="default"):
        self.lab.kubectl("delete", kind, *names, "-n", namespace, "--ignore-not-found", "--wait=true", "--timeout=30s")

    def answers(self, address, *macs, deadline=SOON):
        """Exactly these MACs answer for the address; none: nobody does."""
        def so():
            dead = self.lab.stentor.dead()
            if dead:
                raise AssertionError(f"not running any more: {dead}")
            return self.poller.who_has(address) == sorted(macs)
        wait_for(so, deadline, lambda: f"{address} is answered by {macs or 'nobody'}; it is by "
                 f"{self.poller.who_has(address)}")

    def believes(self, address, mac, deadline=SOON):
        """The client's kernel has this MAC for the address."""
        wait_for(lambda: self.client.neighbour(address) == mac, deadline,
                 lambda: f"the client takes {mac} for {address}; its entry is {self.client.state(address)}")


def one_node():
    return Lab(nodes=1, options=OPTIONS)
