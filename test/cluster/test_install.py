# SPDX-License-Identifier: Apache-2.0
"""Stentor installed as its users install it: by Helm, and by kubectl from the rendered manifests.

One story for each way, told from top to bottom: each test goes on where the one before stopped. The judges are
kubectl, Helm, curl and arping outside the nodes, the kernel's account of the processes, the audit log, Prometheus.
"""
import json
import re

import pytest
import rights
from installation import ROLLOUT, ClusterStory, ContainerProcess, Installation, complaint, refusal, web
from processes import wait_for
from prometheus import Prometheus
from stentor import NAMESPACE
from story import ADDRESS, ANNOTATION, APP, POOL, SERVICE, pool, service

# Made by Kubernetes itself, or on their way out.
PASSING = re.compile(r"^(event|lease|endpointslice|componentstatus|replicaset|pod|controllerrevision)s?\b")


def objects(cluster):
    """kind/namespace/name of every lasting object in the cluster."""
    found = set()
    for kind in cluster.kubectl("api-resources", "--verbs=list", "-o", "name").split():
        if not PASSING.match(kind):
            listed = cluster.kubectl("get", kind, "--all-namespaces", "--ignore-not-found", "-o",
                                     "custom-columns=NS:.metadata.namespace,NAME:.metadata.name", "--no-headers")
            found |= {f"{kind}/" + "/".join(line.split()) for line in listed.splitlines() if line.strip()}
    return found


@pytest.fixture(scope="module", params=["helm", "kubectl"])
def story(request, stentor_cluster):
    cluster = stentor_cluster
    cluster.audit_from_here = len(cluster.control_plane.audit_log.read_text()) if \
        cluster.control_plane.audit_log.exists() else 0
    installation = Installation(cluster, request.param)
    made = ClusterStory(cluster, installation)
    made.before = objects(cluster)
    try:
        made.set_up()
        made.apply_manifest()
        yield made
    finally:
        installation.remove_everything()


def test_the_manifest_gets_the_address_it_asks_for(story):
    assert story.address_of(SERVICE, ADDRESS) == ADDRESS
    assert story.installation.services() == {SERVICE: ([ADDRESS], POOL)}


def test_a_host_outside_the_nodes_gets_a_page(story):
    assert story.page(ADDRESS)


def test_one_node_answers_and_it_is_the_elected_one(story):
    mac = story.speaker_is(ADDRESS, story.order[0])
    assert story.lab.poller.arping(ADDRESS, count=3, timeout=4) == [mac], "one MAC, each time"


NOTHING, NET_RAW = 0, 1 << 13  # bits of linux/capability.h


@pytest.mark.parametrize("component, capabilities, user", [("controller", NOTHING, 65534), ("speaker", NET_RAW, 0)])
def test_the_kernel_grants_no_more_than_is_needed(story, component, capabilities, user):
    [pod, *_] = story.installation.pods(component)
    process = ContainerProcess(pod, f"/{component}")
    assert {process.status(f"Cap{which}") for which in ("Eff", "Prm", "Bnd")} == {f"{capabilities:016x}"}
    assert process.status("Uid").split() == [str(user)] * 4
    assert process.status("NoNewPrivs") == "1"
    assert process.status("Seccomp") == "2", "a seccomp filter is at work"
    # What it can write to is memory, or what the kubelet gives to every container.
    writable = [where for _, where, kind, options in process.mounts()
                if "rw" in options.split(",") and kind not in ("tmpfs", "proc", "sysfs", "devpts", "mqueue", "cgroup",
                                                               "cgroup2")]
    assert "/" not in writable
    saved = {"/var/lib/stentor"} if component == "speaker" else set()
    assert set(writable) <= {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/termination-log"} | saved


def test_the_pods_meet_the_strictest_pod_security_they_can(story):
    """The controller runs in a namespace that enforces `restricted`; the speaker breaks it in what it cannot do
    without: the host's network, its ports, probes on 127.0.0.1, NET_RAW, root, and no more."""
    lab = story.lab
    lab.kubectl("create", "namespace", "strict")
    try:
        lab.kubectl("label", "namespace", "strict", "pod-security.kubernetes.io/enforce=restricted")
        for component, refused in (("controller", set()), ("speaker", {
                "host namespaces", "hostPort", "probe or lifecycle host", "unrestricted capabilities",
                "runAsNonRoot != true"})):
            [pod, *_] = story.installation.pods(component)
            spec = {key: value for key, value in pod["spec"].items() if key not in (
                "serviceAccount", "serviceAccountName", "nodeName", "tolerations", "priority", "priorityClassName",
                "preemptionPolicy")}
            said = refusal(lab, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "try", "namespace": "strict"},
                                 "spec": spec})
            violated = said.partition("violates PodSecurity")[2].partition(": ")[2]
            assert set(re.findall(r"(?:^|\), )([^(]+) \(", violated)) == refused, said
    finally:
        lab.kubectl("delete", "namespace", "strict", "--wait=false")


