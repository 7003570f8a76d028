# SPDX-License-Identifier: Apache-2.0
"""The cluster, without Stentor: what the other tests stand on."""
import json
import pathlib
import tarfile

import cgroups
import images
import netns
import pytest
import workspace
from cluster import AGNHOST
from processes import wait_for

NODES = ["node-1", "node-2", "node-3"]
SOON = 20

WEB_SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {
    "type": "NodePort", "ipFamilyPolicy": "RequireDualStack", "selector": {"app": "web"},
    "ports": [{"port": 80, "nodePort": 30080}]}}


def probe_pod(name, node, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
        "nodeName": node, "terminationGracePeriodSeconds": 0,
        "containers": [{"name": name, "image": AGNHOST, "args": ["pause"]}], **spec}}


def connects(cluster, pod, address, port):
    """A TCP connection from inside a pod."""
    host = f"[{address}]" if ":" in address else address
    return cluster.kubectl("exec", pod, "--", "/agnhost", "connect", f"{host}:{port}", "--timeout=2s") == ""


@pytest.fixture(scope="module")
def web(any_cluster):
    """A Deployment with a pod on each node, a Service of both families, and pods to ask from."""
    any_cluster.add_web("web")
    any_cluster.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": [
        WEB_SERVICE, probe_pod("probe", "node-1"), probe_pod("host-probe", "node-2", hostNetwork=True)]}))
    any_cluster.kubectl("wait", "pod", "probe", "host-probe", "--for=condition=Ready", "--timeout=60s", timeout=70)
    yield any_cluster
    any_cluster.kubectl("delete", "deployment/web", "service/web", "pod/probe", "pod/host-probe", "--wait=false")


def test_three_nodes_are_ready_in_both_families(cluster):
    nodes = {node["metadata"]["name"]: node for node in cluster.get("nodes")["items"]}
    assert sorted(nodes) == NODES
    for name, node in nodes.items():
        addresses = [one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP"]
        assert addresses == cluster.nodes[name].host.addresses
        assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.34.1"
        assert cluster.node_usable(name)


def test_a_deployment_has_a_pod_of_both_families_on_each_node(web):
    pods = web.pods("app=web")
    assert sorted(pod["spec"]["nodeName"] for pod in pods) == NODES
    for pod in pods:
        first, second = [one["ip"] for one in pod["status"]["podIPs"]]
        assert ":" not in first and ":" in second


def test_pods_reach_pods_of_all_nodes(web):
    for pod in web.pods("app=web"):
        for address in (one["ip"] for one in pod["status"]["podIPs"]):
            assert connects(web, "probe", address, 80), address


@pytest.mark.parametrize("asking", ["probe", "host-probe"], ids=["pod network", "host network"])
def test_a_cluster_address_works(web, asking):
    addresses = web.get("service", "web")["spec"]["clusterIPs"]
    assert len(addresses) == 2
    for address in addresses:
        wait_for(lambda address=address: connects(web, asking, address, 80), SOON, f"{asking} reaches {address}")


@pytest.mark.parametrize("asking", ["probe", "host-probe"], ids=["pod network", "host network"])
def test_pods_reach_the_api_server_by_its_cluster_address(web, asking):
    address = web.get("service", "kubernetes")["spec"]["clusterIP"]
    wait_for(lambda: connects(web, asking, address, 443), SOON, f"{asking} reaches the API server")


@pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
def test_a_client_outside_reaches_pods_through_every_node(web, family):
    names = {pod["metadata"]["name"] for pod in web.pods("app=web")}
    for node in web.nodes.values():
        page = wait_for(lambda node=node: web.client.curl(node.host.addresses[family], 30080, path="/hostname"), SOON,
                        f"a page through {node.name}")
        assert page in names


def test_exec_and_logs_reach_the_kubelet(web):
    pod = web.pods("app=web")[0]["metadata"]["name"]
    assert "Started HTTP server on port 80" in web.kubectl("logs", pod)
    assert "netexec" in web.kubectl("exec", pod, "--", "/agnhost", "--help")


def test_a_service_account_token_in_a_pod_is_good(cluster):
    pod = probe_pod("in-cluster", "node-3")
    pod["spec"]["containers"][0]["args"] = ["inclusterclient", "--poll-interval=1"]
    cluster.apply(json.dumps(pod))
    wait_for(lambda: "/healthz" in cluster.kubectl("logs", "in-cluster"), 2 * SOON, "the pod's program asks")
    text = cluster.kubectl("logs", "in-cluster")
    assert "Unauthorized" not in text and "err" not in text.lower(), text
    cluster.kubectl("delete", "pod", "in-cluster", "--wait=false")


def test_an_imported_image_runs_on_every_node(cluster, tmp_path):
    name = "stentor.test/imported:v1"
    program = cluster.tools("kubernetes") / "agnhost"
    cluster.import_image(images.write_archive(tmp_path / "imported.tar", [name], program, {name: ["pause"]}))
    for node in NODES:
        pod = probe_pod(f"imported-{node}", node)
        pod["spec"]["containers"] = [{"name": "imported", "image": name}]
        cluster.apply(json.dumps(pod))
    pods = [f"imported-{node}" for node in NODES]
    cluster.kubectl("wait", "pod", *pods, "--for=condition=Ready", "--timeout=60s", timeout=70)
    cluster.kubectl("delete", "pod", *pods, "--wait=false")


def test_equal_programs_give_equal_archives(tmp_path):
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    first, second = (images.write_archive(tmp_path / name, ["a.test/b:c"], program, {"a.test/b:c": ["x"]})
                     for name in ("first.tar", "second.tar"))
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))
        assert manifest[0]["RepoTags"] == ["a.test/b:c"]
        assert set(archive.getnames()) == {"manifest.json", manifest[0]["Config"], *manifest[0]["Layers"]}


