# SPDX-License-Identifier: Apache-2.0
"""What the speakers say in the API: who announces what (ServiceL2Status, events), what each thinks of the configuration
(ConfigurationState), and why somebody announces nothing. One lab, told from top to bottom."""
import json

import netns
import pytest
from processes import wait_for
from stentor import NAMESPACE
from story import ADDRESS, APP, SERVICE, SOON, Story, pool, service

STATUS_LABELS = ("metallb.io/node", "metallb.io/service-name", "metallb.io/service-namespace")
SECOND, THIRD = "192.168.122.112", "192.168.122.113"


class Announced(Story):
    def statuses(self, name=SERVICE):
        return [item for item in self.lab.get("servicel2statuses", "-n", NAMESPACE)["items"]
                if item["metadata"].get("labels", {}).get(STATUS_LABELS[1]) == name]

    def status_is(self, node, name=SERVICE, interfaces=None):
        """One object for the Service, of this node; returns it."""
        def so():
            found = self.statuses(name)
            if len(found) != 1 or found[0].get("status", {}).get("node") != node:
                return None
            names = [one["name"] for one in found[0]["status"].get("interfaces", [])]
            return found[0] if names == (interfaces or []) else None
        return wait_for(so, SOON, lambda: f"one status of {name}, of {node}; there is {self.statuses(name)}")

    def state_is(self, node, result, condition="configReconcilerValid"):
        def so():
            status = self.lab.get("configurationstate", f"speaker-{node}", "-n", NAMESPACE).get("status", {})
            found = {one["type"]: one for one in status.get("conditions", [])}.get(condition)
            return status.get("result") == result and found and (status.get("errorSummary", ""), found)
        return wait_for(so, SOON, f"speaker-{node} is {result}")

    def log_events(self, node, event, service_name):
        return [line for line in self.lab.stentor.log(f"speaker-{node}").lines()
                if line.get("event") == event and line.get("service") == f"default/{service_name}"]


