# SPDX-License-Identifier: Apache-2.0
"""MetalLB itself serves a cluster and is replaced by Stentor, in each of the ways of docs/install.md and docs/migration.md,
and comes back: no Service changes its address or its node, no pool is lost, and no address is long without an answer."""
import json
import time

import election
import images
import metallb
import pytest
from asking import Record, answering, longest_silence
from install_page import InstallPage
from installation import REPOSITORY, ROLLOUT, Installation, refusal, web
from prerequisites import need
from processes import wait_for
from stentor import NAMESPACE
from story import pool, service

POOLS = ["192.168.122.110-192.168.122.139", "2001:db8:122::110-2001:db8:122::139"]
RESERVED = "192.168.122.150"
RATE = 20  # new connections a second
# What MetalLB itself takes until others answer for a node whose speaker was killed, on a busy machine; 0.3 s were seen, and two
# connections lost.
FAIL_OVER = 10
# Speakers of both makes beside each other: nobody is to be missed.
NO_GAP = 1.5


def balanced(name, annotations=None, **spec):
    one = service(name, annotations=annotations or {})
    one["spec"] |= spec
    return one


def port(number, protocol):
    return {"ports": [{"port": number, "targetPort": 80, "protocol": protocol}]}


# The first one goes again: an allocation in the order of names would not give those of the others once more.
SERVICES = [balanced("first"), balanced("a-web"), balanced("asked-for", {"metallb.io/loadBalancerIPs": "192.168.122.133"}),
            balanced("both", ipFamilyPolicy="RequireDualStack"),
            balanced("v6", ipFamilies=["IPv6"], ipFamilyPolicy="SingleStack"),
            balanced("of-a-pool", {"metallb.io/address-pool": "reserved"}),
            balanced("dns-tcp", {"metallb.io/allow-shared-ip": "dns"}, **port(53, "TCP")),
            balanced("dns-udp", {"metallb.io/allow-shared-ip": "dns"}, **port(53, "UDP"))]


class World:
    """A cluster that MetalLB serves."""

    def __init__(self, cluster, folder, way):
        self.cluster, self._folder, self._pages = cluster, folder, 0
        self.metallb = Installation(cluster, way, metallb.chart(), metallb.manifests())
        # As a cluster's nodes pull them.
        for component in ("controller", "speaker"):
            name = metallb.image(component)
            cluster.import_image(images.write_archive(folder / f"{component}.tar", (name,), metallb.program(component),
                                                      {name: ()}))

    def set_up(self):
        values = ["--set=frrk8s.enabled=false,speaker.frr.enabled=false"] if self.metallb.way == "helm" else []
        self.metallb.install(*values)
        reserved = pool("reserved", f"{RESERVED}/32")
        reserved["spec"]["autoAssign"] = False
        for one in (pool("production", *POOLS), reserved,
                    {"apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement",
                     "metadata": {"name": "all", "namespace": NAMESPACE}}):
            self.cluster.apply(json.dumps(one))
        web(self.cluster, list(self.cluster.nodes))
        for one in SERVICES:  # one after the other: MetalLB gives addresses in the order in which it sees Services
            name = one["metadata"]["name"]
            self.cluster.apply(json.dumps(one))
            wait_for(lambda name=name: self.cluster.service_addresses(name), ROLLOUT, f"{name} has an address")
        self.cluster.kubectl("delete", "service", "first")
        self.services, self.pools = self.metallb.services(), self.pool_specs()
        self.addresses = sorted({address for found, _ in self.services.values() for address in found})
        self.wanted = {name: election.candidates(list(self.cluster.nodes), found[0])[:1]
                       for name, (found, _) in self.services.items()}
        self.answered()
        self.named()

    def page(self, name):
        self._pages += 1
        folder = self._folder / f"page-{self._pages}"
        folder.mkdir()
        return InstallPage(self.cluster, folder, REPOSITORY / f"docs/{name}.md")

    def pool_specs(self):
        items = self.cluster.get("ipaddresspools,l2advertisements", "-n", NAMESPACE)["items"]
        return {f"{item['kind']}/{item['metadata']['name']}": item.get("spec") for item in items}

    def _named(self):
        """Service → the nodes that its status objects name."""
        found = {}
        for one in self.cluster.get("servicel2statuses", "-n", NAMESPACE)["items"]:
            found.setdefault(one["metadata"]["labels"]["metallb.io/service-name"], []).append(
                one.get("status", {}).get("node"))
        return found

    def _answering(self):
        """Service → the nodes that answer for its addresses."""
        macs = answering(self.cluster.clients["client-2"], self.addresses)
        return {name: sorted({self.cluster.network.mac_owner(mac) for address in found for mac in macs[address]})
                for name, (found, _) in self.services.items()}

    def answered(self):
        """The node of the election, and no other, answers for each Service."""
        wait_for(lambda: self._answering() == self.wanted, ROLLOUT, f"these answer for them: {self.wanted}")

    def named(self):
        """And that is what the status objects say."""
        wait_for(lambda: self._named() == self.wanted, ROLLOUT, lambda: f"statuses name {self.wanted}; it is {self._named()}")

    def untouched(self):
        """Nobody has another address, another pool or another node than under MetalLB."""
        assert {name: found for name, found in self.metallb.services().items() if name in self.services} == self.services
        assert self.pool_specs() == self.pools
        self.answered()

    def during(self, what, act, limit=FAIL_OVER):
        """Does something while a host asks for all addresses, and another one opens connections to one of them: no address is
        without an answer for so many seconds, nor are more connections lost than are opened meanwhile."""
        asked_for = self.services["asked-for"][0][0]
        with (Record(self.cluster.clients["client-2"], self.addresses, 0.05) as record,
              self.cluster.open_loop(asked_for, rate=RATE) as opened):
            opened.wait_steady()
            begin = time.monotonic()
            act()
            end = time.monotonic()
            opened.wait_good_after(end)
            heard, answers = record.end(), [one for one in opened.answers() if one[0] > begin]
        silence = max(longest_silence((one for one in heard.get(address, ()) if one.kind == "reply"), begin, end)
                      for address in self.addresses)
        lost = [one for one in answers if not one[2]]
        print(f"{what}: {end - begin:.1f} s; the longest silence of an address {silence:.2f} s; "
              f"{len(lost)} of {len(answers)} new connections lost")
        assert silence < limit and len(lost) < limit * RATE

    def back(self, act):
        def whole():
            act()
            self.metallb.wait_settled()
        self.during("back to MetalLB", whole)
        assert {pod["spec"]["containers"][0]["image"] for pod in self.metallb.pods()} == {
            metallb.image("controller"), metallb.image("speaker")}
        self.untouched()
        self.page("migration").run("kubectl delete servicel2statuses", kind="back")
        wait_for(lambda: self._named() and all(self.wanted[name] == nodes for name, nodes in self._named().items()), ROLLOUT,
                 lambda: f"no status names a wrong node; they are {self._named()}")


