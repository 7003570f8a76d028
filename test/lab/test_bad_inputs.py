# SPDX-License-Identifier: Apache-2.0
"""Bad input and faults on a real API server: after each, the state is what the objects say, no address has two owners,
and none is lost. One lab without any announcement, each test cleans up after itself.

A stepped clock is no case here: clocks of namespaces (time_namespaces(7)) are the monotonic ones only; the tests of the
pure parts step it.
"""
import collections
import concurrent.futures
import contextlib
import json
import os
import random
import signal
import threading
import time

import pytest
from api import MERGE, ApiError
from control_plane import SERVICE_RANGE, Options
from lab import Lab
from processes import wait_for
from stentor import NAMESPACE
from story import ANNOTATION, SOON, pool, service

LAN = "192.168.122.100-192.168.122.199"  # exactly as many as there are Services at most
SERVICES = "/api/v1/namespaces/default/services"
POOLS = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}/ipaddresspools"
MANY = 100
CONDITION = "stentor.io/AddressAllocated"


class World:
    def __init__(self, lab):
        self.lab, self.api = lab, lab.control_plane.api
        lab.install()
        lab.apply(json.dumps(pool("lan", LAN)))
        lab.start_controller()

    def create(self, name, address=None, **spec):
        body = service(name, address)
        body["spec"] |= spec
        return self.api.request("POST", SERVICES, body)

    def services(self):
        """name → addresses, of all load balanced Services."""
        return {item["metadata"]["name"]: [one.get("ip") for one in item["status"]["loadBalancer"].get("ingress", [])]
                for item in self.api.get(SERVICES)["items"] if item["spec"]["type"] == "LoadBalancer"}

    def addresses_are(self, name, wanted=None, count=1, deadline=SOON):
        def so():
            found = self.services()[name]
            return found and (found == wanted if wanted else len(found) == count) and found
        return wait_for(so, deadline, lambda: f"{name} has {wanted or count}; it has {self.services().get(name)}")

    def all_served(self, count, deadline=4 * SOON):
        """So many Services have one address each, and no two the same one."""
        def served():
            assert not self.lab.stentor.dead(), self.lab.stentor.dead()
            found = self.services()
            return len(found) == count and all(len(addresses) == 1 for addresses in found.values()) and found
        found = wait_for(served, deadline, lambda: "all are served; without: " + ", ".join(
            name for name, addresses in self.services().items() if not addresses), every=0.2)
        self.nothing_twice()
        return found

    def nothing_twice(self):
        counts = collections.Counter(address for addresses in self.services().values() for address in addresses)
        assert not [address for address, times in counts.items() if times > 1]

    def assigned(self):
        return self.api.get(f"{POOLS}/lan").get("status", {}).get("assignedIPv4")

    def condition(self, name):
        found = self.api.get(f"{SERVICES}/{name}")["status"].get("conditions", [])
        return {one["type"]: one for one in found}.get(CONDITION, {})

    def clean(self):
        """Deletes all Services; the pool says that all of it is free."""
        names = list(self.services())
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda name: self.api.request("DELETE", f"{SERVICES}/{name}"), names))
        wait_for(lambda: self.assigned() == 0, SOON, lambda: f"all is free; assigned: {self.assigned()}")

    def writes(self, resource, since, **wanted):
        return [entry for entry in self.lab.control_plane.audit(since=since, account="controller", resource=resource,
                                                                subresource="status", **wanted) if entry["code"] == 200]

    def restart(self, kill=False):
        self.lab.stentor.stop_controller(kill=kill)
        self.lab.start_controller()


@pytest.fixture(scope="module")
def shared(stentor_machine):
    with Lab(nodes=1, options=Options(service_range=f"{SERVICE_RANGE},2001:db8:96::/112")) as lab:
        yield World(lab)


@pytest.fixture
def world(shared):
    yield shared
    shared.clean()


# -- odd Services ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, change, words", [
    ("no ports", {"ports": []}, "spec.ports: Required value"),
    ("headless", {"clusterIP": "None"}, "may not be set to 'None' for LoadBalancer services")])
def test_what_the_api_server_itself_refuses(world, name, change, words):
    """So no such Service can be there. (The tests of the reconciler have them all the same.)"""
    with pytest.raises(ApiError) as caught:
        world.create("odd", **change)
    assert words in str(caught.value)