# -- webhooks -----------------------------------------------------------------------------------------------------

DENIED = {
    # what: (object, which webhook, why)
    "overlapping pools": (pool("overlapping", f"{ADDRESS}/32"), "ipaddresspool",
                          f'CIDR "{ADDRESS}/32" in pool "overlapping" overlaps with already defined CIDR'),
    "a pool elsewhere": ({**pool("elsewhere", "192.0.2.0/24"), "metadata": {"name": "elsewhere"}}, "ipaddresspool",
                         "resource must be created in metallb-system namespace"),
}


@pytest.mark.parametrize("what", DENIED)
def test_the_api_server_asks_the_webhooks(story, what):
    """What no schema can know: other objects, and the controller's namespace. The words are MetalLB's."""
    manifest, webhook, why = DENIED[what]
    said = refusal(story.lab, manifest)
    assert f'admission webhook "{webhook}validationwebhook.metallb.io" denied the request: ' in said and why in said
    assert refusal(story.lab, pool("fine", "192.0.2.0/24")) == ""


def metallb(kind, name, version="v1beta1", **spec):
    return {"apiVersion": f"metallb.io/{version}", "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": spec}


def test_bgp_is_stored_checked_converted_and_said_to_be_without_effect(story):
    lab = story.lab
    peer = {"myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.1", "bfdProfile": "fast", "vrf": "red",
            "connectTime": "10s"}
    for one in (metallb("BFDProfile", "fast"), metallb("Community", "named"), metallb("BGPAdvertisement", "all"),
                metallb("BGPPeer", "router", "v1beta2", **peer)):
        lab.apply(json.dumps(one))
    try:
        # The older version has no such field, and an object that is written back in it does not lose one.
        old = lab.get("bgppeers.v1beta1.metallb.io", "router", "-n", NAMESPACE)
        assert old["apiVersion"] == "metallb.io/v1beta1" and not {"vrf", "connectTime"} & old["spec"].keys()
        old["spec"]["holdTime"] = "90s"
        lab.kubectl("replace", "-f", "-", input=json.dumps(old))
        new = lab.get("bgppeers.v1beta2.metallb.io", "router", "-n", NAMESPACE)
        assert {**peer, "holdTime": "90s"}.items() <= new["spec"].items()

        said = complaint(lab, "delete", "bfdprofile", "fast", "-n", NAMESPACE)
        assert "failed to delete BFDProfile fast, used by BGPPeer router" in said

        def noticed():
            status = lab.get("configurationstate", "controller", "-n", NAMESPACE)["status"]
            return {one["type"]: one["status"] for one in status["conditions"]}.get("bgpAnnounced") == "False" \
                and status["result"] == "Valid"
        wait_for(noticed, ROLLOUT, "the ConfigurationState says that BGP is not there")
        # One event, about one of them.
        events = [event for name in ("all", "router") for event in lab.events(name, "LayerTwoOnly", NAMESPACE)]
        assert [event["type"] for event in events] == ["Warning"]
    finally:
        lab.kubectl("delete", "bgppeers,bgpadvertisements,communities", "--all", "-n", NAMESPACE)
        lab.kubectl("delete", "bfdprofiles", "--all", "-n", NAMESPACE)


def test_status_that_somebody_edits_is_put_right(story):
    lab = story.lab

    def usage():
        status = lab.get("ipaddresspool", POOL, "-n", NAMESPACE).get("status", {})
        return status.get("assignedIPv4"), status.get("availableIPv4")
    wait_for(lambda: usage() == (1, 9), ROLLOUT, lambda: f"the pool's status tells its use; it is {usage()}")
    lab.kubectl("patch", "ipaddresspool", POOL, "-n", NAMESPACE, "--subresource=status", "--type=merge", "--patch",
                json.dumps({"status": {"assignedIPv4": 7}}))
    wait_for(lambda: usage() == (1, 9), ROLLOUT, lambda: f"the pool's status is put right; it is {usage()}")

    def labels():
        return lab.get("configurationstate", "controller", "-n", NAMESPACE)["metadata"].get("labels", {})
    before = labels()
    lab.kubectl("label", "configurationstate", "controller", "-n", NAMESPACE, "metallb.io/component-type-")
    wait_for(lambda: before and labels() == before, ROLLOUT, "the ConfigurationState's label is put right")


