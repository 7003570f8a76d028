# SPDX-License-Identifier: Apache-2.0
"""The webhooks with the real API server as their caller, and kubectl as its user: who is refused and why, conversion,
certificates that come, go and are tampered with. One lab, told from top to bottom."""
import base64
import concurrent.futures
import contextlib
import json
import os
import random
import re
import socket
import ssl
import threading
import time

import netns
import pytest
import stentor
from certificates import Authority
from lab import Lab
from processes import wait_for
from stentor import NAMESPACE
from story import SOON, service
from webhooks import CONFIGURATION, DEFINITION, PORT, SECRET, SERVICE, Webhooks, manifest

POOLS = {"one": ["192.0.2.0/28", "2001:db8::/120"], "two": ["192.0.2.64/28"]}
PEER = {"myASN": 64512, "peerASN": 64513, "peerAddress": "198.51.100.1", "bfdProfile": "fast"}
# What a user has: everything below is about one more object, or another version of one of these.
WORLD = [
    *(manifest("IPAddressPool", name, {"addresses": addresses}) for name, addresses in POOLS.items()),
    manifest("L2Advertisement", "all", {"ipAddressPools": ["one"]}),
    manifest("BGPAdvertisement", "routes", {"ipAddressPools": ["one"], "localPref": 100, "aggregationLength": 28}),
    manifest("BFDProfile", "fast", {"receiveInterval": 300}),
    manifest("BFDProfile", "unused", {"receiveInterval": 300}),
    manifest("BGPPeer", "router", PEER, version="v1beta2"),
    manifest("Community", "names", {"communities": [{"name": "mine", "value": "64512:1"}]})]
ELSEWHERE = f"resource must be created in {NAMESPACE} namespace"
SELECTOR = {"matchLabels": {"zone": "a"}}
EXPRESSION = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "a"]}]}


def ip_pool(name, *addresses, **more):
    return manifest("IPAddressPool", name, {"addresses": list(addresses), **more})


def peer(name, **spec):
    return manifest("BGPPeer", name, {"myASN": 64512, "peerASN": 64513, **spec}, version="v1beta2")