def test_two_families_and_a_pool_of_one(world):
    world.create("requires", ipFamilyPolicy="RequireDualStack")
    wait_for(lambda: world.condition("requires").get("status") == "False", SOON, "the condition")
    assert "pool lan: no IPv6 addresses" in world.condition("requires")["message"]
    world.create("prefers", ipFamilyPolicy="PreferDualStack")
    [four] = world.addresses_are("prefers")
    assert "." in four and world.services()["requires"] == []
    world.lab.apply(json.dumps(pool("lan", LAN, "2001:db8:1::/120")))
    assert sorted(":" in one for one in world.addresses_are("requires", count=2)) == [False, True]
    assert world.addresses_are("prefers", count=2)[0] == four
    world.lab.apply(json.dumps(pool("lan", LAN)))
    wait_for(lambda: world.services()["requires"] == [], SOON, "no dual stack any more")


# What somebody writes into the status of a Service: (ingress, value of the annotation with the pool's name).
STATUSES = {
    "its address is taken out": ([], None),
    "somebody else's is put in": ([{"ip": "{other}"}], None),
    "somebody else's is put in beside": ([{"ip": "{own}"}, {"ip": "{other}"}], None),
    "one of no pool is put in": ([{"ip": "203.0.113.9"}], None),
    "a name in place of the address": ([{"hostname": "example.com"}], None),
    "the pool's name is another": ([{"ip": "{own}"}], "none"),
}


class Pair:
    """Two Services with addresses; the status of one of them is edited."""

    def __init__(self, world, prefix, name):
        self.world, self.name = world, name
        self.first, self.second = f"{prefix}-first", f"{prefix}-second"
        world.create(self.first), world.create(self.second)

    def edit(self):
        [self.own], [self.other] = (self.world.addresses_are(name) for name in (self.first, self.second))
        ingress, pool_name = STATUSES[self.name]
        text = json.dumps({"status": {"loadBalancer": {"ingress": ingress}}})
        body = json.loads(text.replace("{own}", self.own).replace("{other}", self.other))
        if pool_name:
            body["metadata"] = {"annotations": {ANNOTATION: pool_name}}
        self.world.api.patch(f"{SERVICES}/{self.first}/status", body, MERGE)

    def settled(self):
        """Each has one address of the pool, and not the same one; a name of somebody else's stays beside it."""
        found = self.world.services()
        first, second = ([one for one in found[name] if one] for name in (self.first, self.second))
        kept = self.world.api.get(f"{SERVICES}/{self.first}")
        names = [one["hostname"] for one in kept["status"]["loadBalancer"].get("ingress", []) if "hostname" in one]
        return len(first) == len(second) == 1 and first != second and (
            first[0].startswith("192.168.122.") and second[0].startswith("192.168.122.")) and (
            kept["metadata"].get("annotations", {}).get(ANNOTATION) == "lan") and (
            names == (["example.com"] if "name in place" in self.name else []))


@pytest.mark.parametrize("name", STATUSES)
def test_a_status_edited_by_hand_is_as_it_was(world, name):
    """Who runs knows whose each address was."""
    pair = Pair(world, "pair", name)
    pair.edit()
    wait_for(lambda: pair.settled() and pair.own in world.services()[pair.first] and (
        world.services()[pair.second] == [pair.other]), SOON, lambda: f"both have their own: {world.services()}")
    wait_for(lambda: world.assigned() == 2, SOON, lambda: f"two are assigned, not {world.assigned()}")


def test_statuses_edited_while_nobody_looked(world):
    """Who starts knows what the API says, and no more: where two Services say that they have an address, one moves."""
    pairs = [Pair(world, f"pair-{place}", name) for place, name in enumerate(STATUSES)]
    world.all_served(2 * len(pairs))
    world.lab.stentor.stop_controller(kill=True)
    for pair in pairs:
        pair.edit()
    world.lab.start_controller()
    for pair in pairs:
        wait_for(pair.settled, SOON, lambda pair=pair: f"{pair.name}: both have an address: {world.services()}")
    counts = collections.Counter(one for addresses in world.services().values() for one in addresses if one)
    assert set(counts.values()) == {1} and len(counts) == 2 * len(pairs)
    wait_for(lambda: world.assigned() == len(counts), SOON,
             lambda: f"{len(counts)} are assigned, not {world.assigned()}")


# -- floods ---------------------------------------------------------------------------------------------------------


