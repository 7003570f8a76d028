# SPDX-License-Identifier: Apache-2.0
"""Sentences of docs/layer2.md, docs/concepts.md and docs/install.md, each proved on a real cluster, for both families and
both traffic policies. The docstring of a test has the sentence, word by word: where the page says something else, it fails.

One installation, see sentences.py.
"""
import contextlib
import time

import netns
import pytest
import sentences
from clients import Beliefs, Client, OpenLoopClient, open_at_one_of
from foreign import ForeignHost
from installation import ROLLOUT, ContainerProcess
from layer2 import advertisement
from processes import wait_for
from sentences import EMPTY, NODES, POLICIES, PREFIX, WITH_PODS, World, at_once, case_of, every_case
from stentor import NAMESPACE
from story import APP

CASES = every_case()
RATE, PATIENCE = 20, 3.0  # connections a second to each address; of the client: a lost SYN is sent again after one second
LAST = NODES[-1]
SLACK = 0.1  # between two programs that hear of one move, on a busy machine; what is lost is lost for PATIENCE


@pytest.fixture(scope="module")
def world(stentor_cluster):
    made = World(stentor_cluster)
    try:
        made.set_up(CASES)
        yield made
    finally:
        made.installation.remove_everything()


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request, world):
    """Announced by the node that the election prefers, whatever the test before did to it."""
    world.served([request.param])
    return request.param


@pytest.fixture
def cases(world):
    """All of them, likewise; and after the test as well: what is done to a node or a workload is done to all."""
    world.served(CASES)
    yield CASES
    world.served(CASES)


@pytest.fixture(autouse=True)
def the_pages_say_so(request):
    sentences.the_pages_say_so(request.function)


def test_who_announces(world, case):
    """layer2.md: with `externalTrafficPolicy: Local` only those with an endpoint that can serve.

    layer2.md: `kubectl get servicel2statuses -n metallb-system` says who announces what; an event `nodeAssigned` of the
    Service, when it changes.
    """
    world.spoken_for_by(case, EMPTY if case.policy == "Cluster" else case.order[0])

    def said():
        return {one["status"]["node"] for one in world.cluster.get("servicel2statuses", "-n", NAMESPACE)["items"]
                if one.get("status", {}).get("serviceName") == case.name}
    wait_for(lambda: said() == {case.order[0]}, ROLLOUT, lambda: f"the status names {case.order[0]}; it names {said()}")
    world.told(case.name, "nodeAssigned", f'"{case.order[0]}"')


def test_whom_the_pod_sees(world, case):
    """concepts.md: With `externalTrafficPolicy: Cluster` the pod may be on another node; it sees the address of the announcing
    node as its client. With `Local` only nodes that have a pod can win, and the pod sees the client's own address.
    """
    client = world.cluster.clients["client"] if case.policy == "Local" else world.cluster.nodes[EMPTY].host
    seen = world.page(case, path="/clientip").rpartition(":")[0].strip("[]")
    assert seen == client.addresses[case.index]


def test_nothing_answers_a_ping(world, cases):
    """concepts.md: Nothing answers a ping of the address as such: there are rules for the ports of the Service only."""
    client = world.cluster.client
    for own in world.cluster.nodes[EMPTY].host.addresses:
        wait_for(lambda own=own: client.echo(own), ROLLOUT, f"{own} answers, so that the client can ask")
    for case in cases:
        assert world.page(case)
        assert not client.echo(case.address), case


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


@pytest.fixture
def loads(world, cases, tmp_path):
    """Clients that open connections to all addresses all the time, whatever becomes of the last one."""
    host = world.cluster.client.host
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(OpenLoopClient(host, case.address, tmp_path / f"{case.name}.log", rate=RATE,
                                                  timeout=PATIENCE)) for case in cases]


@pytest.fixture
def beliefs(world, tmp_path):
    with Beliefs(world.cluster.client.host, tmp_path / "neighbours.log") as kept:
        yield kept


