# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around Stentor and heals: kinds that are not installed yet, a Secret that is missing, an API server
that is gone, Services that stop being load balancers. One lab, told from top to bottom."""
import base64
import json
import re

import pytest
from processes import wait_for
from stentor import NAMESPACE, REPOSITORY
from story import ADDRESS, ANNOTATION, FIRST_FREE, SERVICE, SOON, Story, service

KINDS = ("ipaddresspools.metallb.io", "l2advertisements.metallb.io")


@pytest.fixture(scope="module")
def story(stentor_lab):
    """Everything is installed but the kinds, and Stentor runs."""
    for kind in KINDS:
        stentor_lab.kubectl("delete", "crd", kind)
    stentor_lab.kubectl("delete", "secret", "memberlist", "-n", NAMESPACE)
    made = Story(stentor_lab)
    made.set_up()
    return made


def troubles(lab, program, *words):
    return [line for line in lab.stentor.log(program).containing(*words) if line.get("event") == "apiTrouble"]


def test_a_missing_kind_is_one_clear_line_and_heals(story):
    lab = story.lab
    for program, kind in (("controller", KINDS[0]), ("speaker-node-1", KINDS[0]), ("speaker-node-1", KINDS[1])):
        lines = wait_for(lambda program=program, kind=kind: troubles(lab, program, kind), SOON, f"{program} misses {kind}")
        assert "is the CRD installed?" in lines[0]["msg"]
    lab.kubectl("apply", *[word for path in sorted((REPOSITORY / "crds").glob("*.yaml")) for word in ("-f", path)])
    wait_for(lambda: lab.kubectl("get", *KINDS[:1], "-n", NAMESPACE, check=False) is not None, SOON, "kinds are served")
    # Right after a CRD was created an object of its kind may be refused: "created" is not "served".
    wait_for(lambda: _applies(story), SOON, "the manifest can be applied")
    assert story.address_of(SERVICE, ADDRESS, deadline=3 * SOON) == ADDRESS
    story.speaker_is(ADDRESS, story.order[0], deadline=3 * SOON)
    for program in ("controller", "speaker-node-1"):
        assert len(troubles(lab, program, KINDS[0])) == 1, "told once, not at each attempt"


def _applies(story):
    try:
        story.apply_manifest()
    except Exception:  # noqa: BLE001: whatever kubectl says; the deadline ends it
        return False
    return True


def test_the_memberlist_secret_is_made_where_it_is_missing(story):
    lab = story.lab
    secret = wait_for(lambda: lab.get("secret", "memberlist", "-n", NAMESPACE), SOON, "the Secret")
    assert re.fullmatch("[A-Za-z0-9+/]{22}", _decoded(secret["data"]["secretkey"]))
    assert [(owner["kind"], owner["name"]) for owner in secret["metadata"]["ownerReferences"]] == [
        ("Deployment", "controller")]
    assert _decoded(secret["data"]["secretkey"]) not in lab.stentor.log("controller").path.read_text()


def _decoded(text):
    return base64.b64decode(text).decode()


def test_without_the_api_server_addresses_are_answered_and_move(story):
    lab = story.lab
    lab.control_plane.stop_apiserver()
    try:
        assert story.page(ADDRESS)
        lab.stentor.kill_speaker(story.order[0])
        story.speaker_is(ADDRESS, story.order[1])
        assert story.page(ADDRESS)
    finally:
        lab.control_plane.start_apiserver()
    lab.start_speaker(story.order[0])
    story.speaker_is(ADDRESS, story.order[0])


def test_after_the_outage_a_new_service_gets_its_address(story):
    story.lab.apply(json.dumps(service("later")))
    assert story.address_of("later") == FIRST_FREE
    assert story.page(FIRST_FREE)


@pytest.mark.parametrize("controller_sees_it", [True, False])
def test_a_service_that_is_no_load_balancer_any_more_loses_its_address(story, controller_sees_it):
    lab, name = story.lab, "fickle"
    lab.apply(json.dumps(service(name, "192.168.122.115")))
    story.address_of(name, "192.168.122.115")
    story.page("192.168.122.115")
    if not controller_sees_it:
        lab.stentor.stop_controller()
    lab.kubectl("patch", "service", name, "--type=merge", "-p", '{"spec":{"type":"ClusterIP","loadBalancerIP":null}}')
    if not controller_sees_it:
        lab.start_controller()
    story.silence("192.168.122.115")

    def cleared():
        found = lab.get("service", name)
        return (not found["status"].get("loadBalancer", {}).get("ingress") and
                ANNOTATION not in found["metadata"].get("annotations", {}))
    wait_for(cleared, SOON, "status and annotation are cleared")
    lab.apply(json.dumps(service("heir", "192.168.122.115")))
    story.address_of("heir", "192.168.122.115")
    lab.kubectl("delete", "service", name, "heir")
    story.silence("192.168.122.115")


def test_a_stopped_speaker_hands_its_address_on_and_nobody_died_of_it(story):
    lab = story.lab
    assert lab.stentor.stop_speaker(story.order[0]) == 0, "SIGTERM ends it in order"
    story.speaker_is(ADDRESS, story.order[1])
    lines = lab.stentor.log(f"speaker-{story.order[1]}").containing(story.order[0], "left")
    assert lines, "it said goodbye, nobody had to find out"
