# SPDX-License-Identifier: Apache-2.0
"""The lab, without Stentor: what the other tests stand on."""
import os
import pathlib
import signal
import subprocess
import sys

import netns
import pytest
import workspace
from lab import Lab
from processes import wait_for

HERE = pathlib.Path(__file__).resolve().parent

NODE_PORT = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 80, nodePort: 30080}]
"""


@pytest.fixture(scope="module")
def web(lab):
    lab.add_pods("web", ["node-1", "node-2"])
    lab.apply(NODE_PORT)
    return lab


def test_three_nodes_are_ready(lab):
    lines = lab.kubectl("get", "nodes", "--no-headers").splitlines()
    assert [line.split()[:2] for line in lines] == [[name, "Ready"] for name in ("node-1", "node-2", "node-3")]


def test_versions_are_those_that_are_pinned(lab):
    version = lab.kubectl("version")
    assert version.count("v1.34.1") == 2, version  # client and server


def test_kube_proxy_takes_a_client_to_a_pod_through_every_node(web):
    for node in web.nodes.values():
        page = wait_for(lambda node=node: web.client.curl(node.address, 30080), 20, f"a page through {node.name}")
        assert page in {f"pod={pod.name} node={pod.node}" for pod in web.pods}


def test_a_cluster_address_works_on_a_node(web):
    address = web.get("service", "web")["spec"]["clusterIP"]

    def asks():
        return netns_curl(web.nodes["node-3"].namespace, address)
    assert "pod=web-" in wait_for(asks, 20, "a page from the cluster address")


def netns_curl(namespace, address):
    return subprocess.run(["ip", "netns", "exec", namespace, "curl", "-sS", "--max-time", "2", f"http://{address}"],
                          capture_output=True, text=True).stdout


def test_arping_and_the_kernel_agree_on_a_node(lab):
    node = lab.nodes["node-2"]
    assert lab.poller.arping(node.address) == [node.mac]
    assert lab.speaker_of(node.address) == "node-2"
    lab.client.curl(node.address, 1)  # refused, but the kernel had to resolve it
    assert lab.client.neighbour(node.address) == node.mac
    assert lab.poller.arping("192.168.122.250") == []


def test_a_node_dies_and_comes_back(web):
    address = web.nodes["node-3"].address
    wait_for(lambda: web.client.curl(address, 30080), 20, "node-3 serves")
    with web.open_loop(address, port=30080) as client:
        client.wait_steady()
        moment = web.kill_node("node-3")
        wait_for(lambda: any(not ok and start > moment for start, _, ok, _ in client.answers()), 20,
                 "the client notices")
        assert web.client.curl(address, 30080, timeout=1) is None
        web.revive_node("node-3")
        outage, gap, text = client.gap(moment)
        assert outage > 0 and gap > 0 and text.startswith("pod=web-")


def test_the_api_server_may_be_away(web):
    web.control_plane.stop_apiserver()
    assert web.client.curl(web.nodes["node-1"].address, 30080), "the nodes go on without it"
    web.control_plane.start_apiserver()
    wait_for(lambda: web.kubectl("get", "nodes"), 20, "kubectl works again")
    assert web.control_plane.alive()


def test_nothing_of_the_lab_is_on_the_host(lab):
    assert lab.network.switch in netns.existing("stl")
    host_links = netns.ip("-o", "link")
    assert "segment" not in host_links and "veth" not in host_links


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_a_lab_whose_owner_is_gone_leaves_nothing(lab_machine, how):
    program = "import lab, time\nwith lab.Lab() as l:\n print(l.id, flush=True)\n time.sleep(600)\n"
    owner = subprocess.Popen([sys.executable, "-c", program], cwd=HERE, stdout=subprocess.PIPE, text=True)
    lab_id = owner.stdout.readline().strip()
    try:
        assert workspace.state(lab_id) == "running"
        assert lab_id not in Lab.clean_stale(), "a lab whose owner lives is left alone"
        living = [pid for name in netns.existing(workspace.prefix(lab_id)) for pid in netns.processes(name)]
        assert len(living) > 5
        os.kill(owner.pid, how)
        owner.wait(30)
        if how == signal.SIGKILL:
            Lab.clean_stale()
        wait_for(lambda: not netns.existing(workspace.prefix(lab_id)) and lab_id not in workspace.ids(), 30,
                 "nothing is left, whoever took it down: labs of other tests may start just now")
        wait_for(lambda: not any(pathlib.Path(f"/proc/{pid}/exe").exists() for pid in living), 5, "all processes ended")
    finally:
        owner.kill()
        workspace.remove(lab_id)