def test_connections_that_are_opened_meanwhile(world, cases, loads, beliefs):
    """layer2.md: So every question is answered by one of them, and every connection that is *opened* meanwhile is served.

    layer2.md: Log lines: `addressHandedOver` with the MAC of the new node and the time it took
    """
    *firsts, taker = NODES
    former = dict(zip(cases, at_once(world.handed_over, cases)))
    at_once(OpenLoopClient.wait_steady, loads)
    try:
        world.exclude(*firsts)
        at_once(lambda case: world.spoken_for_by(case, taker), cases)
    finally:
        world.include(*firsts)
    world.served(cases)
    for case in cases:
        lines = wait_for(lambda case=case: world.handed_over(case)[len(former[case]):], ROLLOUT, f"{case} is handed over")
        successors = {world.mac(node) for node in NODES if node != case.order[0]}  # they are drained one after the other
        assert all(line["mac"] in successors and line["took"] for line in lines), lines
    names = [world.installation.pods("speaker", node=node)[0]["metadata"]["name"] for node in firsts]
    world.kubectl("delete", "pod", *names, "-n", NAMESPACE)
    world.installation.wait_settled()
    world.served(cases)
    end = time.monotonic()
    at_once(lambda load: load.wait_good_after(end + PATIENCE), loads)
    for case, load in zip(cases, loads):
        changes = beliefs.changes(case.address)
        assert len(changes) >= 2, f"{case} moved there and back: {changes}"
        # What was open when the client's kernel learnt of the move may be reset.
        assert [(start, end) for start, end, ok, _ in load.answers() if not ok
                and not open_at_one_of(changes, start, end, SLACK)] == [], case


def test_an_address_that_stays(world, case):
    """layer2.md: the Service stays on its node for as long as that node can announce it, whoever else could.

    layer2.md: To move one by hand, drain its node for a moment (`node.kubernetes.io/exclude-from-external-load-balancers`), or
    set the annotation to `immediately` and back.
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
        world.told(case.name, "announceFailed")
    finally:
        world.patch("l2advertisement", case.name, {"interfaces": None}, NAMESPACE)


def selecting(*nodes):
    return {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": nodes}]}


@pytest.mark.parametrize("selectors", [{"nodeSelectors": [selecting(LAST)]}, {"preferredNodeSelectors": [
    {"weight": 10, "preference": selecting(LAST)}, {"weight": 9, "preference": selecting(*NODES[:-1])}]}],
    ids=lambda selectors: next(iter(selectors)))
def test_nodes_that_are_selected(world, cases, selectors):
    """layer2.md: candidates are nodes with a living speaker that an L2Advertisement covers

    layer2.md: The best by preference, then by hash, announces all addresses of the Service.
    """
    def each(spec):
        for case in cases:
            world.patch("l2advertisement", case.name, spec, NAMESPACE)
    try:
        each(selectors)
        at_once(lambda case: world.spoken_for_by(case, LAST), cases)
    finally:
        each(dict.fromkeys(selectors))


@pytest.fixture
def further_interfaces(world):
    """Two more on the segment for each node: name → node → MAC. The node's own addresses are not told there."""
    network, found = world.cluster.network, {"virbr7": {}, "lan7": {}}
    try:
        for number, (interface, macs) in enumerate(found.items(), 1):
            for host in network.nodes.values():
                mac = f"52:54:00:00:0{number}:{host.index:02x}"
                network.plug_in(host, interface, mac, f"s-{interface}-{host.index}")
                macs[host.name] = mac
                netns.sysctl(host.namespace, {f"net.ipv4.conf.{interface}.arp_ignore": 1})
        yield found
    finally:
        for interface, macs in found.items():
            for node in macs:
                netns.ip("link", "del", interface, namespace=network.nodes[node].namespace)


def test_an_interface_that_is_excluded(world, cases, further_interfaces):
    """layer2.md: An address is announced on every interface that is up, can broadcast, does ARP, has a MAC, belongs to no bond,
    bridge or VRF, and is not excluded by name (`excludel2.yaml`)
    """
    at_once(lambda case: world.answered_by(case, world.mac(case.order[0]), further_interfaces["lan7"][case.order[0]]), cases)


