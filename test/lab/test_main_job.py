# SPDX-License-Identifier: Apache-2.0
"""The main job, end to end: a Service gets its address and the segment finds it.

One story in one lab, told from top to bottom: each test goes on where the one before stopped. The judges are kubectl,
curl, arping, the client's kernel, the audit log, and the election as it is written down in election.py.
"""
import json
import re

import pytest
from processes import wait_for
from story import ADDRESS, ANNOTATION, FIRST_FREE, MANIFEST, POOL, SERVICE, SOON, Story, pool, service


@pytest.fixture(scope="module")
def story(stentor_lab):
    made = Story(stentor_lab)
    made.set_up()
    made.apply_manifest()
    return made


def test_the_manifest_gets_the_address_it_asks_for(story):
    assert story.address_of(SERVICE, ADDRESS) == ADDRESS
    metadata = story.lab.get("service", SERVICE)["metadata"]
    assert metadata["annotations"][ANNOTATION] == POOL


def test_an_event_tells_of_the_address(story):
    events = story.allocation_event(SERVICE, ADDRESS)
    assert [(event["type"], event["source"]) for event in events] == [("Normal", "metallb-controller")]


def test_the_client_gets_a_page_from_a_pod(story):
    pods = {f"pod={pod.name} node={pod.node}" for pod in story.lab.pods}
    assert story.page(ADDRESS) in pods


def test_one_node_answers_and_it_is_the_elected_one(story):
    mac = story.speaker_is(ADDRESS, story.order[0])
    assert story.lab.poller.arping(ADDRESS, count=3, timeout=4) == [mac], "one MAC, each time"


def test_the_clients_kernel_believes_the_same(story):
    story.lab.client.forget(ADDRESS)
    assert story.page(ADDRESS)
    assert story.lab.client.neighbour(ADDRESS) == story.lab.nodes[story.order[0]].mac


def test_a_service_that_asks_for_nothing_gets_the_first_free_address(story):
    story.lab.apply(json.dumps(service("second")))
    assert story.address_of("second") == FIRST_FREE
    assert story.page(FIRST_FREE)