def test_helm_talks_to_the_cluster(cluster):
    if not (cluster.tools("helm") and (cluster.tools("helm") / "helm").exists()):
        pytest.skip("helm is not built (./dev setup)")
    assert cluster.helm("list", "-A", "-o", "json").strip() == "[]"


def test_a_node_dies_and_comes_back_with_its_pods(cluster):
    cluster.add_web("survivor", replicas=3)
    on_node = next(pod for pod in cluster.pods("app=survivor") if pod["spec"]["nodeName"] == "node-3")
    before = on_node["status"]["containerStatuses"][0]["restartCount"]
    cluster.kill_node("node-3")
    assert not cgroups.processes(f"{workspace.control_group(cluster.id)}/node-3")
    assert cluster.poller.arping(cluster.nodes["node-3"].host.address) == []
    assert cluster.speaker_of(cluster.nodes["node-2"].host.address) == "node-2"
    cluster.revive_node("node-3")

    def again():
        status = cluster.get("pod", on_node["metadata"]["name"])["status"]
        running = status["containerStatuses"][0]
        return running["ready"] and running["restartCount"] > before
    wait_for(again, 60, "the node's pod runs again")
    assert cluster.poller.arping(cluster.nodes["node-3"].host.address) == [cluster.nodes["node-3"].host.mac]
    cluster.kubectl("delete", "deployment/survivor", "--wait=false")


def test_nothing_of_the_cluster_is_on_the_host(any_cluster):
    links, mounts = netns.ip("-o", "link"), pathlib.Path("/proc/self/mounts").read_text()
    assert "segment" not in links and "veth" not in links
    assert any_cluster.id not in "".join(line for line in mounts.splitlines() if "/run/netns/" not in line)
    assert not pathlib.Path("/run/containerd").exists() or any_cluster.nodes["node-1"].run(
        "stat", "-c", "%i", "/run/containerd").strip() != str(pathlib.Path("/run/containerd").stat().st_ino)
    assert any_cluster.nodes["node-1"].run("hostname").strip() == "node-1"
