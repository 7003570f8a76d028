# SPDX-License-Identifier: Apache-2.0
"""Life without the API server: addresses are answered and move for as long as it is away, also by a speaker that was
started anew meanwhile. One lab, told from top to bottom."""
import json
import os
import time

import pytest
from processes import wait_for
from story import ADDRESS, FIRST_FREE, SERVICE, SOON, Story, service

# `STENTOR_OUTAGE=120` makes the outage as long as a slow repair; what happens in it is the same.
OUTAGE = float(os.environ.get("STENTOR_OUTAGE") or 8)
OTHERS = ["192.168.122.112", "192.168.122.113", "192.168.122.114"]


class Outage(Story):
    def state_folder(self, node):
        return self.lab.folder / "state" / node

    def start_speaker(self, node):
        self.state_folder(node).mkdir(parents=True, exist_ok=True)
        self.lab.start_speaker(node, f"--state-dir={self.state_folder(node)}")

    def events(self, node, event):
        return [line for line in self.lab.stentor.log(f"speaker-{node}").lines() if line.get("event") == event]

    def saved(self, node):
        path = self.state_folder(node) / "speaker-state"
        return path.read_text() if path.exists() else ""


@pytest.fixture(scope="module")
def story(stentor_lab):
    made = Outage(stentor_lab)
    made.lab.add_pods("nginx-deployment", made.order[1:])
    made.lab.start_controller()
    for node in made.lab.nodes:
        made.start_speaker(node)
    made.apply_manifest()
    made.speaker_is(made.address_of(SERVICE, ADDRESS), made.order[0])
    for number, address in enumerate(OTHERS):
        made.lab.apply(json.dumps(service(f"other-{number}", address)))
        made.address_of(f"other-{number}", address)
    return made


def test_what_the_api_said_is_on_disk(story):
    for node in story.lab.nodes:
        wait_for(lambda node=node: all(address in story.saved(node) for address in OTHERS), SOON, f"{node} has saved it")
        path = story.state_folder(node) / "speaker-state"
        assert path.stat().st_mode & 0o777 == 0o600
        head = story.saved(node).splitlines()[0].split()
        assert head[:2] == ["stentor-speaker-state", "2"]
        assert story.events(node, "savedStateUsed") == []


def test_a_change_of_endpoints_alone_is_saved(story):
    node = story.order[0]
    slice_of = lambda ready: json.dumps({  # noqa: E731
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "made-by-hand", "labels": {"kubernetes.io/service-name": SERVICE}},
        "endpoints": [{"addresses": ["192.0.2.77"], "nodeName": "node-of-nobody", "conditions": {"ready": ready}}],
        "ports": []})
    saved_slice = lambda: [line for line in story.saved(node).splitlines() if "made-by-hand" in line]  # noqa: E731
    for ready in (True, False):
        story.lab.apply(slice_of(ready))
        word = f'"ready":{json.dumps(ready)}'
        wait_for(lambda word=word: any("node-of-nobody" in line and word in line for line in saved_slice()), SOON,
                 lambda word=word: f"the saved slice has {word}; it is {saved_slice()}")
    story.lab.kubectl("delete", "endpointslice", "made-by-hand")
    wait_for(lambda: not saved_slice(), SOON, "it is not saved any more")


def test_a_state_that_changes_nothing_is_not_written_again(story):
    node = story.order[0]
    before = (story.state_folder(node) / "speaker-state").stat()
    story.lab.kubectl("label", "node", node, "--overwrite", "kubernetes.io/hostname=" + node)  # as it is
    time.sleep(2.5)  # more than twice the time between two writes
    assert (story.state_folder(node) / "speaker-state").stat().st_mtime_ns == before.st_mtime_ns


def test_a_restarted_speaker_announces_while_the_api_server_is_away(story):
    lab, (first, second, third) = story.lab, story.order
    lab.control_plane.stop_apiserver()
    gone = time.monotonic()
    try:
        lab.stentor.kill_speaker(first)
        story.speaker_is(ADDRESS, second)
        story.start_speaker(first)
        used = wait_for(lambda: story.events(first, "savedStateUsed"), SOON, "the saved state is used")
        assert used[0]["level"] == "warn" and used[0]["services"] == "4"
        story.speaker_is(ADDRESS, first)
        assert story.page(ADDRESS)

        # Another node dies: who came back takes part in the elections, with peers from its state.
        lab.kill_node(third)
        for address in [ADDRESS, *OTHERS]:
            wait_for(lambda address=address: lab.speaker_of(address) in (first, second), SOON, f"{address} is answered")
            assert story.page(address)
        time.sleep(max(0.0, OUTAGE - (time.monotonic() - gone)))
        for address in [ADDRESS, *OTHERS]:
            assert story.page(address)
    finally:
        lab.control_plane.start_apiserver()
    wait_for(lambda: story.events(first, "savedStateReplaced"), 2 * SOON, "the API server's word replaces it")
    lab.revive_node(third)


def test_nothing_saved_is_trusted_over_the_api(story):
    """A Service goes while a speaker is down; what the speaker has saved of it is worth nothing once the API speaks."""
    lab, first = story.lab, story.order[0]
    wait_for(lambda: OTHERS[0] in story.saved(first), SOON, "it is saved")
    lab.stentor.kill_speaker(first)
    lab.kubectl("delete", "service", "other-0")
    lab.control_plane.stop_apiserver()
    try:
        story.start_speaker(first)
        wait_for(lambda: len(story.events(first, "savedStateUsed")) == 2, SOON, "the saved state is used again")
    finally:
        lab.control_plane.start_apiserver()
    story.silence(OTHERS[0], deadline=2 * SOON)
    wait_for(lambda: len(story.events(first, "savedStateReplaced")) == 2, 2 * SOON, "nothing of it is left in use")
    story.silence(OTHERS[0])
    wait_for(lambda: OTHERS[0] not in story.saved(first), SOON, "nor on disk")


def test_after_the_outage_a_new_service_is_served(story):
    lab = story.lab
    lab.apply(json.dumps(service("later")))
    assert story.address_of("later", deadline=2 * SOON) == FIRST_FREE
    # Its endpoints are Kubernetes' affair, whose controllers ask again the later the longer nobody answered: after up to
    # 30 s and, by their jitter, as much again.
    wait_for(lambda: lab.ready_endpoints("later"), 90, "Kubernetes has found the pods of the Service")
    assert story.page(FIRST_FREE)


def test_a_state_that_is_not_right_is_left_aside(story):
    lab, first = story.lab, story.order[0]
    lab.stentor.kill_speaker(first)
    path = story.state_folder(first) / "speaker-state"
    path.write_text(path.read_text().replace(ADDRESS, "192.168.122.115"))
    lab.control_plane.stop_apiserver()
    try:
        story.start_speaker(first)
        lines = wait_for(lambda: story.events(first, "savedStateRefused"), SOON, "it says why not")
        assert str(path) in lines[0]["msg"]
        story.speaker_is(ADDRESS, story.order[1])
    finally:
        lab.control_plane.start_apiserver()
    story.speaker_is(ADDRESS, first, deadline=2 * SOON)
    wait_for(lambda: ADDRESS in story.saved(first), SOON, "a good one is written")