def replaced(world, stentor):
    """Stentor serves the cluster, and nobody noticed; and it does all that it does elsewhere."""
    cluster = world.cluster
    stentor.wait_settled()
    world.untouched()
    world.named()
    # Whoever comes next gets none of the addresses that are in use, and what is given back can be had.
    cluster.apply(json.dumps(service("new")))
    wait_for(lambda: cluster.service_addresses("new"), ROLLOUT, "the new Service has an address")
    assert cluster.service_addresses("new")[0] not in world.addresses
    assert wait_for(lambda: cluster.client.curl(cluster.service_addresses("new")[0]), ROLLOUT, "a page")
    cluster.kubectl("delete", "service", "new")
    # The webhooks are ours now, whoever registered them: good pools are accepted, bad ones refused.
    cluster.kubectl("annotate", "ipaddresspool", "reserved", "-n", NAMESPACE, "--overwrite", f"touched={time.time()}")
    assert "overlaps with already defined CIDR" in refusal(cluster, pool("bad", f"{RESERVED}/32"))
    peer = {"myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.1", "vrf": "red"}
    cluster.apply(json.dumps({"apiVersion": "metallb.io/v1beta2", "kind": "BGPPeer", "spec": peer,
                              "metadata": {"name": "router", "namespace": NAMESPACE}}))
    assert "vrf" not in cluster.get("bgppeers.v1beta1.metallb.io", "router", "-n", NAMESPACE)["spec"]
    cluster.kubectl("delete", "bgppeer", "router", "-n", NAMESPACE)
    assert [(pod, line) for pod, line in stentor.log_lines() if line["level"] == "error"] == []


@pytest.fixture
def world(stentor_cluster, tmp_path, request):
    need(metallb.missing())
    made = World(stentor_cluster, tmp_path, request.param)
    try:
        made.set_up()
        yield made
    finally:
        stentor_cluster.helm("uninstall", "beside", "--namespace", NAMESPACE, "--wait", check=False)
        Installation(stentor_cluster, request.param).remove_everything()


def in_place(world, stentor, way, then=lambda: None):
    """The commands of a block of docs/install.md."""
    def whole():
        world.page("install").run("", kind=way)
        then()
        stentor.wait_settled()
    world.during(way, whole)
    replaced(world, stentor)


@pytest.mark.parametrize("world", ["kubectl"], indirect=True)
def test_manifests_over_its_manifests_and_back(world):
    stentor, kubectl = Installation(world.cluster, "kubectl"), world.cluster.kubectl
    in_place(world, stentor, "metallb-manifests")
    world.back(lambda: world.cluster.apply(metallb.manifests()))
    # Its controller is long gone and the certificate lost: its webhooks trust an authority of which nobody has the key,
    # and refuse every pool.
    kubectl("scale", "deployment/controller", "--replicas=0", "-n", NAMESPACE)
    kubectl("patch", "secret", "metallb-webhook-cert", "-n", NAMESPACE, "--type=merge", "--patch", '{"data": null}')
    wait_for(lambda: "failed calling webhook" in refusal(world.cluster, pool("any", "192.0.2.1/32")), ROLLOUT,
             "nobody answers the webhooks")
    in_place(world, stentor, "metallb-images",
             lambda: kubectl("scale", "deployment/controller", "--replicas=1", "-n", NAMESPACE))


@pytest.mark.parametrize("world", ["helm"], indirect=True)
def test_release_beside_it_in_its_place_and_back(world):
    """Speakers of another release answer from before the first pod of MetalLB goes until after the last one of ours
    came: nobody waits for an answer. And the release goes back to what it was; then it is uninstalled."""
    stentor, page = Installation(world.cluster, "helm"), world.page("migration")
    page.run("helm install", kind="beside")
    world.untouched()

    def beside():
        page.run("helm upgrade", kind="beside")
        page.run("helm uninstall", kind="beside")
    world.during("beside it and in its place", beside, limit=NO_GAP)
    replaced(world, stentor)
    world.back(lambda: page.run("helm rollback", kind="back"))
    install = world.page("install")
    install.run("", kind="metallb-helm-uninstall")
    replaced(world, stentor)
    # What was run beside the other release is what install.md says without it.
    [upgrade] = [text for kind, text in install.blocks() if kind == "metallb-helm"]
    assert ("beside", upgrade) in page.blocks()
