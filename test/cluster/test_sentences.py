# SPDX-License-Identifier: Apache-2.0
"""Sentences of docs/layer2.md, docs/concepts.md and docs/install.md, each proved on a real cluster, for both families and
both traffic policies. The docstring of a test has the sentence, word by word: where the page says something else, it fails.

One installation. The application runs on two of three nodes, and the election prefers the third for every address: so
`externalTrafficPolicy` decides who announces.
"""
import dataclasses
import json
import re

import election
import pytest
from clients import Client
from installation import REPOSITORY, ROLLOUT, Installation, web
from layer2 import advertisement
from processes import wait_for
from stentor import NAMESPACE
from story import APP, pool, service

EMPTY, *WITH_PODS = NODES = ["node-1", "node-2", "node-3"]
EXCLUDE = "node.kubernetes.io/exclude-from-external-load-balancers"
PREFIX = {"IPv4": "192.168.122.", "IPv6": "2001:db8:122::"}


def preferring(node, family):
    """Addresses for which the election prefers a node, the lowest first."""
    return (address for address in (f"{PREFIX[family]}{number}" for number in range(130, 250))
            if election.candidates(NODES, address)[0] == node)


FREE = {family: preferring(EMPTY, family) for family in PREFIX}


@dataclasses.dataclass(frozen=True)
class Case:
    """A Service with an address, a pool and an L2Advertisement of its own, all of them with one name."""
    family: str
    policy: str
    name: str
    address: str

    @property
    def order(self):
        """The nodes that may announce it, the best first."""
        candidates = NODES if self.policy == "Cluster" else WITH_PODS
        return election.candidates(candidates, self.address)

    @property
    def index(self):
        return list(PREFIX).index(self.family)

    def pool(self):
        return pool(self.name, f"{self.address}/{(32, 128)[self.index]}")

    def service(self):
        body = service(self.name, annotations={"metallb.io/address-pool": self.name})
        body["spec"] |= {"ipFamilyPolicy": "SingleStack", "ipFamilies": [self.family],
                         "externalTrafficPolicy": self.policy}
        return body


def case_of(family, policy, name=""):
    return Case(family, policy, f"{name}{family}-{policy}".lower(), next(FREE[family]))


CASES = [case_of(family, policy) for family in PREFIX for policy in ("Cluster", "Local")]


class World:
    def __init__(self, cluster):
        self.cluster, self.kubectl, self.installation = cluster, cluster.kubectl, Installation(cluster, "helm")

    def set_up(self):
        self.installation.install()
        self.apply(*(one for case in CASES for one in (case.pool(), advertisement(case.name, [case.name]))))
        self.apply(*(case.service() for case in CASES))
        web(self.cluster, WITH_PODS)

    def apply(self, *manifests):
        self.cluster.apply("\n---\n".join(map(json.dumps, manifests)))

    def patch(self, kind, name, spec, namespace="default"):
        self.kubectl("patch", kind, name, "-n", namespace, "--type=merge", "--patch", json.dumps({"spec": spec}))

    def speakers(self, case):
        """The machines that answer for its address."""
        return {self.cluster.network.mac_owner(mac) for mac in self.cluster.poller.who_has(case.address)}

    def spoken_for_by(self, case, node):
        """It answers, and no other."""
        wait_for(lambda: self.speakers(case) == {node}, ROLLOUT,
                 lambda: f"{node} answers for {case.address}; these do: {self.speakers(case)}")

    def silent(self, case):
        """Nobody answers, three times in a row: one answer may get lost."""
        wait_for(lambda: all(self.speakers(case) == set() for _ in range(3)), ROLLOUT,
                 lambda: f"nobody answers for {case.address}; these do: {self.speakers(case)}")

    def page(self, case, path="/hostname"):
        return wait_for(lambda: self.cluster.client.curl(case.address, path=path), ROLLOUT, f"a page from {case.address}")

    def has_address(self, case):
        wait_for(lambda: self.cluster.service_addresses(case.name) == [case.address], ROLLOUT,
                 f"{case.name} gets {case.address}")

    def exclude(self, node):
        self.kubectl("label", "node", node, f"{EXCLUDE}=")

    def include(self, node):
        self.kubectl("label", "node", node, f"{EXCLUDE}-")

    def logged(self, node, event, case):
        [pod] = self.installation.pods("speaker", node=node)
        lines = map(json.loads, self.kubectl("logs", pod["metadata"]["name"], "-n", NAMESPACE).splitlines())
        return [line for line in lines if line.get("event") == event and line.get("service") == f"default/{case.name}"]