# name: (object, what MetalLB says); each is fine by the schema, or the webhook would not be the one that refuses it.
# Of two pools that overlap, the one whose name comes later is blamed, whichever was there first.
REFUSED = {
    "a pool that overlaps another": (
        ip_pool("x-more", "192.0.2.8/30"),
        'CIDR "192.0.2.8/30" in pool "x-more" overlaps with already defined CIDR "192.0.2.0/28"'),
    "a range that overlaps another pool": (
        ip_pool("x-more", "192.0.2.60-192.0.2.64"), 'overlaps with already defined CIDR "192.0.2.64/28"'),
    "a pool that overlaps itself": (
        ip_pool("x-more", "203.0.113.0/24", "203.0.113.7/32"),
        'CIDR "203.0.113.7/32" in pool "x-more" overlaps with already defined CIDR "203.0.113.0/24"'),
    "an IPv6 pool that overlaps another": (
        ip_pool("x-more", "2001:db8::80-2001:db8::8f"), 'overlaps with already defined CIDR "2001:db8::/120"'),
    "an AddressPool that overlaps an IPAddressPool": (
        manifest("AddressPool", "x-old", {"protocol": "layer2", "addresses": ["192.0.2.0/30"]}),
        'overlaps with already defined CIDR "192.0.2.0/28"'),
    "a namespace named twice": (
        ip_pool("x-more", "203.0.113.0/24", serviceAllocation={"namespaces": ["a", "a"]}),
        "duplicate definition in namespaces field"),
    "a namespace selector twice": (
        ip_pool("x-more", "203.0.113.0/24", serviceAllocation={"namespaceSelectors": [SELECTOR, SELECTOR]}),
        "duplicate definition of namespaceSelectors"),
    "a service selector twice": (
        ip_pool("x-more", "203.0.113.0/24", serviceAllocation={"serviceSelectors": [SELECTOR, SELECTOR]}),
        "duplicate definition of serviceSelectors"),
    "a value twice in a selector": (
        ip_pool("x-more", "203.0.113.0/24", serviceAllocation={"serviceSelectors": [EXPRESSION]}),
        "duplicate definition of match expression value"),
    "a pool in another namespace": (
        manifest("IPAddressPool", "x-more", {"addresses": ["203.0.113.0/24"]}, namespace="default"),
        ELSEWHERE),
    "an AddressPool in another namespace": (
        manifest("AddressPool", "x-old", {"protocol": "layer2", "addresses": ["203.0.113.0/24"]}, namespace="default"),
        ELSEWHERE),
    "an L2Advertisement in another namespace": (
        manifest("L2Advertisement", "x-more", {}, namespace="default"), ELSEWHERE),
    "a BGPAdvertisement in another namespace": (
        manifest("BGPAdvertisement", "x-more", {}, namespace="default"),
        ELSEWHERE),
    "a BGPPeer in another namespace": (
        manifest("BGPPeer", "x-more", PEER, version="v1beta2", namespace="default"),
        ELSEWHERE),
    "a BGPPeer of the old version in another namespace": (
        manifest("BGPPeer", "x-more", PEER, namespace="default"), ELSEWHERE),
    "a BFDProfile in another namespace": (
        manifest("BFDProfile", "x-more", {}, namespace="default"), ELSEWHERE),
    "a Community in another namespace": (
        manifest("Community", "x-more", {"communities": []}, namespace="default"),
        ELSEWHERE),
    "an L2Advertisement that names a pool twice": (
        manifest("L2Advertisement", "x-more", {"ipAddressPools": ["one", "one"]}),
        "duplicate definition of ipAddressPools"),
    "an L2Advertisement with a node selector twice": (
        manifest("L2Advertisement", "x-more", {"nodeSelectors": [SELECTOR, SELECTOR]}),
        "duplicate definition of nodeSelectors"),
    "a BGPAdvertisement that names a peer twice": (
        manifest("BGPAdvertisement", "x-more", {"ipAddressPools": ["two"], "peers": ["router", "router"]}),
        "duplicate definition of peers"),
    "an aggregation that is wider than the pool": (
        manifest("BGPAdvertisement", "x-more", {"ipAddressPools": ["two"], "aggregationLength": 26}),
        "invalid aggregation length 26: prefix 28 in this pool is more specific than the aggregation length"),
    "two local preferences for one route": (
        manifest("BGPAdvertisement", "x-more", {"ipAddressPools": ["one"], "localPref": 200, "aggregationLength": 28}),
        "local preferernce"),
    "a second BGPPeer with the same address": (
        peer("x-more", peerAddress="198.51.100.1"), "already exists, FRR mode doesn't support duplicate BGPPeers"),
    "a BGPPeer with another router ID": (
        peer("x-more", peerAddress="198.51.100.2", routerID="198.51.100.9"), "in FRR mode all RouterID must be equal"),
    "an old BGPPeer with the same address": (
        manifest("BGPPeer", "x-more", PEER), "already exists, FRR mode doesn't support duplicate BGPPeers"),
    "an alias that another Community has": (
        manifest("Community", "x-more", {"communities": [{"name": "mine", "value": "64512:2"}]}),
        'duplicate definition of community "mine"'),
}
ACCEPTED = {
    "a pool beside the others": ip_pool("more", "192.0.2.32/28", "2001:db8::1:0/120"),
    "a pool with every field": ip_pool("more", "203.0.113.0-203.0.113.9", autoAssign=False, avoidBuggyIPs=True,
                                       serviceAllocation={"priority": 5, "namespaces": ["a", "b"],
                                                          "namespaceSelectors": [SELECTOR]}),
    "an AddressPool beside the others": manifest("AddressPool", "old", {"protocol": "layer2",
                                                                       "addresses": ["192.0.2.32/28"]}),
    "an L2Advertisement for a pool that does not exist yet": manifest("L2Advertisement", "more",
                                                                     {"ipAddressPools": ["later"]}),
    "a BGPAdvertisement": manifest("BGPAdvertisement", "more", {"ipAddressPools": ["two"], "communities": ["mine"]}),
    "a BGPPeer for a profile that does not exist yet": peer("more", peerAddress="198.51.100.2", bfdProfile="later"),
    "a BGPPeer of the old version": manifest("BGPPeer", "more", {**PEER, "peerAddress": "198.51.100.2"}),
    "a BFDProfile": manifest("BFDProfile", "more", {"receiveInterval": 300, "echoMode": True}),
    "a Community": manifest("Community", "more", {"communities": [{"name": "other", "value": "64512:2"}]}),
}


