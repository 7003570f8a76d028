# SPDX-License-Identifier: Apache-2.0
"""Three controllers, of which one leads: who it is, and what happens when it dies, ends, sleeps or is cut off.

One lab, told from top to bottom. What was measured is printed (pytest -rP shows it); what is asserted is that it
happens, in which order, and who wrote: each replica has a token of its own, by which the audit log tells them apart.
"""
import json
import time

import pytest
from processes import wait_for
from replicas import LEASE, LEASE_SECONDS, RETRY_SECONDS, Replicas
from stentor import NAMESPACE
from story import SOON, Story, pool

ROLES_READ = 30  # seconds after it was started an API server knows all roles, also on a busy machine


@pytest.fixture(scope="module")
def story(stentor_lab):
    made = Story(stentor_lab)
    stentor_lab.apply(json.dumps(pool("replicas", "192.168.122.110-192.168.122.130")))
    return made


@pytest.fixture(scope="module")
def replicas(story):
    made = Replicas(story.lab)
    yield made
    made.stop()


def now(replicas):
    """A place in the audit log from which on what follows is new."""
    return replicas.lab.control_plane.audited_so_far()


def no_one_but(replicas, name, since):
    """All status writes since then were this replica's, and there were some."""
    assert {who for who, _, _ in replicas.writes(since)} == {name}


def test_one_of_three_leads_and_it_alone_writes(replicas):
    leader = replicas.leader()
    for name in ("first", "second"):
        replicas.create(name)
        replicas.served(name)
    assert [name for name in replicas.NAMES if replicas.events(name, "leading")] == [leader]
    assert [(who, name) for who, name, _ in replicas.writes()] == [(leader, "first"), (leader, "second")]
    for standby in set(replicas.NAMES) - {leader}:
        replicas.wait_for_event(standby, "leaderSeen", 1)
        assert replicas.events(standby, "leaderSeen")[-1]["holder"].startswith(f"{leader}_")


def test_the_lease_as_kubectl_shows_it(replicas):
    leader = replicas.leader()
    head, row = replicas.lab.kubectl("get", "lease", LEASE, "-n", NAMESPACE).splitlines()
    assert head.split() == ["NAME", "HOLDER", "AGE"]
    assert row.split()[:2] == [LEASE, replicas.lease()["holderIdentity"]]
    assert row.split()[1].startswith(f"{leader}_")
    lease = replicas.lease()
    assert lease["leaseDurationSeconds"] == LEASE_SECONDS
    assert set(lease) == {"holderIdentity", "leaseDurationSeconds", "leaseTransitions", "acquireTime", "renewTime"}
    wait_for(lambda: replicas.lease()["renewTime"] > lease["renewTime"], SOON, "it is renewed")
    renewed = replicas.lease()
    assert (renewed["holderIdentity"], renewed["acquireTime"]) == (lease["holderIdentity"], lease["acquireTime"])


def test_the_leader_is_killed_and_another_serves_within_the_lease(replicas, story):
    old, before, since = replicas.leader(), story.versions(), now(replicas)
    killed = time.monotonic()
    replicas.kill(old)
    replicas.create("after-kill")
    took = replicas.served("after-kill") - killed
    new = replicas.leader(other_than=old)
    print(f"SIGKILL of the leader → the next Service has its address: {took:.1f} s "
          f"(the Lease: {LEASE_SECONDS} s, and up to {RETRY_SECONDS} s × 2.2 until others look)")
    no_one_but(replicas, new, since)
    after = story.versions()
    after.pop("after-kill")
    assert after == before, "nobody touched what was there"
    replicas.start(old)


def test_the_leader_gets_sigterm_and_another_serves_at_once(replicas, story):
    old, before, since = replicas.leader(), story.versions(), now(replicas)
    asked = time.monotonic()
    assert replicas.terminate(old) == 0, "SIGTERM ends it in order"
    ended = time.monotonic() - asked
    replicas.create("after-term")
    took = replicas.served("after-term", deadline=10) - asked
    new = replicas.leader(other_than=old)
    print(f"SIGTERM of the leader → it has ended: {ended:.2f} s, the next Service has its address: {took:.2f} s")
    last, first = replicas.events(old, "leadingEnded")[-1], replicas.events(new, "leading")[-1]
    assert last["ts"] <= first["ts"], "the one ended before the other began"
    no_one_but(replicas, new, since)
    after = story.versions()
    after.pop("after-term")
    assert after == before
    replicas.start(old)