@pytest.fixture(scope="module")
def world(stentor_cluster):
    made = World(stentor_cluster)
    try:
        made.set_up()
        yield made
    finally:
        made.installation.remove_everything()


def as_it_was(world, cases):
    for case in cases:
        world.spoken_for_by(case, case.order[0])
        assert world.page(case)


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request, world):
    """Announced by the node that the election prefers, whatever the test before did to it."""
    as_it_was(world, [request.param])
    return request.param


@pytest.fixture
def cases(world):
    """All of them, likewise; and after the test as well: what is done to a node or a workload is done to all."""
    as_it_was(world, CASES)
    yield CASES
    as_it_was(world, CASES)


@pytest.fixture(autouse=True)
def the_pages_say_so(request):
    quotes = re.findall(r"(\w+\.md): (.*?)(?=\n\n|$)", re.sub(r"\n +", "\n", request.function.__doc__), re.DOTALL)
    assert quotes
    for page, sentence in quotes:
        assert " ".join(sentence.split()) in " ".join((REPOSITORY / "docs" / page).read_text().split())


def test_who_announces(world, case):
    """layer2.md: with `externalTrafficPolicy: Local` only those with an endpoint that can serve.

    layer2.md: `kubectl get servicel2statuses -n metallb-system` says who announces what; an event `nodeAssigned` of the Service, when it changes.
    """
    world.spoken_for_by(case, EMPTY if case.policy == "Cluster" else case.order[0])

    def said():
        return {one["status"]["node"] for one in world.cluster.get("servicel2statuses", "-n", NAMESPACE)["items"]
                if one.get("status", {}).get("serviceName") == case.name}
    wait_for(lambda: said() == {case.order[0]}, ROLLOUT, lambda: f"the status names {case.order[0]}; it names {said()}")
    wait_for(lambda: any(f'"{case.order[0]}"' in event["message"]
                         for event in world.cluster.events(case.name, "nodeAssigned")), ROLLOUT, "an event says so")


def test_whom_the_pod_sees(world, case):
    """concepts.md: With `externalTrafficPolicy: Cluster` the pod may be on another node; it sees the address of the announcing node as its
    client. With `Local` only nodes that have a pod can win, and the pod sees the client's own address.
    """
    client = world.cluster.clients["client"] if case.policy == "Local" else world.cluster.nodes[EMPTY].host
    seen = world.page(case, path="/clientip").rpartition(":")[0].strip("[]")
    assert seen == client.addresses[case.index]


def test_the_announcing_node_does_not_hear_itself(world, case):
    """concepts.md: From the announcing node itself no ARP request gets an answer, for a host does not hear itself."""
    here, there = (Client(world.cluster.nodes[node].host) for node in case.order[:2])
    wait_for(lambda: there.who_has(case.address) == [here.host.mac], ROLLOUT, "the other node hears it")
    assert here.who_has(case.address) == []


def test_a_drained_node(world, case):
    """concepts.md: The label `node.kubernetes.io/exclude-from-external-load-balancers` takes it out.

    concepts.md: So when a node comes back, the addresses that it had come back to it as well
    """
    first, second = case.order[:2]
    try:
        world.exclude(first)
        world.spoken_for_by(case, second)
        assert world.page(case)
    finally:
        world.include(first)
    world.spoken_for_by(case, first)


def test_an_address_that_stays(world, case):
    """layer2.md: the Service stays on its node for as long as that node can announce it, whoever else could.

    layer2.md: To move one by hand, drain its node for a moment (`node.kubernetes.io/exclude-from-external-load-balancers`), or set the annotation to `immediately` and back.
    """
    def go_back(when):
        world.kubectl("annotate", "l2advertisement", case.name, "-n", NAMESPACE, "--overwrite",
                      f"stentor.io/fail-back={when}")
    first, second = case.order[:2]
    try:
        go_back("never")
        try:
            world.exclude(first)
            world.spoken_for_by(case, second)
        finally:
            world.include(first)
        wait_for(lambda: world.logged(second, "serviceStays", case), ROLLOUT, f"{second} keeps it though {first} is there")
        world.spoken_for_by(case, second)
        assert world.page(case)
    finally:
        go_back("immediately")
    world.spoken_for_by(case, first)