@pytest.fixture(scope="module")
def world(stentor_lab_of_one):
    return Webhooks(stentor_lab_of_one)


@pytest.fixture(scope="module")
def stentor_lab_of_one(stentor_machine):
    with Lab(nodes=1) as made:
        yield made


def texts(secret):
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in secret.items()}


def owned_by_us(metadata):
    """The fields that the controller owns, as paths."""
    [entry] = [entry for entry in metadata["managedFields"] if "stentor" in entry["manager"]]
    assert entry["operation"] == "Apply"

    def walk(tree, path):
        leaves = [(key, below) for key, below in tree.items()]
        return [path] if not leaves else [found for key, below in leaves for found in walk(below, (*path, key))]
    return walk(entry["fieldsV1"], ())


# -- certificates ---------------------------------------------------------------------------------------------------


def test_it_is_ready_once_the_api_server_can_verify_it(world):
    """First without the right to put a certificate into the Secret: it waits, and says for what."""
    [role] = [one for one in stentor.shipped("Role") if one["metadata"]["name"] == "controller"]
    less = [rule for rule in role["rules"] if SECRET not in rule.get("resourceNames", [])]
    assert len(less) == len(role["rules"]) - 1
    world.apply({**role, "rules": less})
    world.lab.start_controller("--bgp-type=frr")
    wait_for(lambda: world.ready()[0] == 503 and "webhooks served" in world.ready()[1], SOON,
             "it says what it waits for")
    assert set(world.bundles().values()) == {None}
    assert world.lab.stentor.log("controller").containing("without it the webhooks can't be served")
    world.apply(role)
    world.wait_ready()
    world.granted = world.lab.control_plane.audited_so_far()
    data = texts(world.secret())
    assert set(data) == {"ca.crt", "ca.key", "tls.crt", "tls.key"} and all(data.values())
    bundles = world.bundles()
    assert {base64.b64decode(bundle).decode() for bundle in bundles.values()} == {data["ca.crt"]}
    assert len(bundles) == 8


def test_nothing_but_the_bundles_is_touched(world):
    """By server-side apply: whoever applies the manifests anew (kubectl, Helm, GitOps) has no conflict."""
    fields = owned_by_us(world.configuration()["metadata"])
    assert fields and {path[-1] for path in fields if path[-1] not in (".", "f:name")} == {"f:caBundle"}
    assert all(path[0] == "f:webhooks" for path in fields)
    fields = owned_by_us(world.definition()["metadata"])
    assert fields == [("f:spec", "f:conversion", "f:webhook", "f:clientConfig", "f:caBundle")]
    before = world.bundles()
    world.apply(*stentor.shipped("ValidatingWebhookConfiguration"),
                *[one for one in stentor.shipped("CustomResourceDefinition") if one["metadata"]["name"] == DEFINITION])
    assert world.bundles() == before


def test_the_keys_are_in_no_log(world):
    text = world.lab.stentor.log("controller").text()
    for name, value in texts(world.secret()).items():
        if name.endswith(".key"):
            assert value.splitlines()[1] not in text


# -- reviews --------------------------------------------------------------------------------------------------------


def test_a_good_set_is_accepted(world):
    world.apply(*WORLD)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(world, name):
    body, words = REFUSED[name]
    assert words in world.refusal(body).replace('\\"', '"')


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(world, name):
    said = world.create(ACCEPTED[name], "--dry-run=server")
    assert said[0] == 0, said[1]


def test_an_edit_into_a_conflict_is_refused_and_any_other_is_not(world):
    assert "overlaps with already defined CIDR" in world.refusal(ip_pool("two", "192.0.2.0/26"), "apply")
    world.apply(ip_pool("two", "192.0.2.64/27"))
    world.apply(WORLD[1])


def test_a_profile_that_is_used_stays_and_another_one_goes(world):
    code, said = world.kubectl("delete", "bfdprofile", "fast", "-n", NAMESPACE)
    assert code != 0 and "failed to delete BFDProfile fast, used by BGPPeer router" in said
    code, said = world.kubectl("delete", "bfdprofile", "unused", "-n", NAMESPACE)
    assert code == 0, said