def test_a_leader_that_starts_again_in_its_pod_need_not_wait_for_its_own_lease(replicas, story):
    old, before = replicas.leader(), story.versions()
    holder = replicas.lease()["holderIdentity"]
    killed = time.monotonic()
    replicas.kill(old)
    replicas.start(old)
    replicas.create("after-crash")
    took = replicas.served("after-crash", deadline=LEASE_SECONDS) - killed
    print(f"the leader crashes and starts again → the next Service has its address: {took:.2f} s")
    assert replicas.leader() == old
    assert replicas.lease()["holderIdentity"] != holder, "another run, another identity"
    after = story.versions()
    after.pop("after-crash")
    assert after == before


def test_a_leader_that_slept_beyond_its_lease_writes_nothing_any_more(replicas):
    old, since = replicas.leader(), now(replicas)
    ends = len(replicas.events(old, "leadingEnded"))
    replicas.pause(old)
    try:
        # What it will find when it wakes up: a watch that tells of a Service without an address.
        replicas.create("while-asleep")
        replicas.served("while-asleep")
        new = replicas.leader(other_than=old)
    finally:
        replicas.resume(old)
    replicas.wait_for_event(old, "leadingEnded", ends + 1)
    for number in range(3):
        replicas.create(f"awake-{number}")
        replicas.served(f"awake-{number}")
    no_one_but(replicas, new, since)
    assert replicas.leader() == new


def test_without_the_api_server_nobody_leads_and_after_it_one_does(replicas, story):
    lab, before = replicas.lab, story.versions()
    old = replicas.leader()
    ends = len(replicas.events(old, "leadingEnded"))
    lab.control_plane.stop_apiserver()
    try:
        # It could not renew: it stops before others, who measure the Lease by their own clocks, may go on.
        replicas.wait_for_event(old, "leadingEnded", ends + 1)
    finally:
        replicas.api_started = time.time()
        lab.control_plane.start_apiserver()
    since = now(replicas)
    began = time.monotonic()
    replicas.create("after-outage")
    print(f"API server back → the next Service has its address: {replicas.served('after-outage') - began:.1f} s")
    no_one_but(replicas, replicas.leader(), since)
    after = story.versions()
    after.pop("after-outage")
    assert after == before, "nobody touched what was there"


def test_the_last_one_left_goes_on(replicas):
    leader = replicas.leader()
    for name in set(replicas.NAMES) - {leader}:
        assert replicas.terminate(name) == 0
    replicas.create("alone")
    replicas.served("alone", deadline=SOON)
    assert replicas.holder() == leader


def test_every_service_has_an_address_of_its_own_by_one_write(replicas, story):
    addresses = {name: held for name, (_, held) in story.versions().items()}
    assert all(len(held) == 1 for held in addresses.values())
    assert len({held[0] for held in addresses.values()}) == len(addresses)
    assert sorted(name for _, name, _ in replicas.writes()) == sorted(addresses)


def test_nobody_was_refused_anything(replicas):
    """An API server that has just started refuses what it grants a moment later, when it has read the roles. Who was
    refused then may have ended before it asked again."""
    def what(entry):
        return tuple(entry[key] for key in ("account", "verb", "group", "resource", "subresource"))
    audited = replicas.lab.control_plane.audit()
    granted = {what(entry): entry["at"] for entry in audited if entry["code"] < 400}  # the last time

    def told_too_soon(entry):
        moment = granted.get(what(entry))
        return moment is not None and (moment > entry["at"] or 0 <= entry["at"] - replicas.api_started < ROLES_READ)
    assert [entry for entry in audited if entry["code"] == 403 and not told_too_soon(entry)] == []
