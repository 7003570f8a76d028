# SPDX-License-Identifier: Apache-2.0
"""Metrics and probes of both programs, on MetalLB's ports and by its names, as Prometheus and kubelets would ask.

One lab; each test goes on where the one before stopped."""
import json
import re
import subprocess

import pytest
from network import CONTROL_ADDRESS
from processes import wait_for
from story import ADDRESS, POOL, SERVICE, SOON, Story, service

PORT, PLAIN_PORT, PROBE_PORT = 9120, 7472, 17472
READER = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: default}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: stranger, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reads-metrics}
rules: [{nonResourceURLs: [/metrics], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reads-metrics}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reads-metrics}
subjects: [{kind: ServiceAccount, name: reader, namespace: default}]
"""
SAMPLE = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$')
ALLOCATOR = ["addresses_total", "addresses_in_use_total", "ipv4_addresses_total", "ipv4_addresses_in_use_total",
             "ipv6_addresses_total", "ipv6_addresses_in_use_total"]


def samples(text):
    """{name: {((label, value), …): number}}"""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            pairs = tuple(re.findall(r'(\w+)="([^"]*)"', labels or ""))
            found.setdefault(name, {})[pairs] = float(value)
    return found


class Scraper:
    def __init__(self, lab):
        self.lab = lab
        lab.apply(READER)
        for name in ("reader", "stranger"):
            wait_for(lambda name=name: lab.get("serviceaccount", name), SOON, f"the ServiceAccount {name}")
        self.token = lab.control_plane.token("default", "reader")
        self.strangers_token = lab.control_plane.token("default", "stranger")

    def curl(self, namespace, url, token=None, *options):
        """(status code, body); code 0 where there was no answer."""
        header = ["-H", f"Authorization: Bearer {token}"] if token else []
        done = subprocess.run(
            ["ip", "netns", "exec", namespace, "curl", "-sk", "--max-time", "5", "-w", "\n%{http_code}", *header,
             *options, url], capture_output=True, text=True, timeout=20)
        body, _, code = done.stdout.rpartition("\n")
        return int(code or 0), body

    def controller(self, token=None, scheme="https", port=PORT, path="/metrics", *options):
        return self.curl(self.lab.network.control, f"{scheme}://{CONTROL_ADDRESS}:{port}{path}", token, *options)

    def speaker(self, node, token=None, scheme="https", port=PORT, path="/metrics"):
        node = self.lab.nodes[node]
        return self.curl(node.namespace, f"{scheme}://{node.address}:{port}{path}", token)

    def probe(self, namespace, path, address="127.0.0.1"):
        return self.curl(namespace, f"http://{address}:{PROBE_PORT}{path}")

    def of_controller(self):
        code, text = self.controller(self.token)
        assert code == 200, text
        return samples(text)

    def of_speaker(self, node):
        code, text = self.speaker(node, self.token)
        assert code == 200, text
        return samples(text)

    def pool(self, metric, name=POOL):
        return self.of_controller().get(f"metallb_allocator_{metric}", {}).get((("pool", name),))


@pytest.fixture(scope="module")
def story(stentor_lab):
    made = Story(stentor_lab)
    made.set_up(f"--port={PORT}")
    return made


@pytest.fixture(scope="module")
def scraper(story):
    return Scraper(story.lab)


def everybody(story, scraper):
    return [scraper.controller, *[lambda *a, node=node, **k: scraper.speaker(node, *a, **k) for node in story.order]]


def test_probes_say_ok_once_everything_is_read(story, scraper):
    places = [story.lab.network.control, *[node.namespace for node in story.lab.nodes.values()]]
    for namespace in places:
        wait_for(lambda: scraper.probe(namespace, "/readyz") == (200, "ok\n"), SOON, f"{namespace} is ready")
        assert scraper.probe(namespace, "/healthz") == (200, "ok\n")
        assert scraper.probe(namespace, "/")[0] == 404
    # The controller's kubelet asks at its pod's address; a speaker is on the host's network, and nobody else's affair.
    assert scraper.probe(story.lab.network.control, "/readyz", CONTROL_ADDRESS)[0] == 200
    node = story.lab.nodes[story.order[0]]
    assert scraper.probe(node.namespace, "/readyz", node.address)[0] == 0


def test_a_token_decides_who_reads(story, scraper):
    for ask in everybody(story, scraper):
        code, body = ask()
        assert code == 401 and "metallb_" not in body
        assert ask("forged")[0] == 401
        code, body = ask(scraper.strangers_token)
        assert code == 403 and "metallb_" not in body
        code, body = ask(scraper.token)
        assert code == 200 and "metallb_k8s_client_config_loaded_bool" in body
        assert ask(scheme="http")[0] in (0, 400), "no plain HTTP on this port"


def test_the_api_server_is_asked_seldom(story, scraper):
    """Ten scrapes within the time that an answer is kept are at most two questions of each kind."""
    def reviews():
        return len(story.lab.control_plane.audit(account="controller", resource="tokenreviews"))
    before = reviews()
    for _ in range(10):
        assert scraper.controller(scraper.token)[0] == 200
    assert reviews() - before <= 2


def test_tls_1_2_is_refused(story, scraper):
    assert scraper.controller(scraper.token, "https", PORT, "/metrics", "--tls-max", "1.2")[0] == 0
    assert scraper.controller(scraper.token, "https", PORT, "/metrics", "--tlsv1.3")[0] == 200


def test_nothing_else_is_served_there(story, scraper):
    for path in ("/", "/debug/pprof/", "/healthz"):
        assert scraper.controller(scraper.token, path=path)[0] == 404
    assert scraper.controller(scraper.token, "https", PORT, "/metrics", "-X", "POST")[0] == 405


def test_an_allocation_is_counted(story, scraper):
    assert scraper.pool("addresses_total") is None, "no pool yet"
    updates = scraper.of_controller()["metallb_k8s_client_updates_total"][()]
    story.apply_manifest()
    story.address_of(SERVICE, ADDRESS)
    seen = scraper.of_controller()
    assert {name for name in seen if name.startswith("metallb_allocator_")} == {
        f"metallb_allocator_{name}" for name in ALLOCATOR}
    total = scraper.pool("addresses_total")
    assert total > 0 and total == scraper.pool("ipv4_addresses_total") and scraper.pool("ipv6_addresses_total") == 0
    assert scraper.pool("addresses_in_use_total") == scraper.pool("ipv4_addresses_in_use_total") == 1
    assert seen["metallb_k8s_client_updates_total"][()] > updates
    assert seen["metallb_k8s_client_config_loaded_bool"] == {(): 1}
    assert seen["metallb_k8s_client_config_stale_bool"] == {(): 0}

    story.lab.apply(json.dumps(service("second")))
    story.address_of("second")
    assert scraper.pool("addresses_in_use_total") == 2
    story.delete("second")
    wait_for(lambda: scraper.pool("addresses_in_use_total") == 1, SOON, "the address counts as free again")


def test_one_speaker_says_that_it_announces(story, scraper):
    winner = story.order[0]
    story.speaker_is(ADDRESS, winner)
    labels = (("service", f"default/{SERVICE}"), ("protocol", "layer2"), ("node", winner), ("ip", ADDRESS))

    def announced(node):
        return scraper.of_speaker(node).get("metallb_speaker_announced", {})
    assert announced(winner) == {labels: 1}
    for node in story.order[1:]:
        assert announced(node) == {}
    assert story.lab.poller.arping(ADDRESS, count=2, timeout=4)
    seen = scraper.of_speaker(winner)
    for name in ("requests_received", "responses_sent", "gratuitous_sent"):
        assert seen[f"metallb_layer2_{name}"][(("ip", ADDRESS),)] >= 1, name


def test_members_and_drops_are_counted(story, scraper):
    for node in story.order:
        wait_for(lambda: scraper.of_speaker(node)["stentor_membership_alive_members"] == {(): 3}, SOON,
                 f"{node} sees three speakers")
        seen = scraper.of_speaker(node)
        assert (("reason", "not_announced"),) in seen["stentor_arp_dropped_frames_total"]
        assert (("reason", "bad_magic"),) in seen["stentor_membership_dropped_datagrams_total"]
    victim = story.order[0]
    story.lab.stentor.kill_speaker(victim)
    wait_for(lambda: scraper.of_speaker(story.order[1])["stentor_membership_alive_members"] == {(): 2}, SOON,
             "one is dead")
    story.speaker_is(ADDRESS, story.order[1])
    assert scraper.of_speaker(story.order[1])["metallb_speaker_announced"]
    story.lab.stentor.start_speaker(victim, f"--port={PORT}")
    story.speaker_is(ADDRESS, victim)
    wait_for(lambda: "metallb_speaker_announced" not in scraper.of_speaker(story.order[1]), SOON,
             "the series is gone with the announcement")


def test_a_refused_configuration_shows_and_a_deleted_pool_vanishes(story, scraper):
    def stale():
        return scraper.of_controller()["metallb_k8s_client_config_stale_bool"][()]
    errors = scraper.of_controller()["metallb_k8s_client_update_errors_total"][()]
    bad = {"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
           "metadata": {"name": "bad", "namespace": "metallb-system"}, "spec": {"addresses": ["2001:db8::9-2001:db8::1"]}}
    story.lab.apply(json.dumps(bad))
    wait_for(lambda: stale() == 1, SOON, "the configuration is stale")
    assert scraper.of_controller()["metallb_k8s_client_update_errors_total"][()] > errors
    assert scraper.probe(story.lab.network.control, "/readyz")[0] == 200
    bad["spec"]["addresses"] = ["192.0.2.1-192.0.2.9", "2001:db8::1-2001:db8::4"]
    story.lab.apply(json.dumps(bad))
    wait_for(lambda: scraper.pool("addresses_total", "bad") == 13, SOON, "the corrected pool counts")
    assert stale() == 0
    assert scraper.pool("ipv6_addresses_total", "bad") == 4
    story.lab.kubectl("delete", "ipaddresspool", "bad", "-n", "metallb-system")
    wait_for(lambda: scraper.pool("addresses_total", "bad") is None, SOON, "the series of the pool are gone")


def test_without_the_api_server_nobody_is_let_in_and_the_probes_stay(story, scraper):
    scraper.lab.control_plane.stop_apiserver()
    try:
        fresh = "never-seen"
        wait_for(lambda: scraper.speaker(story.order[0], fresh)[0] == 503, SOON, "503 for an unknown token")
        namespace = story.lab.nodes[story.order[0]].namespace
        assert scraper.probe(namespace, "/healthz")[0] == 200
        assert scraper.probe(namespace, "/readyz")[0] == 200, "what is known stays in force"
    finally:
        scraper.lab.control_plane.start_apiserver()


def test_port_7472_is_plain_and_open_as_before_metallb_0_16(story, scraper):
    story.lab.stentor.stop_controller()
    story.lab.start_controller(f"--port={PLAIN_PORT}")
    code, text = wait_for(lambda: (found := scraper.controller(scheme="http", port=PLAIN_PORT))[0] == 200 and found,
                          SOON, "metrics without TLS and token")
    assert "metallb_k8s_client_updates_total" in samples(text)
    assert scraper.controller(scraper.token)[0] == 0, "nothing listens on the other port"


def test_port_0_serves_no_metrics_but_probes(story, scraper):
    story.lab.stentor.stop_controller()
    story.lab.start_controller()
    wait_for(lambda: scraper.probe(story.lab.network.control, "/readyz")[0] == 200, SOON, "ready")
    for port in (PORT, PLAIN_PORT):
        assert scraper.controller(scraper.token, port=port)[0] == 0
