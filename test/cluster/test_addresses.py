# SPDX-License-Identifier: Apache-2.0
"""Sentences of docs/addresses.md, each proved on a real cluster, for both families and, where an address is announced, both
traffic policies. The docstring of a test has the sentence, word by word: where the page says something else, it fails.

One installation. All Services of a test are made, and judged, at once.
"""
import dataclasses
import json

import pytest
import sentences
from allocation import SHORT, WISHES, Allocation, name_of, of_both, short, wanted
from installation import ROLLOUT, refusal
from layer2 import advertisement
from prerequisites import need
from processes import wait_for
from sentences import NODES, POLICIES, at_once, case_of, every_case, preferring
from stentor import NAMESPACE, bin_folder
from story import ANNOTATION, pool

OUR_CLASS = "example.com/ours"
NOT_FREE, NONE_LEFT, NOT_ALLOWED = "AddressInUse", "NoAvailableAddress", "AddressNotAllowed"


@pytest.fixture(scope="module")
def cluster_with_stentor(stentor_cluster):
    need([] if (bin_folder() / "kubectl-stentor").exists() else ["kubectl-stentor is not built (./dev build)"])
    made = Allocation(stentor_cluster)
    try:
        made.set_up()
        yield made
    finally:
        made.installation.remove_everything()


@pytest.fixture
def world(cluster_with_stentor):
    """Without pools and Services."""
    yield cluster_with_stentor
    cluster_with_stentor.sweep()


@pytest.fixture(autouse=True)
def the_pages_say_so(request):
    sentences.the_pages_say_so(request.function)


def policy_of(case):
    return {"externalTrafficPolicy": case.policy}


def test_a_pool(world):
    """addresses.md: both ends belong to it
    addresses.md: all 256, also .0 and .255
    addresses.md: Of its pool the Service gets the first free address, in the order of `addresses`.
    addresses.md: No address may be in two pools, or twice in one: the webhook refuses it
    addresses.md: the programs' own: pools elsewhere are refused
    """
    world.pools(pool("office", *(f"{short(10, family)}-{short(11, family)}" for family in SHORT),
                     "198.51.100.254/31", "198.51.100.0/31", "2001:db8:7::fe/127", "2001:db8:7::/127"))
    world.get(*((wanted(f"number-{number}", family), [short(last, family)]) for family, order in (
        ("IPv4", (10, 11, 254, 255, 0, 1)), ("IPv6", (10, 11, "fe", "ff", "", 1))) for number, last in enumerate(order)))
    wait_for(lambda: world.cluster.get("ipaddresspool", "office", "-n", NAMESPACE)["status"] == {
        "assignedIPv4": 6, "assignedIPv6": 6, "availableIPv4": 0, "availableIPv6": 0}, ROLLOUT, "none is left")
    for family in SHORT:
        for addresses in ([short(11, family)], [short(20, family), short(20, family)]):
            ranges = (f"{address}-{address}" for address in addresses)
            assert "overlaps with already defined CIDR" in refusal(world.cluster, pool("other", *ranges))
    elsewhere = of_both("elsewhere", 30)
    elsewhere["metadata"]["namespace"] = "default"
    assert "must be created in metallb-system namespace" in refusal(world.cluster, elsewhere)


def test_addresses_that_are_avoided(world):
    """addresses.md: no IPv4 address that ends in .0 or .255 is given out, not even to a Service that asks for it."""
    world.apply({**(body := pool("office", "198.51.100.0/31", "2001:db8:7::/127")),
                 "spec": {**body["spec"], "avoidBuggyIPs": True}})
    world.get((wanted("any"), ["198.51.100.1"]), (wanted("asks", ips="198.51.100.0"), NOT_ALLOWED),
              (wanted("any", "IPv6"), ["2001:db8:7::"]))


