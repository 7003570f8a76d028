# SPDX-License-Identifier: Apache-2.0
"""The main job with kube-proxy in nftables mode; all other tests of this folder run with iptables."""
import pytest
from installation import ROLLOUT, ClusterStory, Installation
from processes import wait_for
from stentor import NAMESPACE
from story import ADDRESS, SERVICE


@pytest.fixture(scope="module")
def story(stentor_nftables_cluster):
    installation = Installation(stentor_nftables_cluster, "helm")
    made = ClusterStory(stentor_nftables_cluster, installation)
    made.set_up()
    made.apply_manifest()
    return made


def test_a_host_outside_the_nodes_gets_a_page(story):
    assert story.address_of(SERVICE, ADDRESS) == ADDRESS
    story.speaker_is(ADDRESS, story.order[0])
    assert story.page(ADDRESS)


def test_the_page_is_served_by_the_successor_as_well(story):
    [pod] = story.installation.pods("speaker", node=story.order[0])
    story.lab.kubectl("delete", "pod", pod["metadata"]["name"], "-n", NAMESPACE, "--wait=false")
    wait_for(lambda: story.lab.speaker_of(ADDRESS) == story.order[1], ROLLOUT, f"{story.order[1]} takes over", every=0)
    story.lab.client.forget(ADDRESS)
    assert story.page(ADDRESS)
