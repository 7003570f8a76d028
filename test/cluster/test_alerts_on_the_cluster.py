# SPDX-License-Identifier: Apache-2.0
"""The chart's alerts about Services that nobody announces, on an installation by that chart: a real Prometheus finds its
pods by the Kubernetes API. What the rules take minutes for takes seconds (../lab/alert_rules.py); ../lab/test_alerting.py
has the other alerts.

Each test goes on where the one before stopped, with nothing firing."""
import json

import alert_rules
import pytest
from installation import ROLLOUT, ClusterStory, Installation
from prerequisites import need
from processes import wait_for
from prometheus import Prometheus
from stentor import NAMESPACE
from story import ADDRESS, SERVICE

EXCLUDE = "node.kubernetes.io/exclude-from-external-load-balancers"
NOWHERE = {"kubernetes.io/hostname": "no-such-node"}


@pytest.fixture(scope="module")
def story(stentor_cluster):
    need(alert_rules.missing())
    installation = Installation(stentor_cluster, "helm")
    made = ClusterStory(stentor_cluster, installation)
    try:
        made.set_up()
        made.apply_manifest()
        made.address_of(SERVICE, ADDRESS)
        yield made
    finally:
        installation.remove_everything()


@pytest.fixture(scope="module")
def prometheus(story, tmp_path_factory):
    with Prometheus(story.lab, NAMESPACE, tmp_path_factory.mktemp("prometheus"), alerting=True) as made:
        wait_for(lambda: made.value("up == 1").keys() == {pod["metadata"]["name"] for pod in story.installation.pods()},
                 ROLLOUT, lambda: f"all are scraped: {made.targets('with-token')}")
        yield made


@pytest.fixture
def calm(story, prometheus):
    """The address is announced, and nothing fires; before the test and after it."""
    def so():
        story.speaker_is(ADDRESS, story.order[0], deadline=ROLLOUT)
        prometheus.is_quiet(ROLLOUT)
    so()
    yield prometheus
    so()


def patch(story, what, spec):
    story.lab.kubectl("patch", *what, "-n", NAMESPACE, "--type=merge", "--patch", json.dumps({"spec": spec}))


def exclude_every_node(story):
    story.lab.kubectl("label", "nodes", "--all", f"{EXCLUDE}=")


def include_every_node(story):
    story.lab.kubectl("label", "nodes", "--all", f"{EXCLUDE}-")


ADVERTISEMENT = ("l2advertisement", "l2adver")


def select_no_node(story):
    patch(story, ADVERTISEMENT, {"nodeSelectors": [{"matchLabels": NOWHERE}]})


def select_every_node(story):
    patch(story, ADVERTISEMENT, {"nodeSelectors": None})


CAUSES = {"every node is excluded by its label": (exclude_every_node, include_every_node),
          "the advertisement selects no node": (select_no_node, select_every_node)}


@pytest.mark.parametrize("cause", CAUSES)
def test_nobody_announces_a_service(story, calm, cause):
    begin, end = CAUSES[cause]
    try:
        begin(story)
        assert calm.fires("StentorNoAnnouncer", deadline=ROLLOUT) == ["Services that nobody announces: 1"]
        story.silence(ADDRESS)
    finally:
        end(story)


def test_no_node_is_chosen_to_run_a_speaker(story, calm):
    """No speaker says that nobody announces the Service, so another alert has to."""
    daemonset = (story.installation.workload("speaker"),)

    def on(nodes):
        patch(story, daemonset, {"template": {"spec": {"nodeSelector": nodes}}})
    try:
        on(NOWHERE)
        # While they end, it may fire for each of them.
        wait_for(lambda: calm.firing() == {"StentorSpeakerMissing": ["No speaker is there"]}, ROLLOUT,
                 lambda: f"it fires for all of them; these do: {calm.firing()}")
        story.silence(ADDRESS)
    finally:
        on({key: None for key in NOWHERE})