def test_what_others_wrote_into_a_service_stays(story):
    """Labels, annotations, finalizers, owners and foreign status, as JSON before and after our status write."""
    lab = story.lab
    lab.stentor.stop_controller()
    lab.kubectl("create", "configmap", "owner")
    owner = lab.get("configmap", "owner")["metadata"]["uid"]
    lab.apply(json.dumps(service(
        "carried", labels={"team": "blue", "empty": ""}, finalizers=["example.com/keep"],
        annotations={"example.com/note": "ünïcode \"quoted\" \\ back", "example.com/empty": ""},
        ownerReferences=[{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner}])))
    condition = {"type": "example.com/Checked", "status": "True", "reason": "Because", "message": "by somebody else",
                 "lastTransitionTime": "2024-01-01T00:00:00Z"}
    lab.kubectl("patch", "service", "carried", "--subresource=status", "--type=merge",
                "-p", json.dumps({"status": {"conditions": [condition]}}))
    before = lab.get("service", "carried")
    try:
        lab.start_controller()
        story.address_of("carried")
        after = lab.get("service", "carried")
        assert after["metadata"]["annotations"].pop(ANNOTATION) == POOL
        assert after["status"].pop("loadBalancer")["ingress"]
        before["status"].pop("loadBalancer")
        for ours in ("resourceVersion", "managedFields"):
            before["metadata"].pop(ours, None), after["metadata"].pop(ours, None)
        assert after == before
        assert len(story.status_writes("carried")) == 1
    finally:
        lab.kubectl("patch", "service", "carried", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
        story.delete("carried")


def test_the_announcing_node_dies_and_the_next_candidate_answers(story):
    first, second = story.order[:2]
    with story.lab.open_loop(ADDRESS) as client:
        client.wait_steady()
        moment = story.lab.kill_node(first)
        try:
            _, _, text = client.gap(moment)
            assert f"node={first}" not in text
            story.speaker_is(ADDRESS, second)
            assert story.page(ADDRESS)
            assert story.lab.client.neighbour(ADDRESS) == story.lab.nodes[second].mac
        finally:
            story.lab.revive_node(first)
        # The election knows no history: who came first does so again.
        story.speaker_is(ADDRESS, first)
        assert story.page(ADDRESS)


def test_a_restarted_controller_touches_nothing(story):
    before = story.versions()
    assert before[SERVICE][1] == [ADDRESS]
    story.restart_controller()
    story.lab.apply(json.dumps(service("after-restart")))
    new = story.address_of("after-restart")  # it works again, so it has seen all the others
    assert new not in [address for _, addresses in before.values() for address in addresses]
    after = story.versions()
    after.pop("after-restart")
    assert after == before


# A pool that cannot be, and what MetalLB says about it. No webhook is registered: the schema alone refuses these.
REFUSED_POOLS = {
    "no-such-address": ("192.168.122.300-192.168.122.310", "invalid CIDR: invalid IP range: invalid start IP"),
    "end-before-start": (
        "192.168.122.210-192.168.122.201", "invalid CIDR: invalid IP range: start IP is after the end IP"),
}


@pytest.mark.parametrize("name", REFUSED_POOLS)
def test_a_pool_that_cannot_be_is_not_even_stored(story, name):
    addresses, words = REFUSED_POOLS[name]
    with pytest.raises(RuntimeError, match=re.escape(words)):
        story.lab.apply(json.dumps(pool(name, addresses)))
    assert name not in story.lab.kubectl("get", "ipaddresspools", "-n", "metallb-system", "-o", "name")


def test_a_bad_set_of_pools_is_told_of_and_what_worked_goes_on(story):
    """One pool is fine, and so is the other. Who says no to both together is, without a webhook, the controller."""
    name = "overlap"
    words = f'CIDR "192.168.122.116/30" in pool "{name}" overlaps with already defined CIDR "192.168.122.112/29"'
    log = story.lab.stentor.log("controller")
    story.lab.apply(json.dumps(pool(name, "192.168.122.116-192.168.122.125")))
    try:
        wait_for(lambda: [line for line in log.containing(words) if line["event"] == "configStale"], SOON,
                 f"the controller's log says: {words}")

        def state():
            return story.lab.get("configurationstate", "controller", "-n", "metallb-system")["status"]
        wait_for(lambda: state()["result"] == "Invalid", SOON, "its ConfigurationState is Invalid")
        assert words in state()["errorSummary"]
        story.speaker_is(ADDRESS, story.order[0])
        assert story.page(ADDRESS)
        story.lab.apply(json.dumps(service(f"beside-{name}")))
        assert story.address_of(f"beside-{name}")
    finally:
        story.lab.kubectl("delete", "ipaddresspool", name, "-n", "metallb-system")
        story.lab.kubectl("delete", "service", f"beside-{name}", "--ignore-not-found")
    wait_for(lambda: state()["result"] == "Valid" and not state().get("errorSummary"), SOON, "it is Valid again")


def test_a_deleted_service_falls_silent_and_its_address_is_free(story):
    story.delete(SERVICE)
    story.silence(ADDRESS)
    story.lab.apply(json.dumps(service("heir", ADDRESS)))
    assert story.address_of("heir", ADDRESS) == ADDRESS
    story.speaker_is(ADDRESS, story.order[0])
    assert story.page(ADDRESS)


def test_each_assignment_was_one_write(story):
    names = {entry["name"] for entry in story.lab.control_plane.audit(resource="services", subresource="status")}
    assert {SERVICE, "second", "heir"} <= names
    assert {name: len(story.status_writes(name)) for name in names} == {name: 1 for name in names}


def test_nobody_was_refused_anything(story):
    """What the programs asked of the API server, the shipped RBAC grants."""
    refused = [entry for entry in story.lab.control_plane.audit() if entry["code"] == 403]
    assert refused == []


def test_the_manifest_is_the_one_that_metallb_users_have():
    """Nobody's manifest changes: no name of ours is in it."""
    assert not re.search("stentor", MANIFEST.read_text(), re.IGNORECASE)
