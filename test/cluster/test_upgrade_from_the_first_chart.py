# SPDX-License-Identifier: Apache-2.0
"""`helm upgrade` from the first chart to this one, while Services are in use and pools are changed.

What the first chart installed is kept in manifests/first-chart.yaml: rights, arguments, volumes and webhooks of then, run by
the programs of today. All the while a client opens connections and keeps one open, and the API server is asked to judge
pools by the webhooks. Sentences of docs/upgrade.md are what is judged:

- "new connections are served", "open connections may be reset when their address moves";
- "With several (controller.replicas) the webhooks answer all the time".
"""
import http.client
import json
import re
import subprocess
import threading
import time

import netns
import pytest
from api import ApiError
from control_plane import tools_folder
from installation import CHART, ROLLOUT, ClusterStory, Installation
from processes import wait_for
from stentor import NAMESPACE
from story import ADDRESS, SERVICE, pool
from wire import CLAIMS, Wire

FIRST = CHART.parents[1] / "test/cluster/manifests/first-chart.yaml"
# The annotation stands for the name of a newer image, which would replace the controllers' pods as well: they have the same
# template in both charts.
VALUES = ("--set", "controller.replicas=3,controller.podAnnotations.release=this")
RATE, PATIENCE = 50, 5.0
# A client's kernel may ignore that an address has moved for the first second (arp_locktime); it is told again.
BELIEVED = 3.0

PEER = {"apiVersion": "metallb.io/v1beta2", "kind": "BGPPeer", "metadata": {"name": "router", "namespace": NAMESPACE},
        "spec": {"myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.1", "vrf": "red"}}


def first_chart(folder):
    """The chart that is upgraded. Its kinds are today's, which have changed in nothing but a description since."""
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: stentor\nversion: 0.1.0\nappVersion: v0.1.0\n")
    [today] = re.findall(r"^appVersion: (\S+)$", (CHART / "Chart.yaml").read_text(), re.MULTILINE)
    (folder / "templates/first.yaml").write_text(FIRST.read_text().replace(":v0.1.0", f":{today}"))
    kinds = subprocess.run(
        [tools_folder("helm") / "helm", "template", "metallb", CHART, f"--namespace={NAMESPACE}", "--kube-version=1.34",
         "--show-only=templates/crds.yaml"], capture_output=True, text=True, check=True).stdout
    (folder / "templates/kinds.yaml").write_text(kinds)
    return folder


class Beside:
    """Does something again and again in a thread for as long as it is entered, and notes what came of it."""

    def __init__(self, step, every):
        self._step, self._every, self._ended = step, every, threading.Event()
        self.notes = []  # (start, end, what, complaint or None), moments monotonic
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _run(self):
        while not self._ended.wait(self._every):
            for what, ask in self._step():
                start = time.monotonic()
                try:
                    complaint = ask()
                except Exception as error:  # whatever it was, it is a complaint
                    complaint = repr(error)
                self.notes.append((start, time.monotonic(), what, complaint))

    def complaints(self):
        return [note for note in self.notes if note[3]]


def reviews(cluster):
    """What the webhooks are asked: a good pool, a bad one, and a BGPPeer in the version that it isn't stored in."""
    folder = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}"

    def judge(manifest):
        cluster.api.request("POST", f"{folder}/ipaddresspools?dryRun=All", manifest)

    def good():
        judge(pool("fine", "192.0.2.0/24"))

    def bad():
        try:
            judge(pool("overlapping", f"{ADDRESS}/32"))
        except ApiError as error:
            return None if "denied the request" in str(error) and "overlaps" in str(error) else str(error)
        return "it was accepted"

    def converted():
        cluster.api.get(f"{folder}/bgppeers/router")
    return lambda: (("good", good), ("bad", bad), ("converted", converted))


class KeptOpen:
    """One connection with a request after the other; a new one when it broke."""

    def __init__(self, client):
        self._namespace, self._connection = client.host.namespace, None

    def ask(self):
        try:
            if self._connection is None:
                with netns.entered(self._namespace):
                    self._connection = http.client.HTTPConnection(ADDRESS, timeout=PATIENCE)
                    self._connection.connect()
            self._connection.request("GET", "/hostname")
            answer = self._connection.getresponse()
            answer.read()
            return None if answer.status == 200 else f"status {answer.status}"
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            raise