def advertisement(name, **spec):
    return {"apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


@pytest.fixture(scope="module")
def story(stentor_lab):
    made = Announced(stentor_lab)
    made.set_up()
    made.apply_manifest()
    made.speaker_is(made.address_of(SERVICE, ADDRESS), made.order[0])
    return made


def test_a_status_says_who_announces(story):
    found = story.status_is(story.order[0])
    assert found["metadata"]["name"].startswith("l2-")
    assert [found["metadata"]["labels"][label] for label in STATUS_LABELS] == [story.order[0], SERVICE, "default"]
    owners = found["metadata"]["ownerReferences"]
    pod = story.lab.get("pod", f"speaker-{story.order[0]}", "-n", NAMESPACE)
    assert [(one["kind"], one["name"], one["uid"]) for one in owners] == [
        ("Pod", pod["metadata"]["name"], pod["metadata"]["uid"])]
    assert found["status"] == {"node": story.order[0], "serviceName": SERVICE, "serviceNamespace": "default"}
    table = story.lab.kubectl("get", "servicel2statuses", "-n", NAMESPACE).splitlines()
    assert table[0].split()[:2] == ["NAME", "ALLOCATED"] and story.order[0] in table[1]


def test_a_reconcile_that_changes_nothing_says_nothing(story):
    before = story.status_is(story.order[0])["metadata"]["resourceVersion"]
    for number in range(3):
        story.lab.kubectl("annotate", "service", SERVICE, "--overwrite", f"example.com/touched={number}")
    story.lab.kubectl("label", "node", story.order[2], "example.com/touched=yes")
    # What comes later and can be seen, is seen: so the speaker has seen all of this too.
    story.lab.apply(json.dumps(service("probe", SECOND)))
    story.address_of("probe", SECOND)
    story.page(SECOND)
    story.lab.kubectl("delete", "service", "probe")
    story.silence(SECOND)
    story.speaker_is(ADDRESS, story.order[0])
    assert story.status_is(story.order[0])["metadata"]["resourceVersion"] == before
    events = story.lab.events(SERVICE, "nodeAssigned")
    assert [one["message"] for one in events] == [f'announcing from node "{story.order[0]}" with protocol "layer2"']
    assert events[0]["source"] == "metallb-speaker"


def test_a_status_that_was_edited_or_deleted_comes_back(story):
    name = story.status_is(story.order[0])["metadata"]["name"]
    story.lab.kubectl("patch", "servicel2status", name, "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p",
                      json.dumps({"status": {"interfaces": [{"name": "eth7"}]}}))
    story.status_is(story.order[0])
    story.lab.kubectl("delete", "servicel2status", name, "-n", NAMESPACE)
    story.status_is(story.order[0])


def test_the_status_follows_a_fail_over(story):
    first, second = story.order[0], story.order[1]
    story.lab.stentor.kill_speaker(first)
    story.speaker_is(ADDRESS, second)
    story.status_is(second)
    story.lab.start_speaker(first)
    story.speaker_is(ADDRESS, first)
    story.status_is(first)


def test_interfaces_are_named_and_sorted(story):
    story.lab.kubectl("delete", "l2advertisement", "--all", "-n", NAMESPACE)
    story.silence(ADDRESS)
    wait_for(lambda: story.statuses() == [], SOON, "no status without an announcement")
    reasons = {line.get("reason") for line in story.log_events(story.order[0], "serviceWithdrawn", SERVICE)}
    assert "noMatchingAdvertisement" in reasons
    story.lab.apply(json.dumps(advertisement("named", interfaces=["lab9", "eth0", "eth0"])))
    story.speaker_is(ADDRESS, story.order[0])
    story.status_is(story.order[0], interfaces=["eth0", "lab9"])


def test_interfaces_that_do_not_exist_are_told(story):
    story.lab.apply(json.dumps(advertisement("named", interfaces=["lab9"])))
    story.silence(ADDRESS)
    node = story.order[0]
    wanted = f'the interfaces specified by LB IP "{ADDRESS}" doesn\'t exist in assigned node "{node}" with protocol "layer2"'
    events = wait_for(lambda: story.lab.events(SERVICE, "announceFailed"), SOON, "an event announceFailed")
    assert [(one["message"], one["type"]) for one in events] == [(wanted, "Warning")]
    story.lab.apply(json.dumps(advertisement("named")))
    story.speaker_is(ADDRESS, node)


def test_a_configuration_that_is_refused_is_told_by_each_speaker(story):
    for node in story.lab.nodes:
        assert story.state_is(node, "Valid")[0] == ""
    story.lab.apply(json.dumps(pool("overlaps", "192.168.122.110-192.168.122.111")))
    for node in story.lab.nodes:
        summary, condition = story.state_is(node, "Invalid")
        assert "overlaps" in summary and (condition["status"], condition["reason"]) == ("False", "ConfigurationError")
        assert condition["message"].startswith("configuration error: ")
    story.speaker_is(ADDRESS, story.order[0])  # the last good one is in force
    state = story.lab.get("configurationstate", f"speaker-{story.order[0]}", "-n", NAMESPACE)
    assert state["metadata"]["labels"] == {"metallb.io/component-type": "speaker", "metallb.io/node-name": story.order[0]}
    assert [(one["kind"], one["name"]) for one in state["metadata"]["ownerReferences"]] == [
        ("Pod", f"speaker-{story.order[0]}")]
    story.lab.kubectl("delete", "ipaddresspool", "overlaps", "-n", NAMESPACE)
    for node in story.lab.nodes:
        story.state_is(node, "Valid")


def test_a_node_that_is_excluded_leaves_its_addresses_to_others(story):
    label = "node.kubernetes.io/exclude-from-external-load-balancers"
    story.lab.kubectl("label", "node", story.order[0], f"{label}=")
    story.speaker_is(ADDRESS, story.order[1])
    story.status_is(story.order[1])
    story.lab.kubectl("label", "node", story.order[0], f"{label}-")
    story.speaker_is(ADDRESS, story.order[0])


def test_a_pools_address_on_an_interface_is_told(story):
    node = story.lab.nodes[story.order[2]]
    netns.ip("address", "add", f"{THIRD}/32", "dev", "eth0", namespace=node.namespace)
    try:
        def told():
            return [line for line in story.lab.stentor.log(f"speaker-{node.name}").lines()
                    if line.get("event") == "nodeTrap" and line.get("trap") == "addressOnInterface"]
        assert THIRD in wait_for(told, SOON, "the log tells of it")[0]["msg"]
        story.lab.apply(json.dumps(service("unlucky", THIRD)))
        story.address_of("unlucky", THIRD)
        _, condition = story.state_is(node.name, "Valid", "stentor.io/NodeTraps")
        assert condition["status"] == "True" and THIRD in condition["message"]
        events = wait_for(lambda: story.lab.events(node.name, "addressOnInterface"), SOON, "an event of the Node")
        assert events[0]["type"] == "Warning" and THIRD in events[0]["message"]
    finally:
        netns.ip("address", "del", f"{THIRD}/32", "dev", "eth0", namespace=node.namespace)
        story.lab.kubectl("delete", "service", "unlucky", "--ignore-not-found")

    def gone():
        status = story.lab.get("configurationstate", f"speaker-{node.name}", "-n", NAMESPACE)["status"]
        return "stentor.io/NodeTraps" not in {one["type"] for one in status["conditions"]}
    wait_for(gone, 2 * SOON, "the condition goes when the trap has been gone for a while")


def test_a_node_whose_service_proxy_does_not_answer_leaves_its_addresses_to_others(story):
    first, second = story.order[0], story.order[1]
    story.speaker_is(ADDRESS, first)
    story.lab.stop_proxy(first)
    try:
        # Its rules are in the kernel, and it may only be restarted: that is put up with for 15 s.
        story.speaker_is(ADDRESS, second, deadline=3 * SOON)
        assert story.page(ADDRESS)
    finally:
        story.lab.start_proxy(first)
    story.speaker_is(ADDRESS, first, deadline=3 * SOON)


def test_slices_made_by_hand_and_services_without_selector_count(story):
    """A Service that became a load balancer long after its slices were left out is announced too."""
    lab, pod = story.lab, story.lab.pods[0]
    lab.apply(json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "by-hand"}, "spec": {
        "type": "ClusterIP", "ports": [{"port": 80, "targetPort": 80, "name": "http"}]}}))
    lab.apply(json.dumps({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "by-hand-1", "labels": {"kubernetes.io/service-name": "by-hand"}},
        "ports": [{"name": "http", "port": 80}],
        "endpoints": [{"addresses": [pod.address], "conditions": {"ready": True}, "nodeName": pod.node}]}))
    # A speaker that starts now has seen the slice only among all that it needs not.
    for node in lab.nodes:
        lab.stentor.stop_speaker(node)
        lab.start_speaker(node)
    story.speaker_is(ADDRESS, story.order[0])
    lab.kubectl("patch", "service", "by-hand", "--type=merge", "-p",
                json.dumps({"spec": {"type": "LoadBalancer", "loadBalancerIP": SECOND}}))
    story.address_of("by-hand", SECOND)
    assert story.page(SECOND)
    lab.kubectl("delete", "endpointslice", "by-hand-1")
    story.silence(SECOND)
    lab.kubectl("delete", "service", "by-hand")


def test_an_address_that_stays_local_follows_its_endpoints(story):
    """externalTrafficPolicy Local: only nodes with an endpoint are candidates."""
    manifest = service("local", THIRD)
    manifest["spec"]["externalTrafficPolicy"] = "Local"
    story.lab.apply(json.dumps(manifest))
    story.address_of("local", THIRD)
    with_pods = {pod.node for pod in story.lab.pods if pod.app == APP}
    wait_for(lambda: story.lab.speaker_of(THIRD) in with_pods, SOON, f"a node with a pod answers for {THIRD}")
    story.lab.kubectl("delete", "service", "local")
    story.silence(THIRD)
    wait_for(lambda: story.statuses("local") == [], SOON, "nor is there a status")
