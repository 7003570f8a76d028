# SPDX-License-Identifier: Apache-2.0
"""kubectl finds `kubectl stentor` on the PATH; what it says is compared with what the segment and kubectl say. One lab,
told from top to bottom."""
import json
import os
import subprocess

import netns
import pytest
import yaml
from prerequisites import need
from processes import wait_for
from stentor import NAMESPACE, bin_folder, shipped
from story import ADDRESS, APP, POOL, SERVICE, SOON, Story, pool, service

GOOD, BAD_NEWS, USAGE, CLUSTER = 0, 1, 2, 3
OTHER = "192.168.122.112"
LEGACY = """
kind: ConfigMap
apiVersion: v1
metadata: {name: old, namespace: metallb-system}
data:
  config: |
    address-pools:
    - name: old
      protocol: layer2
      addresses: [192.168.122.200-192.168.122.209]
"""


def advertisement(name, **spec):
    return {"apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


class Asked(Story):
    """A story with a plugin."""

    def stentor(self, *arguments, status=GOOD, input=None, kubeconfig=None):
        """Standard output of `kubectl stentor ARGUMENTS`, with this exit status."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("METALLB", "KUBE"))}
        environment |= {"PATH": f"{bin_folder()}:{os.environ['PATH']}",
                        "KUBECONFIG": str(kubeconfig or self.lab.control_plane.admin_kubeconfig)}
        done = subprocess.run(
            ["ip", "netns", "exec", self.lab.network.control, self.lab.control_plane.tools / "kubectl", "stentor",
             *arguments], input=input, env=environment, capture_output=True, text=True, timeout=60)
        self.errors = done.stderr
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def report(self, *arguments, status=GOOD, **more):
        return json.loads(self.stentor(*arguments, "-o", "json", status=status, **more))

    def cause_is(self, subject, cause, deadline=SOON):
        """Waits until `why` gives this cause (none: ""); returns its report."""
        def so():
            try:
                report = self.report("why", subject, status=BAD_NEWS if cause else GOOD)
            except AssertionError:
                return None  # the other exit status: not yet
            return report if report["cause"] == cause else None
        return wait_for(so, deadline, lambda: f"why {subject}: {cause or 'nothing is wrong'}; it says "
                        + self.anyhow("why", subject))

    def anyhow(self, *arguments):
        for status in (GOOD, BAD_NEWS):
            try:
                return self.stentor(*arguments, status=status)
            except AssertionError:
                continue
        return "nothing"

    def patch(self, kind, name, spec, *where):
        self.lab.kubectl("patch", kind, name, *where, "--type=merge", "-p", json.dumps({"spec": spec}))


@pytest.fixture(scope="module")
def story(stentor_lab):
    need([] if (bin_folder() / "kubectl-stentor").exists() else ["kubectl-stentor is not built (./dev build)"])
    made = Asked(stentor_lab)
    made.set_up()
    made.apply_manifest()
    made.speaker_is(made.address_of(SERVICE, ADDRESS), made.order[0])
    made.cause_is(ADDRESS, "")
    return made


def test_status_says_what_the_segment_says(story):
    text = story.stentor("status")
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert rows[POOL][1:4] == ["192.168.122.110-192.168.122.119", "1", "9"]
    assert rows[f"default/{SERVICE}"][1:4] == [ADDRESS, POOL, story.order[0]]
    wait_for(lambda: {row["configuration"] for row in story.report("status")["programs"]} == {"Valid"}, SOON,
             "all speakers have told what they think of the configuration")
    report = story.report("status")
    assert [row["problem"] for row in report["services"]] == [""]
    assert sorted(row["node"] for row in report["programs"] if row["program"] == "speaker") == sorted(story.lab.nodes)
    assert report == yaml.safe_load(story.stentor("status", "-o", "yaml"))


def test_watch_prints_what_changes(story):
    environment = {**os.environ, "KUBECONFIG": str(story.lab.control_plane.admin_kubeconfig)}
    with subprocess.Popen(["ip", "netns", "exec", story.lab.network.control, bin_folder() / "kubectl-stentor", "status",
                           "--watch", "-o", "yaml"], env=environment, stdout=subprocess.PIPE) as watching:
        os.set_blocking(watching.stdout.fileno(), False)
        seen = []

        def has(word):
            seen.append(watching.stdout.read() or b"")
            return word in b"".join(seen).decode()
        try:
            wait_for(lambda: has(SERVICE), SOON, "the first report")
            assert not has("newcomer")
            story.lab.apply(json.dumps(service("newcomer", OTHER)))
            wait_for(lambda: has("newcomer"), SOON, "a second one, with the new Service")
            wait_for(lambda: has("problem: \"\"\n") and len(list(yaml.safe_load_all(b"".join(seen)))) > 1, SOON,
                     "documents that can be told from each other")
        finally:
            watching.terminate()
    story.delete("newcomer")


def test_explain_ranks_as_the_election_does(story):
    report = story.report("explain", "service", SERVICE)
    assert [one["node"] for one in report["candidates"]] == story.order
    assert report["addresses"] == [ADDRESS] and report["pool"] == POOL
    assert [one["node"] for one in report["announcedBy"]] == [story.order[0]]
    assert sorted(report["endpointNodes"]) == sorted(story.order[1:])
    assert "is elected" in story.stentor("explain", "service", f"default/{SERVICE}")
    story.stentor("explain", "service", SERVICE, "-n", "kube-system", status=BAD_NEWS)
    assert f"kube-system/{SERVICE}" in story.errors


def test_why_names_what_keeps_a_service_from_its_address(story):
    lab = story.lab
    assert story.report("why", "192.168.122.119", status=BAD_NEWS)["cause"] == "noService"
    lab.apply(json.dumps({**service("classy"), "spec": {**service("classy")["spec"], "loadBalancerClass": "a.example/b"}}))
    story.cause_is("classy", "classDiffers")
    lab.apply(json.dumps(service("late", ADDRESS)))
    assert SERVICE in story.cause_is("late", "addressInUse")["seen"]
    story.patch("ipaddresspool", POOL, {"serviceAllocation": {"namespaces": ["default"]}}, "-n", NAMESPACE)
    lab.apply(json.dumps(service("excluded", namespace="kube-system")))
    assert "kube-system" in story.cause_is("kube-system/excluded", "poolSelectorExcludes")["seen"]
    story.patch("ipaddresspool", POOL, {"serviceAllocation": None, "addresses": [f"{ADDRESS}/32"]}, "-n", NAMESPACE)
    story.cause_is("kube-system/excluded", "poolFull")
    lab.kubectl("delete", "service", "excluded", "-n", "kube-system")
    story.apply_manifest()
    for name in ("classy", "late"):
        story.delete(name)
    story.cause_is(ADDRESS, "")
    lab.kubectl("delete", "ipaddresspools", "--all", "-n", NAMESPACE)
    story.cause_is(SERVICE, "noPool")
    story.apply_manifest()
    story.speaker_is(story.address_of(SERVICE, ADDRESS), story.order[0])
    story.cause_is(ADDRESS, "")


def test_why_of_an_address_that_is_asked_for_and_of_the_one_that_is_there(story):
    story.lab.apply(json.dumps(service("wishful", OTHER)))
    story.address_of("wishful", OTHER)
    story.cause_is(OTHER, "")
    story.patch("service", "wishful", {"loadBalancerIP": ADDRESS})
    assert SERVICE in story.cause_is("wishful", "addressInUse")["seen"]
    story.delete("wishful")


def test_why_looks_at_all_who_share_an_address(story):
    shared = "192.168.122.113"
    for name, port, selector in (("one", 80, APP), ("two", 81, "nobody")):
        body = service(name, shared, annotations={"metallb.io/allow-shared-ip": "x"})
        body["spec"]["ports"][0]["port"] = port
        body["spec"]["selector"] = {"app": selector}
        story.lab.apply(json.dumps(body))
    report = story.cause_is(shared, "noEndpoint")
    assert (report["address"], report["namespace"], report["name"]) == (shared, "default", "two")
    story.patch("service", "two", {"selector": {"app": APP}})
    assert {one["name"] for one in story.cause_is(shared, "")["checks"]} == {"one", "two"}
    for name in ("one", "two"):
        story.delete(name)


def test_what_may_not_be_read_is_unknown_and_no_all_clear(story, tmp_path):
    """An account that may read Services and pods, and nothing else."""
    lab = story.lab
    lab.kubectl("create", "serviceaccount", "little", "-n", NAMESPACE)
    lab.kubectl("create", "clusterrole", "little", "--verb=get,list", "--resource=services,pods")
    lab.kubectl("create", "clusterrolebinding", "little", "--clusterrole=little",
                f"--serviceaccount={NAMESPACE}:little")
    config = yaml.safe_load(open(lab.control_plane.admin_kubeconfig))
    config["users"][0]["user"] = {"token": lab.kubectl("create", "token", "little", "-n", NAMESPACE).strip()}
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))

    report = story.report("why", ADDRESS, status=CLUSTER, kubeconfig=file)
    assert report["cause"] == "" and not report["complete"]
    assert "Nothing is wrong that the API shows" not in story.stentor("why", ADDRESS, status=CLUSTER, kubeconfig=file)
    assert story.stentor("what-if", "node", story.order[2], "gone", status=CLUSTER, kubeconfig=file) == ""
    assert "cannot read" in story.errors
    assert "Pools are not known" in story.stentor("status", kubeconfig=file)
    for kind in ("clusterrolebinding", "clusterrole"):
        lab.kubectl("delete", kind, "little")


def test_why_names_what_keeps_a_client_from_the_pod(story):
    lab = story.lab
    story.patch("service", SERVICE, {"selector": {"app": "nobody"}})
    story.cause_is(ADDRESS, "noEndpoint")
    story.patch("service", SERVICE, {"selector": {"app": APP}})
    story.cause_is(ADDRESS, "")

    lab.kubectl("delete", "l2advertisements", "--all", "-n", NAMESPACE)
    story.cause_is(ADDRESS, "noAdvertisement")
    lab.apply(json.dumps(advertisement("l2adver", ipAddressPools=[POOL],
                                       nodeSelectors=[{"matchLabels": {"rack": "none"}}])))
    story.cause_is(ADDRESS, "nodeSelectorExcludes")
    lab.apply(json.dumps(advertisement("l2adver", ipAddressPools=[POOL], nodeSelectors=[
        {"matchLabels": {"kubernetes.io/hostname": story.order[0]}}])))
    story.patch("service", SERVICE, {"externalTrafficPolicy": "Local"})
    story.cause_is(ADDRESS, "noLocalEndpoint")
    story.patch("service", SERVICE, {"externalTrafficPolicy": "Cluster"})
    story.cause_is(ADDRESS, "")
    lab.apply(json.dumps(advertisement("l2adver", ipAddressPools=[POOL], nodeSelectors=[], interfaces=["nope0"])))
    assert story.order[0] in story.cause_is(ADDRESS, "interfaceMissing")["seen"]
    lab.kubectl("delete", "l2advertisements", "--all", "-n", NAMESPACE)
    story.apply_manifest()
    story.cause_is(ADDRESS, "")
    story.speaker_is(ADDRESS, story.order[0])


def test_why_names_a_webhook_that_refuses(story):
    """Nobody answers for the Service of the shipped webhooks here: the API server refuses what they are to admit."""
    lab = story.lab
    [hooks] = shipped("ValidatingWebhookConfiguration")
    lab.kubectl("delete", "l2advertisements", "--all", "-n", NAMESPACE)
    story.cause_is(ADDRESS, "noAdvertisement")
    lab.apply(json.dumps(hooks))
    try:
        made = json.dumps(advertisement("l2adver", ipAddressPools=[POOL]))

        def refused():
            done = subprocess.run([*map(str, lab.kubectl_command()), "apply", "--dry-run=server", "-f", "-"], input=made,
                                  capture_output=True, text=True, timeout=60)
            return done.returncode and "failed calling webhook" in done.stderr
        wait_for(refused, SOON, "the API server refuses an L2Advertisement")
        report = story.cause_is(ADDRESS, "webhookRefused")
        assert "l2advertisement" in report["seen"] and "metallb-webhook-service" in report["seen"]
    finally:
        lab.kubectl("delete", "validatingwebhookconfiguration", hooks["metadata"]["name"])
    wait_for(lambda: not refused(), SOON, "the API server does without the webhooks")
    story.apply_manifest()
    story.cause_is(ADDRESS, "")


def test_why_names_the_service_proxy(story):
    """Of all nodes: a single one leaves its addresses to the others. Told only of a proxy that was healthy before, so
    this comes before nodes die and return."""
    for node in story.lab.nodes:
        story.lab.stop_proxy(node)
    try:
        # Their rules are in the kernel, and they may only be restarted: that is put up with for 15 s.
        assert "kube-proxy" in story.cause_is(ADDRESS, "proxyUnhealthy", deadline=4 * SOON)["seen"]
    finally:
        for node in story.lab.nodes:
            story.lab.start_proxy(node)
    story.cause_is(ADDRESS, "", deadline=4 * SOON)


def test_what_if_tells_what_then_happens(story):
    report = story.report("what-if", "-f", "-", status=BAD_NEWS,
                          input=json.dumps(pool(POOL, "192.168.122.113-192.168.122.119")))
    [change] = report["changes"]
    assert (change["addressesBefore"], change["addressesAfter"]) == ([ADDRESS], []) and ADDRESS in change["note"]

    gone = story.order[0]
    report = story.report("what-if", "node", gone, "gone")
    [change] = report["changes"]
    assert (change["nodeBefore"], change["nodeAfter"]) == (gone, story.order[1])
    story.lab.kill_node(gone)
    story.speaker_is(ADDRESS, change["nodeAfter"])
    story.lab.revive_node(gone)
    story.speaker_is(ADDRESS, gone)


def test_why_names_a_speaker_that_is_down(story):
    """A node that died, which alone may announce; Kubernetes takes it for dead after 40 s."""
    only = story.order[0]
    story.lab.apply(json.dumps(advertisement("l2adver", ipAddressPools=[POOL], nodeSelectors=[
        {"matchLabels": {"kubernetes.io/hostname": only}}])))
    story.lab.kubectl("delete", "l2advertisements", "-n", NAMESPACE, "--field-selector=metadata.name!=l2adver")
    story.lab.kill_node(only)
    assert only in story.cause_is(ADDRESS, "speakerDown", deadline=6 * SOON)["seen"]
    story.lab.revive_node(only)
    story.lab.kubectl("delete", "l2advertisements", "--all", "-n", NAMESPACE)
    story.apply_manifest()
    story.cause_is(ADDRESS, "", deadline=3 * SOON)


def test_what_was_converted_can_be_applied(story):
    converted = story.stentor("convert", "-f", "-", input=LEGACY)
    story.lab.kubectl("apply", "--dry-run=server", "-f", "-", input=converted)
    assert [(one["kind"], one["metadata"]["name"]) for one in yaml.safe_load_all(converted)] == [
        ("L2Advertisement", "old"), ("IPAddressPool", "old")]
    story.stentor("validate", "-f", "-", input=converted)
    report = story.report("what-if", "-f", "-", input=converted)
    assert report["changes"] == [] and report["unchanged"] == 1
    twice = converted + "---\n" + converted.replace("name: old", "name: copy")
    assert "overlap" in story.stentor("validate", "-f", "-", input=twice, status=BAD_NEWS)


def test_what_cannot_be_used_is_one_clear_line(story):
    for arguments, status, word in (
            (("status", "--server", "http://127.0.0.1:1"), CLUSTER, "http://127.0.0.1:1"),
            (("status", "--context", "nope"), USAGE, "nope"),
            (("frobnicate",), USAGE, "frobnicate"),
            (("what-if",), USAGE, "-f FILE"),
            (("what-if", "node", "node-9", "gone"), USAGE, "node-9"),
            (("validate", "-f", "/nonexistent"), USAGE, "/nonexistent")):
        assert story.stentor(*arguments, status=status) == ""
        lines = [line for line in story.errors.splitlines() if not line.startswith("error: exit status")]
        assert len(lines) == 1 and word in lines[0], (arguments, story.errors)


def test_output_that_cannot_be_written_is_an_error(story):
    for arguments in (["status", "-o", "yaml"], ["completion", "bash"]):
        environment = {**os.environ, "KUBECONFIG": str(story.lab.control_plane.admin_kubeconfig)}
        with open("/dev/full", "w") as full:
            done = subprocess.run(["ip", "netns", "exec", story.lab.network.control, bin_folder() / "kubectl-stentor",
                                   *arguments], env=environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        assert done.returncode == USAGE and "standard output" in done.stderr, done


def test_kubectl_completes_and_lists_it(story):
    assert "status\nexplain\nwhy\n" in story.stentor("__complete", "")
    for shell in ("bash", "zsh"):
        script = story.stentor("completion", shell)
        assert "kubectl-stentor __complete" in script
    done = subprocess.run(["bash", "-c", story.stentor("completion", "bash") + """
        COMP_WORDS=(kubectl-stentor what-if ""); COMP_CWORD=2; _kubectl_stentor; echo "${COMPREPLY[@]}"
        COMP_WORDS=(kubectl-stentor status -o ""); COMP_CWORD=3; _kubectl_stentor; echo "${COMPREPLY[@]}" """],
        env={**os.environ, "PATH": f"{bin_folder()}:{os.environ['PATH']}"}, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["node", "json yaml"], done.stderr


def test_why_names_the_mac_of_a_foreign_owner(story):
    other = story.lab.poller
    netns.ip("address", "add", f"{ADDRESS}/32", "dev", "eth0", namespace=other.host.namespace)
    other._run("arping", "-U", "-c", 1, "-w", 2, "-I", "eth0", "-s", ADDRESS, ADDRESS)
    assert other.host.mac in story.cause_is(ADDRESS, "foreignOwner")["seen"]
    assert any(other.host.mac in one["message"] for one in story.report("status")["notices"])
