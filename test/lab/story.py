# SPDX-License-Identifier: Apache-2.0
"""The main job as steps that can be verified one by one: the tests assert with them, the demo tells them.

Deadlines are generous, many times what a step takes: what counts is that it happens, and in which order.
"""
import pathlib

import election
from processes import wait_for
from stentor import NAMESPACE

MANIFEST = pathlib.Path(__file__).resolve().parent / "manifests/main-job.yaml"
APP, SERVICE, ADDRESS, POOL = "nginx-deployment", "nginxlb", "192.168.122.111", "lb-ip-pool"
ANNOTATION = "metallb.io/ip-allocated-from-pool"
FIRST_FREE = "192.168.122.110"
SOON = 20


def service(name, address=None, **metadata):
    """A manifest (as an object; JSON is YAML) of a load balanced Service for the pods of the story."""
    spec = {"type": "LoadBalancer", "selector": {"app": APP},
            "ports": [{"port": 80, "targetPort": 80, "protocol": "TCP", "name": "http"}]}
    if address:
        spec["loadBalancerIP"] = address
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, **metadata}, "spec": spec}


def pool(name, *addresses):
    return {"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"addresses": list(addresses)}}


class Story:
    """One lab with Stentor in it. Methods wait until what they are named after is so, and return what was seen."""

    def __init__(self, lab):
        self.lab = lab
        self.order = election.candidates(list(lab.nodes), ADDRESS)  # who has to speak, by our own reckoning

    def set_up(self, *arguments):
        """Both programs with these arguments, and pods on the nodes that come second and third in the election: the first
        may die without taking a pod along. (Of endpoints on a dead node Kubernetes itself knows only after its own grace
        period of 40 s.)"""
        self.lab.add_pods(APP, self.order[1:])
        self.lab.start_controller(*arguments)
        self.lab.start_speakers(*arguments)

    def apply_manifest(self):
        self.lab.apply(MANIFEST)

    def address_of(self, name, expected=None, deadline=SOON):
        """The Service has one address (the expected one, if given)."""
        def there():
            self._all_alive()
            addresses = self.lab.service_addresses(name)
            return addresses[0] if len(addresses) == 1 and expected in (None, addresses[0]) else None
        return wait_for(there, deadline, lambda: f"Service {name} has {expected or 'an address'}; "
                        f"it has {self.lab.service_addresses(name)}")

    def allocation_event(self, name, address):
        message = f'Assigned IP ["{address}"]'

        def there():
            return [event for event in self.lab.events(name, "IPAllocated") if event["message"] == message]
        return wait_for(there, SOON, f"an event: {message}")

    def speaker_is(self, address, node, deadline=SOON):
        """Exactly this node's MAC answers ARP requests for the address."""
        def so():
            self._all_alive()
            return self.lab.speaker_of(address) == node
        wait_for(so, deadline, f"{node} answers for {address}")
        return self.lab.nodes[node].mac

    def page(self, address, deadline=SOON):
        """The client gets a page, from a pod."""
        return wait_for(lambda: self.lab.client.curl(address, timeout=1), deadline, f"a page from {address}")

    def silence(self, address, deadline=SOON):
        """Nobody answers for an address."""
        wait_for(lambda: self.lab.poller.arping(address) == [], deadline, f"nobody answers for {address}")

    def restart_controller(self):
        self.lab.stentor.stop_controller(kill=True)
        self.lab.start_controller()

    def versions(self):
        """name → (resourceVersion, addresses) of all load balanced Services: what a restart must not touch."""
        def addresses(item):
            return [entry.get("ip") for entry in item["status"]["loadBalancer"].get("ingress", [])]
        return {item["metadata"]["name"]: (item["metadata"]["resourceVersion"], addresses(item))
                for item in self.lab.get("services")["items"] if item["spec"]["type"] == "LoadBalancer"}

    def delete(self, name):
        self.lab.kubectl("delete", "service", name, "--wait=true", "--timeout=30s")

    def status_writes(self, name):
        """The PUTs of a Service's status that the audit log holds, successful ones."""
        return [entry for entry in self.lab.control_plane.audit(account="controller", resource="services",
                                                                subresource="status", verb="update", name=name)
                if entry["code"] == 200]

    def _all_alive(self):
        dead = self.lab.stentor.dead()
        if dead:
            raise AssertionError("not running any more: " + "; ".join(f"{name}:\n{end}" for name, end in dead.items()))
