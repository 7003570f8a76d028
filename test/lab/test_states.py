# SPDX-License-Identifier: Apache-2.0
"""What the controller says of itself in the API: its ConfigurationState, the status of pools, the condition of a
Service that gets no address, that BGP is not spoken. No webhook is registered, so that bad sets can be made. One lab,
told from top to bottom."""
import json

import pytest
from control_plane import SERVICE_RANGE, Options
from lab import Lab
from processes import wait_for
from stentor import LABELS, NAMESPACE
from story import SOON, pool, service
from webhooks import manifest

STATE = "controller"
V4, V6 = "192.168.122.110-192.168.122.112", "2001:db8:1::/48"
MAX = 2**63 - 1
CONDITION = "stentor.io/AddressAllocated"
FOREIGN = {"type": "example.com/Checked", "status": "True", "reason": "Because", "message": "by somebody else",
           "lastTransitionTime": "2024-01-01T00:00:00Z"}


class World:
    def __init__(self, lab):
        self.lab = lab
        lab.install()
        node = lab.nodes["node-1"]
        lab.add_pod_object(NAMESPACE, STATE, node.name, node.address, labels=LABELS | {"component": "controller"},
                           account="controller")
        self.apply(pool("lan", V4, V6))
        lab.start_controller()

    def apply(self, *manifests):
        self.lab.apply("\n---\n".join(map(json.dumps, manifests)))

    def delete(self, kind, *names, namespace=NAMESPACE):
        self.lab.kubectl("delete", kind, *names, "-n", namespace, "--ignore-not-found")

    def patch(self, kind, name, body, *flags, namespace=NAMESPACE):
        self.lab.kubectl("patch", kind, name, "-n", namespace, "--type=merge", "-p", json.dumps(body), *flags)

    # -- what it says ---------------------------------------------------------------------------------------------

    def state(self):
        return self.lab.get("configurationstate", STATE, "-n", NAMESPACE)

    def state_is(self, result, condition="poolReconcilerValid"):
        """Waits until the state has this result, and returns (errorSummary, the condition)."""
        def so():
            status = self.state().get("status", {})
            found = {one["type"]: one for one in status.get("conditions", [])}.get(condition)
            return status.get("result") == result and found and (status.get("errorSummary", ""), found)
        return wait_for(so, SOON, lambda: f"{STATE} is {result}; it is {self.state().get('status')}")

    def figures(self, name="lan"):
        status = self.lab.get("ipaddresspool", name, "-n", NAMESPACE).get("status", {})
        return tuple(status.get(field) for field in ("assignedIPv4", "availableIPv4", "assignedIPv6", "availableIPv6"))

    def figures_are(self, *wanted, name="lan"):
        wait_for(lambda: self.figures(name) == wanted, SOON,
                 lambda: f"{name} has {wanted}; it has {self.figures(name)}")

    def addresses_are(self, name, count=1):
        return wait_for(lambda: len(found := self.lab.service_addresses(name)) == count and (found or True), SOON,
                        lambda: f"{name} has {count} addresses; it has {self.lab.service_addresses(name)}")

    def conditions(self, name):
        return {one["type"]: one for one in self.lab.get("service", name)["status"].get("conditions", [])}

    def lacks_an_address(self, name, reason):
        """Waits until the Service says why it has none; returns the message."""
        def says():
            found = self.conditions(name).get(CONDITION, {})
            return found.get("reason") == reason and found
        found = wait_for(says, SOON, lambda: f"{name} says {reason}; it says {self.conditions(name)}")
        assert found["status"] == "False" and found["lastTransitionTime"]
        assert self.lab.service_addresses(name) == []
        return found["message"]


@pytest.fixture(scope="module")
def world(stentor_machine):
    options = Options(service_range=f"{SERVICE_RANGE},2001:db8:96::/112")
    with Lab(nodes=1, options=options) as lab:
        yield World(lab)


# -- ConfigurationState ---------------------------------------------------------------------------------------------


def test_a_valid_configuration(world):
    summary, condition = world.state_is("Valid")
    assert summary == ""
    assert (condition["status"], condition["reason"], condition["message"]) == ("True", "Reconciled", "")
    made = world.state()
    assert made["metadata"]["labels"] == {"metallb.io/component-type": "controller"}
    assert "spec" not in made


def test_its_pod_owns_it(world):
    pod = world.lab.get("pod", STATE, "-n", NAMESPACE)["metadata"]
    wait_for(lambda: world.state()["metadata"].get("ownerReferences"), SOON, "it has an owner")
    [owner] = world.state()["metadata"]["ownerReferences"]
    assert {key: owner[key] for key in ("apiVersion", "kind", "name", "uid")} == {
        "apiVersion": "v1", "kind": "Pod", "name": STATE, "uid": pod["uid"]}