def test_a_pod_is_ready_when_the_api_server_can_call_its_webhooks_and_not_before(story):
    [pod] = story.installation.pods("controller")
    [ready] = [one for one in pod["status"]["conditions"] if one["type"] == "Ready"]
    callable_since = [line["ts"] for name, line in story.installation.log_lines()
                      if name == pod["metadata"]["name"] and line.get("event") == "webhooksReady"]
    assert ready["status"] == "True" and callable_since
    assert ready["lastTransitionTime"][:19] >= callable_since[0][:19]
    _, bundles = story.installation.webhook_trust()
    assert len(bundles) == 8 and all(bundles) and len(set(bundles)) == 1


def test_deleting_the_announcing_speakers_pod_moves_the_address(story):
    [pod] = story.installation.pods("speaker", node=story.order[0])
    story.lab.kubectl("delete", "pod", pod["metadata"]["name"], "-n", NAMESPACE, "--wait=false")
    wait_for(lambda: story.lab.speaker_of(ADDRESS) == story.order[1], ROLLOUT, f"{story.order[1]} takes over", every=0)
    assert story.page(ADDRESS)
    # Its successor is the same node's: the election is MetalLB's, and has no memory.
    story.installation.wait_rolled_out()
    story.speaker_is(ADDRESS, story.order[0], deadline=ROLLOUT)


def test_a_pool_for_one_team_serves_no_other(story):
    story.lab.apply(json.dumps({
        "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
        "metadata": {"name": "team", "namespace": NAMESPACE},
        "spec": {"addresses": ["192.168.122.130/32"], "serviceAllocation": {
            "priority": 1, "namespaceSelectors": [{"matchLabels": {"kubernetes.io/metadata.name": "team"}}]}}}))
    story.lab.apply(json.dumps(service("not-of-the-team")))
    assert story.address_of("not-of-the-team") != "192.168.122.130"
    story.delete("not-of-the-team")
    story.lab.kubectl("delete", "ipaddresspool", "team", "-n", NAMESPACE)


def test_a_service_that_changes_its_type_gives_its_address_back(story):
    story.lab.apply(json.dumps(service("second")))
    story.address_of("second")
    story.lab.kubectl("patch", "service", "second", "--patch", json.dumps({"spec": {"type": "ClusterIP"}}))
    wait_for(lambda: not story.lab.service_addresses("second"), ROLLOUT, "the address is given back")
    story.lab.kubectl("delete", "service", "second")


def test_restarting_both_workloads_changes_no_address(story):
    before = story.versions()
    story.installation.restart("controller", "speaker")
    story.speaker_is(ADDRESS, story.order[0], deadline=ROLLOUT)
    assert story.page(ADDRESS)
    assert story.versions() == before, "no Service was even written to"


def test_prometheus_has_the_metrics_with_a_token_and_is_refused_without(story, tmp_path):
    # 198.18.0.0/15 and the pods' networks: a Prometheus beside the cluster reaches all pods.
    with Prometheus(story.lab, NAMESPACE, tmp_path) as prometheus:
        pods = {pod["metadata"]["name"] for pod in story.installation.pods()}
        wait_for(lambda: {name: health for name, (health, _) in prometheus.targets("with-token").items()}
                 == dict.fromkeys(pods, "up"), ROLLOUT, lambda: f"all are scraped: {prometheus.targets('with-token')}")
        wait_for(lambda: {name: health for name, (health, _) in prometheus.targets("without-token").items()}
                 == dict.fromkeys(pods, "down"), ROLLOUT, "none is scraped without a token")
        assert all(re.search(r"401|403", error) for _, error in prometheus.targets("without-token").values())

        assert prometheus.names("controller") >= {
            "metallb_allocator_addresses_total", "metallb_allocator_addresses_in_use_total",
            "metallb_allocator_ipv4_addresses_total", "metallb_allocator_ipv4_addresses_in_use_total",
            "metallb_allocator_ipv6_addresses_total", "metallb_allocator_ipv6_addresses_in_use_total",
            "metallb_k8s_client_updates_total", "metallb_k8s_client_update_errors_total",
            "metallb_k8s_client_config_loaded_bool", "metallb_k8s_client_config_stale_bool"}
        assert prometheus.names("speaker") >= {
            "metallb_speaker_announced", "metallb_layer2_requests_received", "metallb_layer2_responses_sent",
            "metallb_layer2_gratuitous_sent", "metallb_k8s_client_config_loaded_bool"}
        assert list(prometheus.value('metallb_allocator_addresses_in_use_total{job="with-token"}').values()) == [1]
        [announcing] = story.installation.pods("speaker", node=story.order[0])
        assert prometheus.value(f'metallb_speaker_announced{{ip="{ADDRESS}",service="default/{SERVICE}"}}') == {
            announcing["metadata"]["name"]: 1}
        assert prometheus.names("speaker", job="without-token") <= {"up", "scrape_duration_seconds",
                                                                    "scrape_samples_scraped", "scrape_series_added",
                                                                    "scrape_samples_post_metric_relabeling"}


