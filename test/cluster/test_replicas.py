# SPDX-License-Identifier: Apache-2.0
"""Three replicas of the controller: one leads, all serve the webhooks, and any of them may die."""
import concurrent.futures
import json
import signal
import time

import pytest
from installation import ROLLOUT, ClusterStory, ContainerProcess, Installation, refusal
from processes import wait_for
from stentor import NAMESPACE
from story import ADDRESS, SERVICE, pool, service

REPLICAS = 3
# The Lease lasts 15 s, and who waits for it asks every 2 to 4.4 s. The rest is for a machine that is busy.
LEASE_TIME = 20 + 20


@pytest.fixture(scope="module")
def story(stentor_cluster):
    installation = Installation(stentor_cluster, "helm")
    made = ClusterStory(stentor_cluster, installation)
    try:
        made.set_up("--set", f"controller.replicas={REPLICAS}")
        made.apply_manifest()
        yield made
    finally:
        installation.remove_everything()


@pytest.fixture
def settled(story):
    """All replicas run, and one leads."""
    story.installation.wait_settled()
    names = {pod["metadata"]["name"] for pod in story.installation.pods("controller")}
    wait_for(lambda: story.installation.lease_holder() in names, ROLLOUT, "one of them leads")
    return story


def leader(story):
    holder = story.installation.lease_holder()
    [pod] = [pod for pod in story.installation.pods("controller") if pod["metadata"]["name"] == holder]
    return pod


def refused_by_webhook(lab):
    return "overlaps with already defined CIDR" in refusal(lab, pool("overlapping", f"{ADDRESS}/32"))


def test_each_node_has_a_replica_and_one_of_them_leads(settled):
    pods = settled.installation.pods("controller")
    assert len({pod["spec"]["nodeName"] for pod in pods}) == len(pods) == REPLICAS
    assert settled.address_of(SERVICE, ADDRESS) == ADDRESS


def test_all_of_them_serve_the_webhooks(settled):
    """The API server takes any of them: with one that does not answer, 12 calls would succeed once in 130 times."""
    assert [refusal(settled.lab, pool("fine", "192.0.2.0/24")) for _ in range(12)] == [""] * 12


def delete_at_once(story, pod, then):
    story.lab.kubectl("delete", "pod", pod["metadata"]["name"], "-n", NAMESPACE, "--grace-period=0", "--force")
    then()


def kill(story, pod, then):
    ContainerProcess(pod, "/controller").signal(signal.SIGKILL)
    then()


def stop_for_longer_than_the_lease_lasts(story, pod, then):
    """It does not hear that it has lost the Lease, and believes that it leads when it goes on."""
    process = ContainerProcess(pod, "/controller")
    process.signal(signal.SIGSTOP)
    try:
        then()
        wait_for(lambda: story.installation.lease_holder() != pod["metadata"]["name"], LEASE_TIME, "another one leads")
    finally:
        process.signal(signal.SIGCONT)


ENDS = {"its pod is deleted": delete_at_once, "it is killed": kill, "it is stopped": stop_for_longer_than_the_lease_lasts}


@pytest.mark.parametrize("how", ENDS)
def test_the_next_service_is_served_after_the_leaders_end(settled, how):
    lab, name = settled.lab, f"after-{list(ENDS).index(how)}"
    before, asked = settled.installation.services(), []
    began = time.monotonic()

    def webhooks():
        wait_for(lambda: refused_by_webhook(lab), LEASE_TIME, "a webhook answers")
        print(f"webhooks answer after {time.monotonic() - began:.1f} s")
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        ENDS[how](settled, leader(settled), then=lambda: asked.append(beside.submit(webhooks)))
        lab.apply(json.dumps(service(name)))
        wait_for(lambda: lab.service_addresses(name), LEASE_TIME, f"Service {name} has an address")
        print(f"served after {time.monotonic() - began:.1f} s")
        asked[0].result()
    found = settled.installation.services()
    assert {one: its for one, its in found.items() if one != name} == before
    assert len({address for addresses, _ in found.values() for address in addresses}) == len(found), "no address twice"
    settled.installation.wait_settled()


def test_an_upgrade_of_all_replicas_leaves_addresses_and_webhooks(settled):
    lab, before = settled.lab, settled.installation.services()
    settled.installation.restart("controller")
    assert settled.installation.services() == before
    lab.apply(json.dumps(service("after-the-upgrade")))
    wait_for(lambda: lab.service_addresses("after-the-upgrade"), LEASE_TIME, "a new Service has an address")
    assert refused_by_webhook(lab)