def test_thousands_of_edits_of_a_pool_cost_few_writes(world):
    for number in range(3):
        world.create(f"service-{number}")
    before = world.all_served(3)
    wait_for(lambda: world.assigned() == 3, SOON, "three are assigned")
    since, began = world.lab.control_plane.audited_so_far(), time.monotonic()

    def edit(number):
        end = 199 - number % 50
        world.api.patch(f"{POOLS}/lan", {"spec": {"addresses": [f"192.168.122.100-192.168.122.{end}"],
                                                  "avoidBuggyIPs": number % 2 == 0}}, MERGE)
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(edit, range(500)))
    world.lab.apply(json.dumps(pool("lan", LAN) | {"spec": {"addresses": [LAN], "avoidBuggyIPs": False}}))
    took = time.monotonic() - began
    wait_for(lambda: world.api.get(f"{POOLS}/lan")["status"] == {
        "assignedIPv4": 3, "availableIPv4": 97, "assignedIPv6": 0, "availableIPv6": 0}, SOON, "the figures are true")
    took_in_all = time.monotonic() - began
    print(f"500 edits in {took:.1f} s: {len(world.writes('ipaddresspools', since))} writes of the pool's status")
    assert len(world.writes("ipaddresspools", since)) <= 2 * took_in_all + 3, "two a second"
    assert len(world.writes("configurationstates", since)) == 0, "it was valid all the time"
    assert world.writes("services", since) == [] and world.services() == before


def test_a_pool_that_jumps_to_and_fro_ends_where_it_stands(world):
    for number in range(5):
        world.create(f"service-{number}")
    world.all_served(5)
    for number in range(61):
        world.api.patch(f"{POOLS}/lan", {"spec": {"addresses": ["203.0.113.0/24" if number % 2 == 0 else LAN]}}, MERGE)
    wait_for(lambda: all(found and found[0].startswith("203.0.113.") for found in world.services().values()), 2 * SOON,
             lambda: f"all are where the pool is now: {world.services()}")
    world.all_served(5)
    world.lab.apply(json.dumps(pool("lan", LAN)))
    wait_for(lambda: all(found and found[0].startswith("192.168.") for found in world.services().values()), 2 * SOON,
             lambda: f"and back: {world.services()}")
    world.all_served(5)


def test_a_valid_and_an_invalid_set_by_turns(world):
    world.create("steady")
    before = world.addresses_are("steady")
    # A write is seen before it is in the audit log.
    wait_for(lambda: any(entry["name"] == "steady" for entry in world.writes("services", 0)), SOON, "it is audited")
    since, began = world.lab.control_plane.audited_so_far(), time.monotonic()
    for _ in range(50):
        world.api.request("POST", POOLS, pool("x", "192.168.122.150/32"))
        world.api.request("DELETE", f"{POOLS}/x")

    def valid():
        path = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}/configurationstates/controller"
        return world.api.get(path)["status"]["result"] == "Valid"
    wait_for(valid, SOON, "in the end it is Valid")
    took = time.monotonic() - began
    assert len(world.writes("configurationstates", since)) <= took + 3, "one a second"
    assert world.writes("services", since) == [] and world.services()["steady"] == before


def test_a_service_that_changes_its_mind_all_the_time(world):
    world.create("fickle")
    world.addresses_are("fickle")
    for number in range(60):
        world.api.patch(f"{SERVICES}/fickle", {"spec": {"loadBalancerIP": f"192.168.122.{100 + number}"}}, MERGE)
    world.addresses_are("fickle", ["192.168.122.159"])
    for number in range(20):
        world.api.patch(f"{SERVICES}/fickle", {"spec": {
            "type": "ClusterIP" if number % 2 == 0 else "LoadBalancer", "loadBalancerIP": None}}, MERGE)
    world.addresses_are("fickle")
    wait_for(lambda: world.assigned() == 1, SOON, lambda: f"one is assigned, not {world.assigned()}")


# -- faults ---------------------------------------------------------------------------------------------------------


def test_an_api_server_that_dies_amid_writes(world):
    """What became of what was asked for when it died, nobody knows; after it is back, all is as it should be."""
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        made = [threads.submit(world.create, f"service-{number}") for number in range(40)]
        wait_for(lambda: sum(one.done() for one in made) >= 15, SOON, "some are made", every=0.005)
        world.lab.control_plane.stop_apiserver()
        lost = [f"service-{number}" for number, one in enumerate(made) if one.exception()]
    world.lab.control_plane.start_apiserver()
    for name in lost:
        with contextlib.suppress(ApiError):  # it may have been made, and only the answer lost
            world.create(name)
    assert lost, "it died in the midst"
    world.all_served(40)
    before = world.services()
    world.restart()
    world.create("last")
    world.addresses_are("last")
    assert {name: found for name, found in world.services().items() if name != "last"} == before