def test_what_was_deleted_just_now_is_in_nobodys_way(world):
    """A webhook that looks at a watch would see it for a moment longer."""
    path = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}/ipaddresspools"
    for turn in range(20):
        old, new = f"turn-{turn}", f"turn-{turn + 1}"
        if turn == 0:
            world.lab.api.request("POST", path, ip_pool(old, "203.0.113.0/28"))
        world.lab.api.request("DELETE", f"{path}/{old}")
        world.lab.api.request("POST", path, ip_pool(new, f"203.0.113.0/{28 - turn % 4}"))
    world.lab.api.request("DELETE", f"{path}/{new}")


def test_of_two_that_exclude_each_other_one_is_refused_once_the_other_is_there(world):
    """At the very same moment MetalLB lets both in; whoever comes later is refused, and says so at once."""
    assert world.create(ip_pool("first", "203.0.113.0/28"))[0] == 0
    assert "overlaps" in world.refusal(ip_pool("second", "203.0.113.0/29"))
    world.delete(ip_pool("first"))


# -- conversion -----------------------------------------------------------------------------------------------------


def test_a_peer_is_read_and_written_in_both_versions(world):
    def read(version):
        return world.lab.get(f"bgppeers.{version}.metallb.io", "router", "-n", NAMESPACE)
    new, old = read("v1beta2"), read("v1beta1")
    assert (new["apiVersion"], old["apiVersion"]) == ("metallb.io/v1beta2", "metallb.io/v1beta1")
    for field, value in PEER.items():
        assert new["spec"][field] == old["spec"][field] == value
    world.lab.kubectl("patch", "bgppeers.v1beta2.metallb.io", "router", "-n", NAMESPACE, "--type=merge", "-p",
                      '{"spec": {"vrf": "red", "connectTime": "10s"}}')
    old = read("v1beta1")
    assert "vrf" not in old["spec"] and "connectTime" not in old["spec"]
    # A client of the old version writes it back: what that version does not know is not lost.
    old["spec"]["holdTime"] = "60s"
    world.lab.kubectl("replace", "-f", "-", input=json.dumps(old))
    new = read("v1beta2")
    assert (new["spec"]["holdTime"], new["spec"]["vrf"], new["spec"]["connectTime"]) == ("60s", "red", "10s")
    assert not [key for key in new["metadata"].get("annotations", {}) if "fields" in key]


def test_every_kind_can_be_read_in_every_version(world):
    """As it is shipped: a kind that is to be converted by somebody who can't would be unreadable."""
    world.accepted(manifest("AddressPool", "old", {"protocol": "layer2", "addresses": ["203.0.113.0/28"]}))
    for version in ("v1alpha1", "v1beta1"):
        found = world.lab.get(f"addresspools.{version}.metallb.io", "old", "-n", NAMESPACE)
        assert found["apiVersion"] == f"metallb.io/{version}"
    world.delete(manifest("AddressPool", "old"))


# -- what may happen to certificates --------------------------------------------------------------------------------


class Reviews:
    """Reviews without a pause while something happens; each that the webhooks do not answer is kept."""

    def __init__(self, world):
        self.world, self.failures, self.done = world, [], 0

    def __enter__(self):
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _run(self):
        path = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}/ipaddresspools?dryRun=All"
        while not self._over.is_set():
            try:
                self.world.lab.api.request("POST", path, ip_pool("probe", "203.0.113.0/28"))
                self.done += 1
            except Exception as error:  # noqa: BLE001: whatever it is, it is a review that failed
                self.failures.append(str(error))
            time.sleep(0.01)

    def more(self, count=20):
        """So many later."""
        wanted = self.done + count
        wait_for(lambda: self.done >= wanted or self.failures, SOON, "reviews go on")


def test_a_deleted_secret_is_made_anew_and_no_review_fails(world):
    before = world.secret()
    with Reviews(world) as reviews:
        world.lab.kubectl("delete", "secret", SECRET, "-n", NAMESPACE)
        after = wait_for(lambda: (data := world.secret()).get("tls.crt") and data, SOON, "a new Secret")
        wait_for(lambda: trusts_all(world), SOON, "all bundles hold the new authority")
        reviews.more()
    assert reviews.failures == []
    assert after["tls.key"] != "" and before["ca.crt"]