def test_an_upgrade_changes_no_address(story):
    before, trust = story.installation.services(), story.installation.webhook_trust()
    story.installation.upgrade(*(["--set", "speaker.logLevel=debug"] if story.installation.way == "helm" else []))
    story.speaker_is(ADDRESS, story.order[0], deadline=ROLLOUT)
    assert story.page(ADDRESS)
    assert story.installation.services() == before
    # Neither Helm nor kubectl takes away what the controller wrote into objects that they brought.
    assert story.installation.webhook_trust() == trust


def test_the_logs_have_no_error_line(story):
    story.installation.wait_settled()
    lines = story.installation.log_lines()
    assert {component for component in ("controller", "speaker")
            if any(component in pod for pod, _ in lines)} == {"controller", "speaker"}
    assert [(pod, line) for pod, line in lines if line["level"] == "error"] == []


def test_what_the_api_was_asked_is_what_the_roles_grant(story):
    cluster = story.lab
    # A watch is audited when it ends, so all that run are ended; and these rights are used when a release is new.
    story.installation.restart("controller", "speaker")
    asked = rights.asked(cluster.control_plane.audit_log, cluster.audit_from_here)
    assert [(entry, where) for entry, code, where in asked if code == 403] == []
    accounts = {pod["spec"]["serviceAccountName"] for pod in story.installation.pods()}
    granted = rights.granted(cluster, accounts)
    used = {entry for entry, _, _ in asked if entry[0] in accounts}
    # After a conflict; and what a speaker mends that somebody else has edited.
    rare = {(account, "metallb.io/configurationstates", "get") for account in accounts}
    [speaker] = {pod["spec"]["serviceAccountName"] for pod in story.installation.pods("speaker")}
    rare |= {(speaker, "metallb.io/servicel2statuses", verb) for verb in ("get", "patch")}
    assert granted - used - rare == set(), "granted and never used"
    assert used - granted == set(), "used, and granted by something else"


def test_uninstalling_leaves_the_kinds_and_the_pools_and_nothing_else(story):
    cluster = story.lab
    cluster.kubectl("delete", "deployment", APP)
    cluster.kubectl("delete", "service", SERVICE)
    story.installation.uninstall()

    def left():
        return {name for name in objects(cluster) - story.before
                if not re.search(r"customresourcedefinitions|^apiservices|monitoring|prometheus-for-tests", name)}
    ours = {f"ipaddresspools.metallb.io/{NAMESPACE}/{POOL}", f"l2advertisements.metallb.io/{NAMESPACE}/l2adver"}
    namespace = {f"namespaces/<none>/{NAMESPACE}", f"configmaps/{NAMESPACE}/kube-root-ca.crt",
                 f"serviceaccounts/{NAMESPACE}/default"}
    wait_for(lambda: left() == ours | namespace, ROLLOUT, lambda: f"only pools are left: {sorted(left())}", every=1)
    assert len(cluster.get("crds")["items"]) == 10
    assert cluster.kubectl("get", "leases", "-n", NAMESPACE, "-o", "name").split() == [
        "lease.coordination.k8s.io/stentor-controller"]


def test_installing_again_finds_the_pools_and_gives_the_same_address(story):
    story.installation.install_again()
    web(story.lab, story.order[1:])
    story.lab.apply(json.dumps(service(SERVICE, ADDRESS)))
    assert story.address_of(SERVICE, ADDRESS, deadline=ROLLOUT) == ADDRESS
    assert story.page(ADDRESS)
    assert story.lab.get("service", SERVICE)["metadata"]["annotations"][ANNOTATION] == POOL