def etcd(world, call, body):
    return json.loads(world.lab.beside_api("curl", "-sf", "-d", json.dumps(body), f"http://127.0.0.1:2379/v3/{call}"))


def test_a_watch_whose_history_is_gone(world):
    """The controller sleeps; meanwhile Services come and go, etcd forgets, and the API server starts anew, so that
    nobody can tell what happened since."""
    world.create("goes"), world.create("stays")
    [free] = world.addresses_are("goes")
    kept = world.addresses_are("stays")
    process = world.lab.stentor.controller
    os.kill(process.pid, signal.SIGSTOP)
    try:
        world.api.request("DELETE", f"{SERVICES}/goes")
        world.create("comes")
        revision = int(etcd(world, "maintenance/status", {})["header"]["revision"])
        etcd(world, "kv/compaction", {"revision": str(revision), "physical": True})
        world.lab.control_plane.stop_apiserver()
        world.lab.control_plane.start_apiserver()
    finally:
        os.kill(process.pid, signal.SIGCONT)
    [found] = world.addresses_are("comes", deadline=3 * SOON)
    if found != free:  # it was served before it was known who had left
        world.create("heir", free)
        world.addresses_are("heir", [free])
    assert world.services()["stays"] == kept
    world.nothing_twice()


def test_a_controller_killed_between_decision_and_write(world):
    """SIGKILL at random moments while as many Services are made as there are addresses: all are served, none twice."""
    chance, over = random.Random(5), threading.Event()

    def murder():
        kills = 0
        while not over.is_set():
            time.sleep(chance.uniform(0.05, 0.4))
            world.restart(kill=True)
            kills += 1
        return kills
    with concurrent.futures.ThreadPoolExecutor(9) as threads:
        killer = threads.submit(murder)
        # In waves, so that each controller meets some.
        for wave in range(10):
            list(threads.map(lambda number: world.create(f"service-{number}"), range(10 * wave, 10 * wave + 10)))
            time.sleep(chance.uniform(0.2, 0.6))
        over.set()
        kills = killer.result()
    assert kills >= 5
    served = world.all_served(MANY)
    assert len({address for [address] in served.values()}) == MANY
    wait_for(lambda: world.assigned() == MANY, SOON, "the pool is full")
    # None is lost: delete all, with a kill amid it, and so many are served again.
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        deletions = [threads.submit(world.api.request, "DELETE", f"{SERVICES}/{name}") for name in served]
        world.restart(kill=True)
        for one in deletions:
            one.result()
        list(threads.map(lambda number: world.create(f"again-{number}"), range(MANY)))
    world.all_served(MANY)


def test_a_terminated_controller_ends_in_order_amid_writes(world):
    for number in range(30):
        world.create(f"service-{number}")
    assert world.lab.stentor.stop_controller() == 0
    world.lab.start_controller()
    world.all_served(30)


# -- who reads the API must be told what it is ----------------------------------------------------------------------


@pytest.mark.parametrize("name, text", [
    ("no YAML", "address-pools: ["), ("no list", "address-pools: 7"), ("binary", "\u0001\u0002"),
    ("deep", "[" * 3000), ("an alias bomb", "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                           "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n")])
def test_a_bad_config_map_beside_pools_takes_nothing_away(world, name, text):
    world.create("steady")
    before = world.addresses_are("steady")
    log = world.lab.stentor.log("controller")
    told = len(log.containing("configStale"))
    world.lab.apply(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": "config", "namespace": NAMESPACE}, "data": {"config": text}}))
    try:
        wait_for(lambda: len(log.containing("configStale")) > told, SOON, "the controller says so")
        world.create("beside")
        world.addresses_are("beside")
        assert world.services()["steady"] == before
    finally:
        world.lab.kubectl("delete", "configmap", "config", "-n", NAMESPACE)
        world.lab.apply(json.dumps(pool("lan", LAN) | {"metadata": {"name": "lan", "namespace": NAMESPACE}}))
    assert not world.lab.stentor.dead()


def test_nobody_was_refused_anything_and_nothing_crashed(world):
    """An API server that has just started refuses what it has not read the roles for; so what was refused has to have
    been granted as well."""
    entries = world.lab.control_plane.audit()
    asked = {code: {(entry["verb"], entry["resource"], entry["subresource"]) for entry in entries
                    if entry["code"] == code} for code in (200, 201, 403)}
    assert asked[403] <= asked[200] | asked[201]
    lines = world.lab.stentor.log("controller").lines()
    assert not [line for line in lines if "event" not in line], "each line is one of ours"