@pytest.mark.parametrize("family", SHORT)
def test_from_which_pool(world, family):
    """addresses.md: a `serviceAllocation` that admits the Service, by `priority`: 1 before 2, and 0, the default, last.
    addresses.md: Pools without a `serviceAllocation`.
    addresses.md: Among equals the name decides, in alphabetical order. Where a pool has nothing left, the next one is tried.
    addresses.md: has no part in 3 and 4: it is for those who ask for it, or for an address of it.
    addresses.md: It asks for a pool, by the annotation `metallb.io/address-pool`: it gets an address of that pool or none.
    addresses.md: A pool may also be made later than the Service that waits for it.
    """
    world.pools(of_both("a-on-request", 1, 2, autoAssign=False), of_both("a-ranked-last", 3, serviceAllocation={"priority": 0}),
                of_both("b-plain", 4), of_both("c-plain", 5), of_both("d-second", 6, serviceAllocation={"priority": 2}),
                of_both("e-first", 7, serviceAllocation={"priority": 1}))
    world.get(*((wanted(f"number-{number}", family), [short(last, family)]) for number, last in enumerate((7, 6, 3, 4, 5))))
    world.get((wanted("too-late", family), NONE_LEFT), (wanted("asks", family, pool="a-on-request"), [short(1, family)]),
              (wanted("asks-for-one", family, ips=short(2, family)), [short(2, family)]),
              (wanted("of-another", family, pool="b-plain"), NONE_LEFT),
              (waits := wanted("waits", family, pool="later"), "PoolNotFound"))
    world.pools(of_both("later", 8, autoAssign=False))
    world.have((waits, [short(8, family)]))