def test_as_kubectl_shows_it(world):
    head, row = world.lab.kubectl("get", "configurationstates", "-n", NAMESPACE).splitlines()
    assert head.split() == ["NAME", "RESULT", "ERRORSUMMARY", "AGE"]
    assert row.split()[:2] == [STATE, "Valid"]
    head, row = world.lab.kubectl("get", "ipaddresspools", "-n", NAMESPACE).splitlines()
    assert head.split() == ["NAME", "AUTO", "ASSIGN", "AVOID", "BUGGY", "IPS", "ADDRESSES"]
    assert row.split() == ["lan", "true", "false", json.dumps([V4, V6], separators=(",", ":"))]


BAD = {
    "overlap": (pool("x", "192.168.122.112-192.168.122.115"),
                'CIDR "192.168.122.112/30" in pool "x" overlaps with already defined CIDR "192.168.122.112/32"'),
    "IPv6 overlap": (pool("x", "2001:db8:1:2::/64"),
                     'CIDR "2001:db8:1:2::/64" in pool "x" overlaps with already defined CIDR "2001:db8:1::/48"'),
    "in itself": (pool("x", "203.0.113.0/24", "203.0.113.9/32"),
                  'CIDR "203.0.113.9/32" in pool "x" overlaps with already defined CIDR "203.0.113.0/24"'),
    "a namespace twice": (pool("x", "203.0.113.0/24") | {"spec": {
        "addresses": ["203.0.113.0/24"], "serviceAllocation": {"namespaces": ["a", "a"]}}},
        "duplicate definition in namespaces field"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_set_is_invalid_and_says_why(world, name):
    body, words = BAD[name]
    world.apply(body)
    summary, condition = world.state_is("Invalid")
    assert summary.startswith("configuration error: ") and words in summary
    assert (condition["status"], condition["reason"], condition["message"]) == ("False", "ConfigurationError", summary)
    # The last good set stays in force, and the bad pool is none of it.
    world.lab.apply(json.dumps(service("meanwhile")))
    world.addresses_are("meanwhile")
    assert world.figures("x") == (None,) * 4
    world.delete("service", "meanwhile", namespace="default")
    world.delete("ipaddresspool", "x")
    summary, condition = world.state_is("Valid")
    assert summary == "" and condition["status"] == "True"


def test_who_deletes_it_gets_it_back(world):
    before = world.state()
    world.delete("configurationstate", STATE)
    summary, condition = world.state_is("Valid")
    after = world.state()
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    assert after["metadata"]["ownerReferences"] == before["metadata"]["ownerReferences"]
    assert condition["status"] == "True"


EDITS = {
    "the result": ({"status": {"result": "Invalid", "errorSummary": "who knows"}}, "--subresource=status"),
    "a condition's status": ({"status": {"conditions": [
        {"type": "poolReconcilerValid", "status": "False", "reason": "Because", "message": "no",
         "lastTransitionTime": "2024-01-01T00:00:00Z"}]}}, "--subresource=status"),
    "no conditions": ({"status": {"conditions": []}}, "--subresource=status"),
    "nothing at all": ({"status": None}, "--subresource=status"),
    "its labels": ({"metadata": {"labels": {"metallb.io/component-type": None}}},),
    "its owner": ({"metadata": {"ownerReferences": None}},)}


@pytest.mark.parametrize("name", EDITS)
def test_what_is_edited_by_hand_is_restored(world, name):
    def content():
        found = world.state()
        return {"labels": found["metadata"].get("labels"), "owners": found["metadata"].get("ownerReferences"),
                "status": {key: value if key != "conditions" else
                           sorted((one["type"], one["status"], one["reason"], one["message"]) for one in value)
                           for key, value in found.get("status", {}).items()}}
    before = content()
    body, *flags = EDITS[name]
    world.patch("configurationstate", STATE, body, *flags)
    wait_for(lambda: content() == before, SOON, lambda: f"it is as it was: {before}; it is {content()}")


def test_a_condition_of_somebody_else_stays(world):
    ours = world.state()["status"]["conditions"]
    world.patch("configurationstate", STATE, {"status": {"conditions": [*ours, FOREIGN]}}, "--subresource=status")
    world.apply(BAD["overlap"][0])
    world.state_is("Invalid")
    world.delete("ipaddresspool", "x")
    world.state_is("Valid")
    assert FOREIGN in world.state()["status"]["conditions"]
    world.patch("configurationstate", STATE, {"status": {"conditions": ours}}, "--subresource=status")


def test_the_older_config_map_is_told_of(world):
    text = "address-pools:\n- name: old\n  protocol: layer2\n  addresses: [203.0.113.0/28]\n"
    world.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config", "namespace": NAMESPACE},
                 "data": {"config": text}})
    _, condition = world.state_is("Valid", "legacyConfiguration")
    assert (condition["status"], condition["reason"]) == ("True", "ConfigMap")
    assert "IPAddressPool" in condition["message"]
    world.apply(pool("x", "203.0.113.0/30"))
    assert 'pool "old": custom resources define some of its addresses' in world.state_is("Invalid")[0]
    world.delete("ipaddresspool", "x")
    world.delete("configmap", "config")
    # That there is no pool by that name any more would have to be read: until then its absence is no news.
    world.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config", "namespace": NAMESPACE},
                 "data": {"config": "{}"}})
    world.state_is("Valid")
    world.delete("configmap", "config")


