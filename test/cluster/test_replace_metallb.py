# SPDX-License-Identifier: Apache-2.0
"""MetalLB is replaced: no Service changes its address and no pool is lost, in each of the ways that docs/install.md
describes; beside each other and back, as docs/migration.md does. What is replaced has MetalLB's objects and no program:
see metallb_like.py. (Programs of both makes: ../lab/test_side_by_side.py.)"""
import json
import time

import pytest
from asking import Record
from install_page import InstallPage
from installation import RELEASE, REPOSITORY, ROLLOUT, SECURITY, ClusterStory, Installation, refusal, web
from metallb_like import MetallbLike
from processes import wait_for
from stentor import NAMESPACE
from story import ADDRESS, ANNOTATION, MANIFEST, POOL, SERVICE, pool, service

# Addresses that a fresh allocation in the order of names would not give again.
FORMER = {"a-web": "192.168.122.117", "b-web": "192.168.122.113", SERVICE: ADDRESS}
OTHER_POOL, OTHER_ADDRESS = "a-second-pool", "192.168.122.125"


class Former:
    """The cluster while "MetalLB" serves it."""

    def __init__(self, cluster, plain, folder):
        self.cluster, self.like, self._folder = cluster, MetallbLike(plain), folder
        self.plain = plain

    def install(self):
        cluster = self.cluster
        cluster.kubectl("create", "namespace", NAMESPACE)
        cluster.kubectl("label", "namespace", NAMESPACE, *SECURITY)
        self._install("Ignore")  # or the pools could not be made: nobody answers the webhook
        uid = cluster.get("deployment", self.like.controller, "-n", NAMESPACE)["metadata"]["uid"]
        cluster.apply(json.dumps(self.like.secret(uid)))
        cluster.apply(MANIFEST)
        second = {"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
                  "metadata": {"name": OTHER_POOL, "namespace": NAMESPACE},
                  "spec": {"addresses": [f"{OTHER_ADDRESS}/32"], "autoAssign": False}}
        cluster.apply(json.dumps(second))
        self.addresses = {**{name: ([address], POOL) for name, address in FORMER.items()},
                          "other": ([OTHER_ADDRESS], OTHER_POOL)}
        for name, ([address], pool) in self.addresses.items():
            if name != SERVICE:
                cluster.apply(json.dumps(service(name)))
            cluster.kubectl("annotate", "service", name, f"{ANNOTATION}={pool}")
            cluster.kubectl("patch", "service", name, "--subresource=status", "--type=merge", "--patch", json.dumps(
                {"status": {"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}}}))
        self._install("Fail")
        self.pools = self.pool_specs()

    def _install(self, failure_policy):
        if self.plain:
            self.cluster.apply(self.like.manifest(failure_policy))
        else:
            chart = self.like.chart(self._folder, failure_policy)
            self.cluster.helm("upgrade", "--install", RELEASE, chart, "-n", NAMESPACE)

    def pool_specs(self):
        items = self.cluster.get("ipaddresspools,l2advertisements", "-n", NAMESPACE)["items"]
        return {f"{item['kind']}/{item['metadata']['name']}": item["spec"] for item in items}


# Block of the page: are plain manifests replaced?
WAYS = {"metallb-helm": False, "metallb-helm-uninstall": False, "metallb-manifests": True, "metallb-images": True}


@pytest.mark.parametrize("way", WAYS)
def test_nobody_notices(stentor_cluster, tmp_path, way):
    cluster = stentor_cluster
    former = Former(cluster, WAYS[way], tmp_path / "chart")
    installation = Installation(cluster, "kubectl" if WAYS[way] else "helm")
    story = ClusterStory(cluster, installation)
    page = InstallPage(cluster, tmp_path)
    try:
        former.install()
        web(cluster, story.order[1:])
        page.run("", kind=way)
        installation.wait_settled()

        story.speaker_is(ADDRESS, story.order[0], deadline=ROLLOUT)
        assert story.page(ADDRESS)
        assert former.pool_specs() == former.pools
        assert installation.services() == former.addresses
        # Whoever comes next gets none of the addresses that are in use.
        cluster.apply(json.dumps(service("new")))
        assert story.address_of("new", deadline=ROLLOUT) not in FORMER.values()
        assert {name: found for name, found in installation.services().items() if name != "new"} == former.addresses
        # The webhooks are ours now, whoever registered them: good pools are accepted, bad ones refused.
        cluster.kubectl("patch", "ipaddresspool", OTHER_POOL, "-n", NAMESPACE, "--type=merge", "--patch",
                        json.dumps({"spec": {"avoidBuggyIPs": True}}))
        assert "overlaps with already defined CIDR" in refusal(cluster, pool("bad", f"{OTHER_ADDRESS}/32"))
        peer = {"myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.1", "vrf": "red"}
        cluster.apply(json.dumps({"apiVersion": "metallb.io/v1beta2", "kind": "BGPPeer", "spec": peer,
                                  "metadata": {"name": "router", "namespace": NAMESPACE}}))
        assert "vrf" not in cluster.get("bgppeers.v1beta1.metallb.io", "router", "-n", NAMESPACE)["spec"]
        assert [(pod, line) for pod, line in installation.log_lines() if line["level"] == "error"] == []
    finally:
        installation.remove_everything()


def test_beside_it_in_its_place_and_back(stentor_cluster, tmp_path):
    """Speakers of another release answer from before the first pod of MetalLB goes until after the last one of ours
    came: nobody waits for an answer. And the release goes back to what it was."""
    cluster = stentor_cluster
    former, installation = Former(cluster, False, tmp_path / "chart"), Installation(cluster, "helm")
    story, page = ClusterStory(cluster, installation), InstallPage(cluster, tmp_path, REPOSITORY / "docs/migration.md")
    try:
        former.install()
        web(cluster, story.order[1:])
        page.run("helm install", kind="beside")
        for address in FORMER.values():
            wait_for(lambda address=address: cluster.speaker_of(address), ROLLOUT, f"{address} is answered")
        with Record(cluster.clients["client-2"], list(FORMER.values()), 0.05) as record:
            begin = time.monotonic()
            page.run("helm upgrade", kind="beside")
            page.run("helm uninstall", kind="beside")
            end, heard = time.monotonic(), record.end()
        installation.wait_settled()
        for address in FORMER.values():
            moments = [begin, *(one.moment for one in heard[address] if one.kind == "reply"), end]
            assert max(b - a for a, b in zip(moments, moments[1:])) < 1.5, address
        assert former.pool_specs() == former.pools
        assert installation.services() == former.addresses
        assert [(pod, line) for pod, line in installation.log_lines() if line["level"] == "error"] == []

        page.run("helm rollback", kind="back")
        assert former.pool_specs() == former.pools
        assert installation.services() == former.addresses
        assert installation.workload("speaker").endswith(former.like.speaker)
    finally:
        cluster.helm("uninstall", "beside", "--namespace", NAMESPACE, "--wait", check=False)
        installation.remove_everything()