def moves(wire):
    """The moments (monotonic) at which the address was heard to be at another MAC than before."""
    offset, found, at = time.time() - time.monotonic(), [], None
    for frame in wire.frames(about=ADDRESS):
        if frame.kind in CLAIMS or frame.gratuitous:
            if at not in (None, frame.source):
                found.append(frame.time - offset)
            at = frame.source
    return found


@pytest.fixture(scope="module")
def story(stentor_cluster, tmp_path_factory):
    installation = Installation(stentor_cluster, "helm", first_chart(tmp_path_factory.mktemp("charts") / "first"))
    made = ClusterStory(stentor_cluster, installation)
    try:
        made.set_up()
        made.apply_manifest()
        made.address_of(SERVICE, ADDRESS)
        made.lab.apply(json.dumps(PEER))
        yield made
    finally:
        stentor_cluster.kubectl("delete", "bgppeers", "--all", "-n", NAMESPACE, "--ignore-not-found", check=False)
        installation.remove_everything()


def test_neither_connections_nor_reviews_notice(story, tmp_path):
    lab, installation = story.lab, story.installation
    story.speaker_is(ADDRESS, story.order[0], deadline=ROLLOUT)
    assert story.page(ADDRESS, deadline=ROLLOUT)
    pods, trust = {pod["metadata"]["uid"] for pod in installation.pods()}, installation.webhook_trust()
    installation.chart = CHART
    with (Wire(lab.client.host.namespace, "eth0", tmp_path / "wire.log", "arp") as wire,
          lab.open_loop(ADDRESS, rate=RATE, timeout=PATIENCE) as opened,
          Beside(lambda kept=KeptOpen(lab.client): (("kept open", kept.ask),), every=0.05) as kept,
          Beside(reviews(lab), every=0.1) as reviewed):
        opened.wait_steady()
        begin = time.monotonic()
        installation.upgrade(*VALUES)
        installation.wait_settled()
        story.speaker_is(ADDRESS, story.order[0], deadline=ROLLOUT)
        end = time.monotonic()
        opened.wait_good_after(end + PATIENCE)
        moved, answers = moves(wire), [one for one in opened.answers() if one[0] > begin]

    assert not pods & {pod["metadata"]["uid"] for pod in installation.pods()}, "every pod is a new one"
    assert len(moved) >= 2, "the address went away from its node and came back"
    slowest = {what: max(end - start for start, end, one, _ in reviewed.notes if one == what)
               for what in ("good", "bad", "converted")}
    lost = [one for one in answers if not one[2]]
    print(f"upgraded within {end - begin:.1f} s; {len(reviewed.notes)} reviews, the slowest {slowest}; {len(answers)} new "
          f"connections, {len(lost)} lost; the address moved {len(moved)} times, and the open connection broke "
          f"{len(kept.complaints())} times")

    assert len([one for one in reviewed.notes if one[0] > begin]) > 30
    assert reviewed.complaints() == []
    assert installation.webhook_trust() == trust

    def when_it_moved(start, end):
        return any(start <= moment + BELIEVED and moment <= end for moment in moved)
    assert [one for one in lost if one[1] - one[0] >= PATIENCE] == [], "a new connection without an answer"
    assert [one for one in lost if not when_it_moved(one[0], one[1])] == []
    before = {note: previous for previous, note in zip(kept.notes, kept.notes[1:])}
    assert [note for note in kept.complaints() if not when_it_moved(before.get(note, note)[0], note[1])] == []
    assert len(kept.complaints()) <= len(moved)


def test_the_service_and_the_logs_are_as_ever(story):
    assert story.installation.services()[SERVICE][0] == [ADDRESS]
    assert story.page(ADDRESS)
    assert [(pod, line) for pod, line in story.installation.log_lines() if line["level"] == "error"] == []
    # What is new in this chart works after an upgrade as well.
    wait_for(lambda: story.lab.get("servicel2statuses", "-n", NAMESPACE)["items"], ROLLOUT, "a speaker writes its status")
    assert story.lab.get("poddisruptionbudgets", "-n", NAMESPACE)["items"]