def trusts_all(world):
    """Every bundle holds the authority that the Secret has."""
    authorities = texts(world.secret())["ca.crt"]
    first = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", authorities, re.S)[0]
    return all(bundle and first in base64.b64decode(bundle).decode() for bundle in world.bundles().values())


def test_garbage_in_the_secret_is_replaced_and_no_review_fails(world):
    data = {"ca.crt": b"\x00\xff\xfe" * 300, "ca.key": b"", "tls.crt": b"no PEM", "tls.key": b"-----BEGIN PRIVATE"}
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    with Reviews(world) as reviews:
        world.lab.kubectl("patch", "secret", SECRET, "-n", NAMESPACE, "--type=merge", "-p",
                          json.dumps({"data": encoded}))
        wait_for(lambda: all(value not in ("", encoded.get(key)) for key, value in world.secret().items()), 2 * SOON,
                 "the Secret is as it should be")
        wait_for(lambda: trusts_all(world), SOON, "the bundles follow")
        reviews.more()
    assert reviews.failures == []


def patch_configuration(world, patch):
    world.lab.kubectl("patch", "validatingwebhookconfiguration", CONFIGURATION, "--type=json", "-p", json.dumps(patch))


def test_a_bundle_that_is_wiped_or_wrong_is_restored(world):
    for value in (None, base64.b64encode(world.lab.control_plane.ca.read_bytes()).decode()):
        patch = [{"op": "remove" if value is None else "replace", "path": "/webhooks/0/clientConfig/caBundle",
                  **({} if value is None else {"value": value})}]
        patch_configuration(world, patch)
        wait_for(lambda: trusts_all(world), SOON, "the webhook's bundle is restored")
        patch[0]["path"] = "/spec/conversion/webhook/clientConfig/caBundle"
        world.lab.kubectl("patch", "crd", DEFINITION, "--type=json", "-p", json.dumps(patch))
        wait_for(lambda: trusts_all(world), SOON, "the converter's bundle is restored")
    accepted_soon(world)


def accepted_soon(world, deadline=SOON):
    wait_for(lambda: world.create(ip_pool("probe", "203.0.113.0/28"), "--dry-run=server")[0] == 0, deadline,
             "a good pool is accepted")


def test_a_configuration_made_anew_is_completed(world):
    world.lab.kubectl("delete", "validatingwebhookconfiguration", CONFIGURATION)
    world.apply(*stentor.shipped("ValidatingWebhookConfiguration"))
    wait_for(lambda: trusts_all(world), SOON, "the new object is completed")
    accepted_soon(world)


# -- junk at the port -----------------------------------------------------------------------------------------------


