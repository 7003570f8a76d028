# SPDX-License-Identifier: Apache-2.0
"""Somebody's MetalLB manifests with the two image names replaced, and nothing else: versions 0.9.5 (a ConfigMap),
0.13.12 (kind AddressPool beside the newer ones) and today's. One lab a version, told from top to bottom."""
import collections
import json
import subprocess

import pytest
from lab import Lab
from network import CONTROL_ADDRESS
from older import CONFIG_MAP, MANIFESTS, POOL, RANGE, WORLDS, OlderStentor
from processes import wait_for
from stentor import NAMESPACE
from story import ADDRESS, ANNOTATION, FIRST_FREE, SERVICE, SOON, Story, service

OTHER = "192.168.122.112"


@pytest.fixture(scope="class")
def story(stentor_machine, request):
    """The pool is there already, as in a cluster where images are replaced."""
    with Lab() as lab:
        lab.stentor = OlderStentor(lab, request.cls.world)
        lab.install()
        lab.apply(request.cls.world.pool)
        made = Story(lab)
        made.set_up()
        yield made


def lines(lab, event, program=None):
    names = [program] if program else lab.stentor.programs()
    return [line for name in names for line in lab.stentor.log(name).lines() if line.get("event") == event]


class EveryWorld:
    """What holds under the manifests of each version."""

    def test_a_service_gets_its_address_and_the_client_its_page(self, story):
        story.lab.apply(json.dumps(service(SERVICE, ADDRESS)))
        assert story.address_of(SERVICE, ADDRESS) == ADDRESS
        assert story.lab.get("service", SERVICE)["metadata"]["annotations"][ANNOTATION] == POOL
        story.speaker_is(ADDRESS, story.order[0])
        assert story.page(ADDRESS)
        story.lab.apply(json.dumps(service("second")))
        assert story.address_of("second") == FIRST_FREE
        assert story.page(FIRST_FREE)

    def test_an_address_moves_when_its_speaker_is_killed(self, story):
        story.lab.stentor.kill_speaker(story.order[0])
        story.speaker_is(ADDRESS, story.order[1])
        assert story.page(ADDRESS)
        story.lab.start_speaker(story.order[0])
        story.speaker_is(ADDRESS, story.order[0])

    def test_endpoints_decide_who_may_answer(self, story):
        """Whether they come as slices or, where those may not be read, as Endpoints: with the policy Local only nodes with
        a pod answer, and without any endpoint nobody does."""
        local = service("local", OTHER)
        local["spec"]["externalTrafficPolicy"] = "Local"
        story.lab.apply(json.dumps(local))
        story.address_of("local", OTHER)
        answering = wait_for(lambda: story.lab.speaker_of(OTHER), SOON, "somebody answers")
        assert answering in {pod.node for pod in story.lab.pods}
        assert story.page(OTHER)
        story.lab.kubectl("patch", "service", "local", "-p", '{"spec": {"selector": {"app": "nobody"}}}')
        story.silence(OTHER)
        story.lab.kubectl("delete", "service", "local")

    def test_a_restart_of_everything_changes_no_address(self, story):
        before = story.versions()
        story.restart_controller()
        for node in story.lab.nodes:
            story.lab.stentor.stop_speaker(node)
        story.lab.start_speakers()
        story.lab.apply(json.dumps(service("after-restart")))
        assert story.address_of("after-restart") not in [one for _, addresses in before.values() for one in addresses]
        after = story.versions()
        after.pop("after-restart")
        assert after == before
        story.speaker_is(ADDRESS, story.order[0])
        assert story.page(ADDRESS)
        story.delete("after-restart")

    def test_metrics_where_the_manifest_has_them(self, story):
        scheme = "http" if self.world.plain else "https"
        done = subprocess.run(
            ["ip", "netns", "exec", story.lab.network.control, "curl", "-sk", "--max-time", "5", "-w", "\n%{http_code}",
             f"{scheme}://{CONTROL_ADDRESS}:{self.world.port}/metrics", "-H", "Authorization: Bearer x"],
            capture_output=True, text=True, timeout=20)
        body, _, code = done.stdout.rpartition("\n")
        if self.world.plain:
            assert code == "200" and "metallb_allocator_addresses_in_use_total" in body
        else:  # nobody may review the token, so nobody gets in
            assert code in ("401", "403", "503") and "metallb_" not in body

    def test_no_error_is_logged_and_what_is_missing_is_told_once(self, story):
        for program, account in story.lab.stentor.programs().items():
            log = story.lab.stentor.log(program)

            def told():
                """Of the last start only; one before may have ended before it could tell."""
                last = max(place for place, line in enumerate(log.lines()) if line.get("event") == "starting")
                return collections.Counter(line["resource"] for line in log.lines()[last:]
                                           if line.get("event") == "resourceRefused")
            wait_for(lambda: set(told()) == self.world.refused[account], SOON, lambda: f"{program} tells: {told()}")
            assert set(told().values()) <= {1}, program
            assert [line for line in log.lines() if line.get("level") == "error"] == [], program
            assert not log.containing("membershipUnsealed")

    def test_what_is_refused_is_hardly_ever_asked_for(self, story):
        """A few times while a program starts; after that the pauses grow to minutes."""
        refused = collections.Counter((entry["account"], entry["verb"], entry["resource"])
                                      for entry in story.lab.control_plane.audit() if entry["code"] in (403, 404))
        for (account, verb, resource), times in refused.items():
            if verb in ("list", "watch"):
                assert times <= 6 * story.lab.stentor.starts[account], (account, verb, resource, times)