# -- status of pools ------------------------------------------------------------------------------------------------


def test_a_pool_says_how_much_of_it_is_in_use(world):
    """An IPv6 prefix that is wider than any number is, as with MetalLB, as large as the largest number."""
    world.figures_are(0, 3, 0, MAX)
    world.lab.apply(json.dumps(service("one")))
    world.figures_are(1, 2, 0, MAX)
    six = service("six")
    six["spec"] |= {"ipFamilies": ["IPv6"]}
    world.lab.apply(json.dumps(six))
    world.addresses_are("six")
    wait_for(lambda: world.figures()[2] == 1, SOON, "one IPv6 address is assigned")
    world.figures_are(1, 2, 1, MAX - 1)
    world.apply(pool("small", "2001:db8:2::/126"))
    world.figures_are(0, 0, 0, 4, name="small")
    world.delete("ipaddresspool", "small")


def test_a_shared_address_counts_once(world):
    for name, port in (("shared-1", 81), ("shared-2", 82)):
        body = service(name, "192.168.122.112", annotations={"metallb.io/allow-shared-ip": "key"})
        body["spec"]["ports"][0]["port"] = port
        world.lab.apply(json.dumps(body))
        assert world.addresses_are(name) == ["192.168.122.112"]
    world.figures_are(2, 1, 1, MAX - 1)
    world.delete("service", "shared-1", namespace="default")
    world.addresses_are("shared-2")
    world.figures_are(2, 1, 1, MAX - 1)
    world.delete("service", "shared-2", namespace="default")
    world.figures_are(1, 2, 1, MAX - 1)


@pytest.mark.parametrize("edit", [{"assignedIPv4": 77}, {"availableIPv4": -1, "availableIPv6": 0}, None])
def test_a_pools_status_is_not_for_others_to_write(world, edit):
    before = world.figures()
    if edit is None:  # all of it away
        world.patch("ipaddresspool", "lan", {"status": None}, "--subresource=status")
    else:
        world.patch("ipaddresspool", "lan", {"status": edit}, "--subresource=status")
    world.figures_are(*before)


def test_a_pool_that_grows_or_shrinks_counts_anew(world):
    world.apply(pool("lan", "192.168.122.110-192.168.122.119", V6))
    world.figures_are(1, 9, 1, MAX - 1)
    world.apply(pool("lan", V4, V6))
    world.figures_are(1, 2, 1, MAX - 1)
    world.delete("service", "one", "six", namespace="default")
    world.figures_are(0, 3, 0, MAX)


# -- a Service without an address -----------------------------------------------------------------------------------


def test_a_service_without_an_address_says_why_pool_by_pool_and_no_more_once_it_has_one(world):
    world.apply(pool("manual", "203.0.113.0/30") | {"spec": {"addresses": ["203.0.113.0/30"], "autoAssign": False}},
                pool("six-only", "2001:db8:3::/64"))
    holders = [f"holder-{number}" for number in range(3)]
    for name in holders:
        world.lab.apply(json.dumps(service(name)))
        world.addresses_are(name)
    world.lab.apply(json.dumps(service("waiting")))
    message = world.lacks_an_address("waiting", "NoAvailableAddress")
    both = [*world.conditions("waiting").values(), FOREIGN]
    world.patch("service", "waiting", {"status": {"conditions": both}}, "--subresource=status", namespace="default")
    for words in ("no available IPs", "pool lan: no free IPv4 address", "pool manual: autoAssign is off",
                  "pool six-only: no IPv4 addresses"):
        assert words in message
    failed = world.lab.events("waiting", "AllocationFailed")
    assert len(failed) == 1 and failed[0]["type"] == "Warning"
    assert failed[0]["message"].startswith('Failed to allocate IP for "default/waiting": no available IPs')
    world.delete("service", holders[0], namespace="default")
    world.addresses_are("waiting")
    wait_for(lambda: set(world.conditions("waiting")) == {FOREIGN["type"]}, SOON, "only the foreign condition is left")
    assert world.conditions("waiting")[FOREIGN["type"]] == FOREIGN
    writes = world.lab.control_plane.audit(resource="services", subresource="status", name="waiting")
    assert len([entry for entry in writes if entry["code"] == 200]) == 2, "that it has none, and that it has one"
    world.delete("service", *holders, "waiting", namespace="default")


