# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/upgrade.md, docs/hardening.md and docs/troubleshooting.md, as they stand, beside a Service that works:
each of them can be run, and says what its page says that it says."""
import json
import subprocess

import pytest
from install_page import InstallPage
from installation import REPOSITORY, ROLLOUT, Installation, complaint
from processes import wait_for
from stentor import NAMESPACE
from story import service

SERVICE, WANTED, WANTED_6 = "hello", "192.168.122.110", "2001:db8:122::110"
NAMES = {"NAMESPACE": "default", "SERVICE": SERVICE, "ADDRESS": WANTED}
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
POOL = [{"apiVersion": "metallb.io/v1beta1", "kind": kind, "metadata": {"name": "first-pool", "namespace": NAMESPACE},
         "spec": spec} for kind, spec in (
             ("IPAddressPool", {"addresses": ["192.168.122.110-192.168.122.119", "2001:db8:122::110/124"]}),
             ("L2Advertisement", {"ipAddressPools": ["first-pool"]}))]


class World:
    """The cluster with Stentor, a pool and one Service of both families; and the pages."""

    def __init__(self, cluster, folder):
        self.cluster = cluster
        self.installation = Installation(cluster, "helm")
        self._folder, self._number = folder, 0

    def set_up(self):
        self.installation.install()
        for one in POOL:
            self.cluster.apply(json.dumps(one))
        self.cluster.add_web(SERVICE, replicas=3)
        wanted = service(SERVICE)
        wanted["spec"] |= {"selector": {"app": SERVICE}, "ipFamilyPolicy": "RequireDualStack"}
        self.cluster.apply(json.dumps(wanted))
        wait_for(lambda: len(self.cluster.service_addresses(SERVICE)) == 2, ROLLOUT, "the Service has its addresses")
        wait_for(self.node, ROLLOUT, "it is announced")

    def node(self):
        """The node that announces the Service, as its status says."""
        found = {one["status"]["node"] for one in self.cluster.get("servicel2statuses", "-n", NAMESPACE)["items"]
                 if one.get("status", {}).get("serviceName") == SERVICE}
        return found.pop() if len(found) == 1 else None

    def page(self, name):
        self._number += 1
        folder = self._folder / f"{self._number}-{name}"
        folder.mkdir()
        return InstallPage(self.cluster, folder, REPOSITORY / f"docs/{name}.md", NAMES | {"NODE": self.node()})


@pytest.fixture(scope="module")
def world(stentor_cluster, tmp_path_factory):
    made = World(stentor_cluster, tmp_path_factory.mktemp("pages"))
    try:
        made.set_up()
        yield made
    finally:
        made.installation.remove_everything()
        stentor_cluster.kubectl("delete", "service,deployment", SERVICE, "--ignore-not-found")
        stentor_cluster.kubectl("delete", "quota", "loadbalancers", "--ignore-not-found")


def test_troubleshooting(world):
    page = world.page("troubleshooting")
    said = {}
    for kind, text in page.blocks():
        said[text] = page.run_block(kind, text)

    def of(beginning):
        [found] = [output for text, output in said.items() if beginning in text]
        return found
    assert "Valid" in of("kubectl get ipaddresspools,l2advertisements,configurationstates,servicel2statuses --namespace metallb-system\n")
    assert WANTED in of("kubectl describe service")
    assert '"event":"ipAllocated"' in of("component=controller --prefix --tail 1000")
    assert "Received 3 response(s)" in of("arping -c 3")
    assert 'stentor_speaker_services{reason="announced"} 1' in of("metrics")
    assert WANTED in of("iptables-save"), "each node has a rule for the address"
    assert of('curl --silent --show-error --max-time 5').strip() == "200"
    assert len(of("uniq --count").splitlines()) == 1, "one MAC answers"
    assert "no answer" not in of("ndisc6")
    assert world.cluster.client.curl(WANTED_6), "the way that is announced by NDP leads to a pod"


def test_hardening(world):
    page = world.page("hardening")
    said = [page.run_block(kind, text) for kind, text in page.blocks()]
    [rights] = [one for one in said if "servicel2statuses" in one]
    assert rights.splitlines()[-2:] == ["no", "no"], "neither account reads the key"
    assert world.cluster.get("networkpolicies", "-n", NAMESPACE)["items"]
    world.installation.wait_settled()


def test_upgrading(world):
    """All blocks but those of the end, from the backup to the maintenance of the node that announces."""
    page, before = world.page("upgrade"), world.installation.services()
    announcing = world.node()
    for kind, text in page.blocks():
        if kind:
            continue
        page.run_block(kind, text)
        if "kubectl drain" in text:
            wait_for(lambda: world.node() not in (None, announcing), ROLLOUT, "another node announces")
        if "kubectl uncordon" in text:
            wait_for(lambda: world.node() == announcing, ROLLOUT, "the node has it back")
    assert world.installation.services() == before
    assert "first-pool" in (page.place / "pools-backup.yaml").read_text()
    assert complaint(world.cluster, "apply", "--dry-run=server", "-f", str(page.place / "pools-backup.yaml")) == ""
    assert all(EXCLUDED not in node["metadata"]["labels"] for node in world.cluster.get("nodes")["items"])


def test_every_event_is_in_the_reference(world, tmp_path):
    seen = tmp_path / "events.json"
    seen.write_text(world.cluster.kubectl("get", "events", "--all-namespaces", "-o", "json"))
    assert '"nodeAssigned"' in seen.read_text()
    done = subprocess.run([REPOSITORY / "docs/generate-events", "--against", seen], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_uninstalling(world):
    """The last blocks of the page: nothing of Stentor is left, and the Service is as if it had never been there."""
    page = world.page("upgrade")
    for kind, text in page.blocks():
        if kind == "uninstall":
            page.run_block(kind, text)
    wait_for(lambda: "metallb" not in world.cluster.kubectl("get", "namespaces,crds", "-o", "name"), ROLLOUT, "all is gone")
    left = world.cluster.get("service", SERVICE)
    assert left["status"]["loadBalancer"] == {}
    assert "metallb.io/ip-allocated-from-pool" not in left["metadata"].get("annotations", {})