JUNK = [
    b"", b"\x00" * 2000, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /convert HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
    b"POST /validate-metallb-io-v1beta1-ipaddresspool HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\nno JSON",
    b"POST /convert HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]",
    b"POST /validate-metallb-io-v1beta1-community HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n" + b"[" * 90000,
    b"POST /validate-metallb-io-v1beta2-bgppeer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
    json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": 7}}).encode()]


def flood(world, over, seed):
    """Junk, half of it inside TLS; every tenth connection is left open without a word."""
    chance, context, kept = random.Random(seed), ssl.create_default_context(), []
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sent = 0
    while not over.is_set():
        with contextlib.suppress(OSError):
            with netns.entered(world.lab.network.control):
                connection = socket.create_connection((world.lab.control_plane.address, PORT), timeout=1)
            if chance.random() < 0.1 and len(kept) < 20:
                kept.append(connection)
                continue
            if chance.random() < 0.5:
                connection = context.wrap_socket(connection)
            connection.sendall(chance.choice(JUNK) or os.urandom(500))
            if chance.random() < 0.3:
                connection.recv(1000)
            connection.close()
            sent += 1
    for connection in kept:
        connection.close()
    return sent


def test_junk_at_the_port_keeps_no_review_from_its_answer(world):
    over = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        floods = [threads.submit(flood, world, over, seed) for seed in range(6)]
        with Reviews(world) as reviews:
            reviews.more(100)
        over.set()
        sent = sum(one.result() for one in floods)
    assert reviews.failures == []
    assert sent > 100
    assert not world.lab.stentor.dead()


# -- started otherwise ----------------------------------------------------------------------------------------------


def listens(world):
    return f":{PORT} " in world.lab.beside_api("ss", "-Hltn")


def test_without_a_controller_the_failure_policy_decides(world):
    assert listens(world)
    world.lab.stentor.stop_controller()
    code, said = world.create(ip_pool("probe", "203.0.113.0/28"), "--dry-run=server")
    assert code != 0 and "failed calling webhook" in said
    ignore = [{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]
    patch_configuration(world, ignore)
    accepted_soon(world)
    # The schema goes on to refuse what it can, in MetalLB's words.
    code, said = world.create(ip_pool("probe", "203.0.113.9-203.0.113.1"), "--dry-run=server")
    assert code != 0 and "invalid IP range: start IP is after the end IP" in said
    ignore[0]["value"] = "Fail"
    patch_configuration(world, ignore)


def test_disabled_webhooks_are_not_served_and_services_are(world):
    since = world.lab.control_plane.audited_so_far()
    world.start("--webhook-mode=disabled")
    assert not listens(world)
    world.lab.apply(json.dumps(service("plain")))
    wait_for(lambda: world.lab.service_addresses("plain"), SOON, "a Service gets its address")
    world.lab.kubectl("delete", "service", "plain")
    asked = {entry["resource"] for entry in world.lab.control_plane.audit(since=since)}
    assert not asked & {"validatingwebhookconfigurations", "customresourcedefinitions"}
    world.lab.stentor.stop_controller()


def test_only_webhooks_serve_no_service(world):
    since = world.lab.control_plane.audited_so_far()
    world.start("--webhook-mode=onlywebhook")
    assert listens(world)
    accepted_soon(world)
    world.lab.apply(json.dumps(service("plain")))
    assert "overlaps" in world.refusal(ip_pool("more", "192.0.2.0/30"))
    asked = {entry["resource"] for entry in world.lab.control_plane.audit(since=since)}
    assert not asked & {"services", "leases", "configurationstates"}
    assert world.lab.service_addresses("plain") == []
    world.lab.kubectl("delete", "service", "plain")
    world.lab.stentor.stop_controller()


def test_certificates_of_somebody_else(world):
    """Made with openssl, as cert-manager would put them into a folder; the bundle is that one's task too."""
    folder = world.lab.folder / "external"
    authority = Authority(folder / "pki")
    served = folder / "served"
    served.mkdir()

    def put(hosts):
        certificate, key = authority.issue("webhook", SERVICE, hosts=hosts)
        for name, path in (("tls.crt", certificate), ("tls.key", key)):
            (served / f"{name}.new").write_bytes(path.read_bytes())
            (served / f"{name}.new").chmod(0o644)
            (served / f"{name}.new").rename(served / name)
    before = world.bundles(), world.secret()
    world.lab.start_controller("--disable-cert-rotation", f"--cert-dir={served}")
    wait_for(lambda: world.ready()[0] == 503, SOON, "it is not ready without a certificate")
    put(["somebody-else.example"])
    wait_for(lambda: "webhooks served" in world.ready()[1], SOON, "nor with one for another name")
    assert world.ready()[0] == 503
    put([f"{SERVICE}.{NAMESPACE}.svc"])
    world.wait_ready()
    assert (world.bundles(), world.secret()) == before, "nothing is written"
    bundle = base64.b64encode(authority.certificate.read_bytes()).decode()
    patch = [{"op": "replace", "path": f"/webhooks/{place}/clientConfig/caBundle", "value": bundle}
             for place in range(7)]
    patch_configuration(world, patch)
    accepted_soon(world)
    put([f"{SERVICE}.{NAMESPACE}.svc"])  # it is renewed
    accepted_soon(world)
    world.lab.stentor.stop_controller()


def test_our_own_take_over_again(world):
    world.start()
    assert trusts_all(world)
    accepted_soon(world)


def test_nobody_was_refused_anything(world):
    """What the controller asked of the API server, the shipped RBAC grants."""
    refused = [entry for entry in world.lab.control_plane.audit(since=world.granted) if entry["code"] == 403]
    assert refused == []