REASONS = {
    "an address of no pool": (service("x", "203.0.114.1"), "AddressNotAllowed", "is not allowed in config"),
    "a pool that does not exist": (service("x", annotations={"metallb.io/address-pool": "none"}), "PoolNotFound",
                                   'unknown pool "none"'),
    "no address at all": (service("x", "please"), "RequestInvalid", "please"),
    "the other family": (service("x", "2001:db8:1::1"), "RequestInvalid", "does not match the ipFamily of the service"),
}


@pytest.mark.parametrize("name", REASONS)
def test_reasons(world, name):
    body, reason, words = REASONS[name]
    world.lab.apply(json.dumps(body))
    assert words in world.lacks_an_address("x", reason)
    world.delete("service", "x", namespace="default")


def test_an_address_in_use_is_named_with_its_user(world):
    world.lab.apply(json.dumps(service("owner", "192.168.122.111")))
    world.addresses_are("owner")
    world.lab.apply(json.dumps(service("x", "192.168.122.111")))
    assert "192.168.122.111 is used by default/owner" in world.lacks_an_address("x", "AddressInUse")
    # Once it is free, it is theirs.
    world.delete("service", "owner", namespace="default")
    assert world.addresses_are("x") == ["192.168.122.111"]
    wait_for(lambda: CONDITION not in world.conditions("x"), SOON, "the condition is gone")
    world.delete("service", "x", namespace="default")


# -- BGP ------------------------------------------------------------------------------------------------------------


def notices(world):
    return [event for name in ("routes", "router") for event in world.lab.events(name, "LayerTwoOnly", NAMESPACE)]


def test_who_counts_on_bgp_is_told_once(world):
    world.apply(manifest("BGPAdvertisement", "routes", {}))
    _, condition = world.state_is("Valid", "bgpAnnounced")
    assert (condition["status"], condition["reason"]) == ("False", "NotSupported")
    assert "routes" in condition["message"] and "layer 2 only" in condition["message"]
    [event] = wait_for(lambda: notices(world), SOON, "an event")
    assert (event["type"], event["source"]) == ("Warning", "metallb-controller")
    world.apply(manifest("BGPPeer", "router", {"myASN": 64512, "peerASN": 64513, "peerAddress": "198.51.100.1"},
                         version="v1beta2"))
    wait_for(lambda: "router" in world.state_is("Valid", "bgpAnnounced")[1]["message"], SOON, "the peer is named too")
    world.lab.stentor.stop_controller(kill=True)
    world.lab.start_controller()
    world.lab.apply(json.dumps(service("after-restart")))
    world.addresses_are("after-restart")
    assert "router" in world.state_is("Valid", "bgpAnnounced")[1]["message"]
    assert len(notices(world)) == 1, "none again: neither for the second object, nor after a restart"
    world.delete("bgppeer", "router")
    world.delete("bgpadvertisement", "routes")
    wait_for(lambda: "bgpAnnounced" not in json.dumps(world.state()), SOON, "the condition is gone")
    world.delete("service", "after-restart", namespace="default")


def test_a_restart_writes_nothing_that_is_there_already(world):
    world.state_is("Valid")
    world.lab.stentor.stop_controller()
    before = [world.state()["metadata"]["resourceVersion"],
              world.lab.get("ipaddresspool", "lan", "-n", NAMESPACE)["metadata"]["resourceVersion"]]
    world.lab.start_controller()
    world.lab.apply(json.dumps(service("late", "203.0.113.1")))  # of another pool
    world.addresses_are("late")
    world.figures_are(1, 3, 0, 0, name="manual")
    assert before == [world.state()["metadata"]["resourceVersion"],
                      world.lab.get("ipaddresspool", "lan", "-n", NAMESPACE)["metadata"]["resourceVersion"]]


def test_nobody_was_refused_anything(world):
    """What the controller asked of the API server, the shipped RBAC grants."""
    assert [entry for entry in world.lab.control_plane.audit() if entry["code"] == 403] == []