def test_without_an_endpoint(world, case):
    """layer2.md: a Service that is deleted, has lost its address or its last endpoint is silent at once"""
    try:
        world.patch("service", case.name, {"selector": {"app": "nobody"}})
        world.silent(case)
    finally:
        world.patch("service", case.name, {"selector": {"app": APP}})


def test_without_the_interface(world, case):
    """layer2.md: A node that wins and has none of the named interfaces announces nothing, and says so (event `announceFailed`)"""
    try:
        world.patch("l2advertisement", case.name, {"interfaces": ["eth7"]}, NAMESPACE)
        world.silent(case)
        wait_for(lambda: world.cluster.events(case.name, "announceFailed"), ROLLOUT, "an event says so")
    finally:
        world.patch("l2advertisement", case.name, {"interfaces": None}, NAMESPACE)


@pytest.mark.parametrize("family", PREFIX)
@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_a_pool_without_an_advertisement(world, family, policy):
    """concepts.md: A pool without an advertisement gives out addresses that nobody answers for."""
    unheard = case_of(family, policy, "unheard-")
    try:
        world.apply(unheard.pool(), unheard.service())
        world.has_address(unheard)
        world.silent(unheard)
        world.apply(advertisement(unheard.name, [unheard.name]))
        world.spoken_for_by(unheard, unheard.order[0])
        world.kubectl("delete", "l2advertisement", unheard.name, "-n", NAMESPACE)
        world.silent(unheard)
        world.has_address(unheard)
    finally:
        world.kubectl("delete", "service", unheard.name, "--ignore-not-found")
        world.kubectl("delete", "ipaddresspool,l2advertisement", unheard.name, "-n", NAMESPACE, "--ignore-not-found")


def test_a_cordoned_node(world, cases):
    """concepts.md: A node that is cordoned stays in the election: its speaker lives."""
    late = [case_of(family, "Cluster", "late-") for family in PREFIX]
    try:
        world.kubectl("cordon", EMPTY)
        for one in late:  # elected after the node was cordoned
            world.apply(one.pool(), advertisement(one.name, [one.name]), one.service())
            world.spoken_for_by(one, EMPTY)
        for case in cases:
            world.spoken_for_by(case, case.order[0])
    finally:
        world.kubectl("uncordon", EMPTY)
        world.kubectl("delete", "service", *(one.name for one in late), "--ignore-not-found")


def test_without_a_controller(world, cases):
    """install.md: while none runs, every address works on, and new Services wait."""
    late = [case_of(family, "Local", "waits-") for family in PREFIX]
    deployment = world.installation.workload("controller")
    world.apply(*(one.pool() for one in late))  # while its webhook is there
    try:
        world.kubectl("scale", deployment, "--replicas=0", "-n", NAMESPACE)
        wait_for(lambda: not world.installation.pods("controller"), ROLLOUT, "no controller runs")
        world.apply(*(one.service() for one in late))
        for case in cases:
            world.spoken_for_by(case, case.order[0])
            assert world.page(case)
        assert [world.cluster.service_addresses(one.name) for one in late] == [[], []]
    finally:
        world.kubectl("scale", deployment, "--replicas=1", "-n", NAMESPACE)
        world.installation.wait_rolled_out()
    for one in late:
        world.has_address(one)
    world.kubectl("delete", "service", *(one.name for one in late))


def test_without_the_api_server(world, cases):
    """concepts.md: Addresses are answered, and fail over, for as long as it takes."""
    cluster = world.cluster
    cluster.control_plane.stop_apiserver()
    try:
        cluster.kill_node(EMPTY)
        for case in cases:
            world.spoken_for_by(case, next(node for node in case.order if node != EMPTY))
            assert world.page(case)
    finally:
        cluster.control_plane.start_apiserver()
        # Kubernetes' own controllers ask again after up to a minute.
        cluster.revive_node(EMPTY, deadline=ROLLOUT)
    world.installation.wait_rolled_out()