def test_an_address_on_an_interface(world, cases):
    """layer2.md: an address of a pool is configured on an interface of the node, whose kernel answers for it too"""
    with ForeignHost(Client(world.cluster.nodes[LAST].host)).holding(*(case.address for case in cases)):
        at_once(lambda case: world.answered_by(case, world.mac(case.order[0]), world.mac(LAST)), cases)
        wait_for(lambda: all(any(case.address in event["message"] for event in world.cluster.events(LAST, "addressOnInterface"))
                             for case in cases), ROLLOUT,
                 lambda: f"an event of the Node for each; there are {world.cluster.events(LAST, 'addressOnInterface')}")


@pytest.fixture(scope="module")
def contested(world):
    """Another host had the addresses of Services that were new: its MAC, the Services by what is done about it, and who
    answered for each. It left them when all had been told."""
    policies = {"warn": {}, "strict": {"stentor.io/address-conflicts": "strict"}}
    found = {what: every_case(f"{what}-") for what in policies}
    every = [case for cases in found.values() for case in cases]
    other, client = ForeignHost(world.cluster.poller), world.cluster.client
    with other.holding(*(case.address for case in every)):
        for what, cases in found.items():
            world.apply(*(one for case in cases for one in (
                case.pool(), advertisement(case.name, [case.name], annotations=policies[what]), case.service())))
        for case in every:
            world.told(case.name, "addressConflict", case.address, other.mac)
        at_once(lambda case: wait_for(lambda: world.mac(case.order[0]) in client.all_who_have(case.address), ROLLOUT,
                                      f"{case.order[0]} answers for {case.address}"), found["warn"])
        answered = dict(zip(every, at_once(lambda case: client.all_who_have(case.address), every)))
    return other.mac, found, answered


def test_an_address_that_another_host_has(world, contested):
    """layer2.md: | somebody else has it | it is announced all the same | it is withheld

    layer2.md: event `addressConflict` of the Service
    """
    other, found, answered = contested
    assert {case: answered[case] for case in found["strict"]} == {case: [other] for case in found["strict"]}
    for case in found["warn"]:
        assert set(answered[case]) == {other, world.mac(case.order[0])}, case


@pytest.mark.parametrize("family", PREFIX)
@pytest.mark.parametrize("policy", POLICIES)
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


def test_an_address_that_the_other_host_has_left(world, contested):
    """layer2.md: it is withheld, and probed again after 30 s

    layer2.md: event `addressConflict` of the Service (`addressConflictOver` at its end)

    While the speakers live that know of the conflict: only they can tell of its end.
    """
    _, found, _ = contested
    every = [case for cases in found.values() for case in cases]
    at_once(lambda case: world.spoken_for_by(case, case.order[0], deadline=400), every)
    assert all(at_once(world.page, every))
    for case in found["strict"]:
        world.told(case.name, "addressConflictOver", case.address)


def test_without_the_api_server(world, cases):
    """concepts.md: Addresses are answered, and fail over, for as long as it takes.

    concepts.md: A speaker that is started meanwhile announces what it had saved

    layer2.md: A speaker that is started meanwhile uses what the API server said before
    """
    cluster, heir = world.cluster, WITH_PODS[0]
    [pod] = world.installation.pods("speaker", node=heir)
    cluster.control_plane.stop_apiserver()
    try:
        cluster.kill_node(EMPTY)
        for case in cases:
            world.spoken_for_by(case, heir)
            assert world.page(case)
        speaker = ContainerProcess(pod, "/speaker")
        before = speaker.started()
        speaker.signal()
        wait_for(lambda: ContainerProcess(pod, "/speaker").started() > before, ROLLOUT, "the kubelet starts it again")
        at_once(lambda case: world.spoken_for_by(case, heir), cases)
        assert all(at_once(world.page, cases))
    finally:
        cluster.control_plane.start_apiserver()
        # Kubernetes' own controllers ask again after up to a minute.
        cluster.revive_node(EMPTY, deadline=ROLLOUT)
    world.installation.wait_rolled_out()
    assert '"event":"savedStateUsed"' in world.kubectl("logs", pod["metadata"]["name"], "-n", NAMESPACE)