class WithOwnPools(EveryWorld):
    """Where pools are custom resources."""

    def test_rights_that_vanish_for_a_while_take_no_address_away(self, story):
        """As when somebody applies their RBAC anew: first to running programs, then to a controller that starts."""
        lab, before = story.lab, story.versions()
        lab.kubectl("delete", "rolebinding", "controller", "pod-lister", "-n", NAMESPACE)
        story.restart_controller()
        node = story.order[0]
        lab.stentor.stop_speaker(node)
        lab.start_speaker(node)
        wait_for(lambda: lines(lab, "apiTrouble", "controller"), SOON, "the controller says what it waits for")
        lab.apply(json.dumps(service("waiting")))
        # Who does not know the pools leaves its addresses to those who do.
        story.speaker_is(ADDRESS, story.order[1])
        assert story.page(ADDRESS)
        after = story.versions()
        after.pop("waiting")
        assert after == before
        lab.apply(self.world.rights)
        story.address_of("waiting")
        story.speaker_is(ADDRESS, node, deadline=3 * SOON)
        after = story.versions()
        after.pop("waiting")
        assert after == before
        story.delete("waiting")


class TestConfigMap(EveryWorld):
    world = WORLDS["0.9.5"]

    def test_the_config_map_is_reported(self, story):
        for program in story.lab.stentor.programs():
            remarks = lines(story.lab, "configRemark", program)
            assert remarks and all(f"{NAMESPACE}/config" in line["msg"] and "IPAddressPool" in line["msg"]
                                   for line in remarks)

    @pytest.mark.parametrize("name, text, words", [
        ("no YAML", "address-pools: [", ["could not parse config", "line"]),
        ("a bad range", RANGE.replace(".119", ".300"), ["invalid CIDR", "address-pools[0].addresses[0]"])])
    def test_a_bad_config_map_changes_nothing(self, story, name, text, words):
        bad = CONFIG_MAP.replace(RANGE, text) if name != "no YAML" else CONFIG_MAP.replace("address-pools:", text)
        before = story.versions()
        story.lab.apply(bad)
        for program in ("controller", "speaker-node-1"):
            wait_for(lambda program=program: [line for line in lines(story.lab, "configStale", program)
                                              if all(word in line["msg"] for word in [*words, f"{NAMESPACE}/config"])],
                     SOON, f"{program} says what is wrong")
        assert story.versions() == before
        assert story.page(ADDRESS)
        story.lab.apply(CONFIG_MAP)

    def test_a_config_map_that_is_gone_takes_no_address_away(self, story):
        """Neither while the programs run, nor when they start without it: that there are no pools would have to be read."""
        before = story.versions()
        stale = len(lines(story.lab, "configStale", "controller"))
        story.lab.kubectl("delete", "configmap", "config", "-n", NAMESPACE)
        wait_for(lambda: len(lines(story.lab, "configStale", "controller")) > stale, SOON, "the controller says so")
        story.speaker_is(ADDRESS, story.order[0])
        story.restart_controller()
        wait_for(lambda: lines(story.lab, "apiTrouble", "controller"), SOON, "the controller says what it waits for")
        story.lab.apply(json.dumps(service("waiting")))
        story.speaker_is(ADDRESS, story.order[0])
        assert story.lab.service_addresses("waiting") == []
        after = story.versions()
        after.pop("waiting")
        assert after == before
        assert len(lines(story.lab, "apiTrouble", "controller")) == 1, "one line"
        story.lab.apply(CONFIG_MAP)
        story.address_of("waiting")
        story.delete("waiting")


class TestAddressPool(WithOwnPools):
    world = WORLDS["0.13.12"]

    def test_other_kinds_beside_address_pool(self, story):
        story.lab.apply(MANIFESTS / "beside-address-pool.yaml")
        for name, address in (("beside", "192.168.122.120"), ("routed", "198.51.100.1")):
            story.lab.apply(json.dumps(service(name, address)))
            story.address_of(name, address)
        assert [line for line in lines(story.lab, "configRemark", "controller") if "routed" in line["msg"]]
        assert story.lab.poller.arping("192.168.122.120") == [], "an IPAddressPool needs an L2Advertisement"
        story.lab.apply(json.dumps({
            "apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement", "spec": {"ipAddressPools": ["new"]},
            "metadata": {"name": "new", "namespace": NAMESPACE}}))
        assert story.page("192.168.122.120")
        story.lab.kubectl("delete", "service", "beside", "routed")


class TestToday(WithOwnPools):
    world = WORLDS["today"]