@pytest.fixture
def namespaces(world):
    names = ["addresses-shop", "addresses-web", "addresses-other"]
    world.apply(*({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
                  for name, labels in zip(names, ({}, {"team": "web"}, {}))))
    yield names
    world.kubectl("delete", "namespace", *names, "--wait=false")


def test_whom_a_pool_serves(world, namespaces):
    """addresses.md: gets nothing from the pool, also where it asks for the pool or for an address of it.
    addresses.md: `serviceAllocation` of the pool excludes it now, also since labels of the Service or its namespace changed;
    """
    shop, web, other = namespaces
    world.pools(of_both("team", 1, 9, serviceAllocation={
        "namespaces": [shop], "namespaceSelectors": [{"matchLabels": {"team": "web"}}],
        "serviceSelectors": [{"matchLabels": {"exposed": "outside"}}]}))
    outside, inside, left = {"exposed": "outside"}, {"exposed": "inside"}, []
    for family in SHORT:
        by_name, by_label = (wanted("outside", family, namespace=one, labels=outside) for one in (shop, web))
        world.get((by_name, [short(1, family)]), (by_label, [short(2, family)]),
                  (wanted("inside", family, namespace=shop, labels=inside), NONE_LEFT),
                  (wanted("elsewhere", family, namespace=other, labels=outside), NONE_LEFT),
                  (wanted("asks", family, namespace=other, labels=outside, pool="team"), "PoolNotAllowed"),
                  (wanted("asks-for-one", family, namespace=shop, labels=inside, ips=short(9, family)), "PoolNotAllowed"))
        world.kubectl("label", "service", name_of(by_name), "-n", shop, "--overwrite", "exposed=inside")
        left += [(by_name, NONE_LEFT), (by_label, NONE_LEFT)]
    world.kubectl("label", "namespace", web, "team-")
    world.have(*left)


def test_both_families(world):
    """addresses.md: one of each family where a pool has both free; else one, and the other one as soon as the same pool has it
    addresses.md: one of each family, or none
    addresses.md: Both addresses come from one pool
    addresses.md: one address, of the family of its cluster address
    """
    four, six = ([short(number, family) for number in range(1, 4)] for family in SHORT)
    world.pools(pool("both", f"{four[0]}-{four[1]}", f"{six[0]}/128"), pool("other", f"{six[2]}-{short(4, 'IPv6')}"))
    first, second = wanted("first", "RequireDualStack"), wanted("second", "PreferDualStack")
    world.get((first, [four[0], six[0]]), (second, [four[1]]), (wanted("single", "IPv6"), [six[2]]))
    world.delete(first)
    world.have((second, [four[1], six[0]]))
    world.get((wanted("third", "RequireDualStack"), NONE_LEFT), (wanted("fourth"), [four[0]]))


def test_one_node_announces_both(world):
    """addresses.md: it is one node that announces both."""
    others = preferring(NODES[::-1], "IPv6")  # by itself it would go elsewhere
    pairs = [(case, dataclasses.replace(case, family="IPv6", address=next(others)))
             for case in (case_of("IPv4", policy, "both-") for policy in POLICIES)]
    for four, six in pairs:
        world.apply(pool(four.name, f"{four.address}/32", f"{six.address}/128"), advertisement(four.name, [four.name]),
                    wanted(four.name, "RequireDualStack", spec=policy_of(four), pool=four.name))
    for four, six in pairs:
        assert four.order[0] != six.order[0]
        for case in (four, six):
            world.spoken_for_by(case, four.order[0])
            assert world.page(case)


def test_a_certain_address(world):
    """addresses.md: `spec.loadBalancerIP` does the same for one address; both at once are an error.
    addresses.md: one with two cluster addresses asks for two, and they have to be in one pool.
    addresses.md: A Service that asks for what it cannot have gets nothing in its place: it stays `<pending>`, with the event
    `AllocationFailed`. If another Service has the address, it gets it as soon as that one gives it up.
    """
    world.pools(of_both("plenty", 1, 9), of_both("other", 20, 29))
    three, four = (",".join(short(number, family) for family in SHORT) for number in (3, 4))
    world.get((wanted("two", "RequireDualStack", ips=three.replace(",", " , ")), three.split(",")),
              (wanted("one", "RequireDualStack", ips=short(4, "IPv4")), "RequestInvalid"),
              (wanted("apart", "RequireDualStack", ips=four.replace("::4", "::24")), NOT_ALLOWED))
    for family in SHORT:
        holds, waits = wanted("holds", family, ips=short(5, family)), wanted("waits", family, ips=short(5, family))
        world.get((holds, [short(5, family)]),
                  (wanted("by-field", family, spec={"loadBalancerIP": short(6, family)}), [short(6, family)]),
                  (waits, NOT_FREE), (nowhere := wanted("nowhere", family, ips=short(99, family)), NOT_ALLOWED),
                  (wanted("twice", family, spec={"loadBalancerIP": short(7, family)}, ips=short(7, family)), "RequestInvalid"))
        world.told(name_of(waits), "AllocationFailed", name_of(holds))
        world.told(name_of(nowhere), "AllocationFailed", short(99, family), "is not allowed in config")
        world.delete(holds)
        world.have((waits, [short(5, family)]))


@pytest.mark.parametrize("family", SHORT)
def test_another_certain_address(world, family):
    """addresses.md: gives the former one up at once, even if the new one cannot be had.
    addresses.md: An address that cannot be read changes nothing: event `LoadBalancerFailed`.
    """
    world.pools(of_both("office", 1, 3))
    has, moves = wanted("has", family, ips=short(1, family)), wanted("moves", family)
    world.get((has, [short(1, family)]), (moves, [short(2, family)]))
    world.annotate(moves, f"{WISHES['ips']}=unreadable")
    world.told(name_of(moves), "LoadBalancerFailed", "unreadable")
    world.have((moves, [short(2, family)]))
    world.annotate(moves, f"{WISHES['ips']}={short(1, family)}")
    world.have((moves, NOT_FREE))
    world.annotate(moves, f"{WISHES['ips']}={short(3, family)}")
    world.have((moves, [short(3, family)]))


def test_several_services_on_one_address(world):
    """addresses.md: Services of any namespace share an address if all of this holds:
    addresses.md: * the text is the same, and not empty;
    addresses.md: * no two have the same port of the same protocol: TCP 53 and UDP 53 go together;
    addresses.md: * `externalTrafficPolicy` is `Cluster` for all, or `Local` for all, and then their selectors are the same too.
    """
    world.pools(of_both("shared", 1, 9))
    local, others = {"externalTrafficPolicy": "Local"}, {"externalTrafficPolicy": "Local", "selector": {"app": "other"}}
    for family in SHORT:
        def asks(name, number, address=lambda number: short(number, family), family=family, key="one", **more):
            return wanted(name, family, ips=address(number), key=key, **more), [address(number)]

        def refused(*arguments, **more):
            return asks(*arguments, **more)[0], NOT_FREE
        world.get(asks("dns-tcp", 1, port=53), asks("dns-udp", 1, port=53, protocol="UDP"),
                  asks("elsewhere", 1, port=54, namespace="kube-system"), asks("local", 2, spec=local),
                  asks("local-too", 2, port=81, spec=local), asks("empty", 3, key=""))
        world.get(refused("same-port", 1, port=53), refused("other-text", 1, port=82, key="two"),
                  refused("local-beside-cluster", 1, port=83, spec=local), refused("cluster-beside-local", 2, port=84),
                  refused("other-pods", 2, port=85, spec=others), refused("empty-too", 3, port=81, key=""))


def test_what_is_shared_is_announced(world):
    """addresses.md: with `serviceSelectors` selects a Service with this annotation, nobody announces that one."""
    cases = every_case("shared-")
    for case in cases:
        world.apply(case.pool(), advertisement(case.name, [case.name]), *(
            wanted(f"{case.name}-{port}", case.family, port, spec=policy_of(case), pool=case.name, key="one")
            for port in (80, 81)))
    world.served(cases)
    for case in cases:
        wait_for(lambda: world.cluster.client.curl(case.address, 81), ROLLOUT, f"another page from {case.address}")
    selective = advertisement("selective", [case.name for case in cases])
    selective["spec"]["serviceSelectors"] = [{"matchLabels": {"page": "addresses"}}]
    world.apply(selective)
    at_once(world.silent, cases)


@pytest.mark.parametrize("family", SHORT)
def test_to_share_is_allowed_and_not_asked_for(world, family):
    """addresses.md: without `loadBalancerIPs` a Service takes the first address that it may use, free or shared."""
    world.pools(of_both("office", 1, 3))
    world.get((wanted("asks", family, ips=short(2, family), key="one"), [short(2, family)]),
              (wanted("free", family), [short(1, family)]),
              (wanted("shared", family, port=81, key="one"), [short(2, family)]))


def test_services_of_another_class(world):
    """addresses.md: A Service with a `spec.loadBalancerClass` is left alone"""
    world.pools(of_both("office", 1, 9))
    theirs = [wanted("theirs", family, spec={"loadBalancerClass": "example.com/theirs"}) for family in SHORT]
    world.apply(*theirs)
    world.get(*((wanted("ours", family), [short(1, family)]) for family in SHORT))  # later, and so the first was looked at
    world.have(*((one, "") for one in theirs))
    assert [world.cluster.events(name_of(one)) for one in theirs] == [[], []]


@pytest.fixture
def serving_a_class(world):
    try:
        world.installation.upgrade(f"--set=loadBalancerClass={OUR_CLASS}")
        yield
    finally:
        world.installation.upgrade("--set=loadBalancerClass=")  # without any value Helm takes the former ones


def test_the_class_of_the_chart(world, serving_a_class):
    """addresses.md: names a class, it is the other way round: only Services of that class are served."""
    world.pools(of_both("office", 1, 9))
    classless = [wanted("classless", family) for family in SHORT]
    world.apply(*classless)
    cases = every_case("classed-")
    for case in cases:
        world.apply(case.pool(), advertisement(case.name, [case.name]), wanted(
            case.name, case.family, pool=case.name, spec=policy_of(case) | {"loadBalancerClass": OUR_CLASS}))
    world.served(cases)
    world.have(*((one, "") for one in classless))


def test_without_node_ports(world):
    """addresses.md: `allocateLoadBalancerNodePorts: false` works with kube-proxy."""
    cases = every_case("no-node-port-")
    for case in cases:
        body = wanted(case.name, case.family, pool=case.name, spec=policy_of(case) | {"allocateLoadBalancerNodePorts": False})
        world.apply(case.pool(), advertisement(case.name, [case.name]), body)
        assert "nodePort" not in world.object(body)["spec"]["ports"][0]
    world.served(cases)


@pytest.mark.parametrize("family", SHORT)
def test_what_one_sees(world, family):
    """addresses.md: annotation `metallb.io/ip-allocated-from-pool` | the pool that they are from |
    addresses.md: event `IPAllocated` | which address it got;
    addresses.md: condition `stentor.io/AddressAllocated` | the same pool by pool, for as long as it has none, or asks for what
    cannot be read |
    addresses.md: `kubectl stentor explain service NAME` says why it has this address, or none
    addresses.md: When pools are full, a Service waits, with `no available IPs` in its event. It gets the first address that
    comes free or is added to a pool; nothing has to be created anew.
    """
    world.pools(of_both("office", 1))
    has, waits, late = (wanted(name, family) for name in ("has", "waits", "waits-too"))
    world.get((has, [short(1, family)]))
    world.get((waits, NONE_LEFT), (late, NONE_LEFT))
    assert world.object(has)["metadata"]["annotations"][ANNOTATION] == "office"
    world.told(name_of(has), "IPAllocated", short(1, family))
    world.told(name_of(waits), "AllocationFailed", "no available IPs")
    [condition] = [one for one in world.object(waits)["status"]["conditions"] if one["type"] == "stentor.io/AddressAllocated"]
    assert f"pool office: no free {family} address" in condition["message"]
    assert short(1, family) in world.asked("explain", "service", name_of(has))
    assert f"no free {family} address" in world.asked("explain", "service", name_of(waits))
    world.delete(has)
    world.have((waits, [short(1, family)]), (late, NONE_LEFT))
    world.pools(of_both("office", 1, 2))
    world.have((waits, [short(1, family)]), (late, [short(2, family)]))


def test_how_long_it_keeps_its_address(world):
    """addresses.md: Neither does a change of pools, as long as the address is still in a pool that may serve the Service: it
    stays when the pool grows, loses addresses that the Service does not have, gets another priority, or `autoAssign: false`.
    """
    kept = [(wanted("kept", family), [short(2, family)]) for family in SHORT]
    world.pools(of_both("office", 2, 5))
    world.get(*kept)
    stored = [world.object(one)["metadata"]["resourceVersion"] for one, _ in kept]
    for number, (changed, first_free) in enumerate((
            (of_both("office", 1, 9), 1), (of_both("office", 2, 4), 3),
            (of_both("office", 2, 5, serviceAllocation={"priority": 7}), 3),
            (of_both("office", 2, 6, autoAssign=False), None))):
        world.pools(changed)
        for family in SHORT:  # somebody new sees what the change has made of the pool
            new = wanted(f"new-{number}", family)
            world.get((new, [short(first_free, family)] if first_free else NONE_LEFT))
            world.delete(new)
        world.have(*kept)
    world.installation.restart("controller", "speaker")
    world.get(*((wanted("after", family, pool="office"), [short(3, family)]) for family in SHORT))
    world.have(*kept)
    assert [world.object(one)["metadata"]["resourceVersion"] for one, _ in kept] == stored, "nobody has written it"


@pytest.mark.parametrize("family", SHORT)
def test_when_it_is_given_up(world, family):
    """addresses.md: * the Service is deleted, or gets another `type`;
    addresses.md: its pool is deleted, or has one of its addresses no more. That is not refused, and takes effect at once
    addresses.md: The Service then gets another address, as if it were new, or waits.
    addresses.md: `kubectl stentor what-if -f FILE` says before which Services a changed pool would move.
    """
    world.pools(of_both("a", 1, 2), of_both("b", 11, 12))
    first, second, third, fourth = (wanted(name, family) for name in ("first", "second", "third", "fourth"))
    world.get((first, [short(1, family)]), (second, [short(2, family)]), (third, [short(11, family)]))
    world.patch("service", name_of(first), {"type": "ClusterIP"})
    wait_for(lambda: ANNOTATION not in world.object(first)["metadata"]["annotations"], ROLLOUT, "it has lost its address")
    assert world.object(first)["status"]["loadBalancer"] == {}
    world.get((fourth, [short(1, family)]))
    world.delete(fourth)
    wait_for(lambda: world.cluster.get("ipaddresspool", "a", "-n", NAMESPACE)["status"][f"assigned{family}"] == 1, ROLLOUT,
             "the controller has noticed, before it hears of the pool by another watch")
    smaller = of_both("a", 1)
    assert name_of(second) in world.asked("what-if", "-f", "-", input=json.dumps(smaller))
    world.apply(smaller)
    world.have((second, [short(1, family)]), (third, [short(11, family)]))
    world.told(name_of(second), "ClearAssignment", short(2, family))
    world.kubectl("delete", "ipaddresspool", "b", "-n", NAMESPACE)
    world.told(name_of(third), "ClearAssignment", short(11, family))
    world.have((second, [short(1, family)]), (third, NONE_LEFT))


def test_both_go_with_one(world):
    """addresses.md: * its pool is deleted, or has one of its addresses no more."""
    four, six = ([short(number, family) for number in range(1, 4)] for family in SHORT)
    world.pools(pool("office", f"{four[0]}-{four[1]}", f"{six[0]}-{six[1]}"))
    both = wanted("both", "RequireDualStack", ips=f"{four[1]},{six[1]}")
    world.get((both, [four[1], six[1]]))
    world.annotate(both, f"{WISHES['ips']}-")
    world.pools(pool("office", f"{four[0]}/32", f"{six[0]}-{six[1]}"))
    world.have((both, [four[0], six[0]]))


@pytest.mark.parametrize("family", SHORT)
def test_the_older_annotations(world, family):
    """addresses.md: `loadBalancerIPs` and `allow-shared-ip` work with the older prefix `metallb.universe.tf/` too
    addresses.md: where both are there, the new one counts. An event `deprecatedAnnotation` names the older one.
    """
    def older(key):
        return WISHES.get(key, key).replace("metallb.io", "metallb.universe.tf")
    world.pools(of_both("office", 1, 5), of_both("other", 11))
    by_pool, by_address = (wanted(name, family, wish=older, **wishes) for name, wishes in (
        ("by-pool", {"pool": "other"}), ("by-address", {"ips": short(3, family), "key": "one"})))
    beside = wanted("beside", family, port=81, wish=older, ips=short(3, family), key="one")
    twice = wanted("twice", family, ips=short(4, family), wish=WISHES.get)
    twice["metadata"]["annotations"][older("ips")] = short(5, family)
    world.get((by_pool, [short(11, family)]), (by_address, [short(3, family)]), (beside, [short(3, family)]),
              (twice, [short(4, family)]))
    world.told(name_of(by_pool), "deprecatedAnnotation", older("pool"))
