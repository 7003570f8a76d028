# SPDX-License-Identifier: Apache-2.0
"""A real cluster on one machine: a control plane of plain processes, and nodes with containerd, kubelet and kube-proxy.

    with Cluster(proxy_mode="nftables") as cluster:
        cluster.import_image("build/images/stentor-speaker.tar")
        cluster.apply(manifest)
        cluster.client.curl(address)

It ends everything it started, also on SIGTERM; what a SIGKILL left behind, the next cluster or lab takes away.
"""
import concurrent.futures
import contextlib
import json
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lab"), str(HERE.parent / "kubernetes")]

import cgroups  # noqa: E402
import images  # noqa: E402
import netns  # noqa: E402
import workspace  # noqa: E402
from control_plane import (EVERY_CONTROLLER, POD_RANGE, SERVICE_RANGE, ControlPlane, Options,  # noqa: E402
                           tools_folder)
from network import CONTROL_ADDRESS  # noqa: E402
from node import Node  # noqa: E402
from testbed import Testbed  # noqa: E402
from wires import POD_RANGE6, SERVICE_RANGE6, ClusterNetwork  # noqa: E402

PROXY_MODES = ("iptables", "nftables")
AGNHOST = images.AGNHOST


class Cluster(Testbed):
    KEPT = workspace.KEPT_CLUSTER
    SAVED_LOGS = "build/cluster-logs"

    def __init__(self, proxy_mode="iptables", nodes=3, grace="40s", say=lambda text: None):
        super().__init__(say)
        self.proxy_mode, self._count, self._grace = proxy_mode, nodes, grace
        self.nodes = {}

    # -- up and down ----------------------------------------------------------------------------------------------

    def _start(self):
        self.network = ClusterNetwork(workspace.prefix(self.id), self._count)
        self.network.up()
        self._set_up_clients()
        options = Options(controllers=EVERY_CONTROLLER, scheduler=True, kubelets=True,
                          service_range=f"{SERVICE_RANGE},{SERVICE_RANGE6}",
                          # No kube-proxy runs beside it: it calls webhooks at their pods, and not at a Service's address.
                          apiserver_flags=("--enable-aggregator-routing=true",),
                          # Each controller fetches a token first: with 20 requests a second that takes all of them 5 s.
                          controller_manager_flags=("--node-monitor-period=1s", "--kube-api-qps=200",
                                                    "--kube-api-burst=400"))
        self.control_plane = ControlPlane(
            self.folder / "control-plane", self._launch, CONTROL_ADDRESS,
            entering=lambda: netns.entered(self.network.control), data=workspace.memory_folder(self.id),
            grace=self._grace, options=options)
        self.nodes = {host.name: self._node(host) for host in self.network.nodes.values()}
        self._say("nodes boot; etcd, kube-apiserver, kube-controller-manager and kube-scheduler start")
        with concurrent.futures.ThreadPoolExecutor(len(self.nodes) + 1) as threads:
            archive = threads.submit(images.write_agnhost, self.control_plane.tools / "agnhost",
                                     self.folder / "agnhost.tar")
            booted = [threads.submit(self._boot, node, archive) for node in self.nodes.values()]
            self.control_plane.start()
            for one in booted:
                one.result()
        archive.result().unlink()
        self._say("kubelet and kube-proxy on each node")
        for node in self.nodes.values():
            self._join(node)
        for node in self.nodes.values():
            node.wait(lambda node=node: self.node_usable(node.name), f"{node.name} is Ready")

    def _node(self, host):
        return Node(host, self.folder / "nodes" / host.name, f"{workspace.control_group(self.id)}/{host.name}",
                    self.control_plane, self.logs, self.proxy_mode, (POD_RANGE, POD_RANGE6))

    @staticmethod
    def _boot(node, archive):
        node.boot()
        node.import_image(archive.result())

    def _join(self, node):
        host = node.host
        # A cluster's own controller gives out pod ranges; here they are the network's, which has routes for them.
        self.api.create("/api/v1/nodes", {
            "metadata": {"name": node.name, "labels": {"kubernetes.io/hostname": node.name}},
            "spec": {"podCIDR": host.pod_range, "podCIDRs": [host.pod_range, host.pod_range6]}})
        node.start_kubelet()
        node.start_proxy()

    def node_usable(self, name):
        """Ready, and nothing keeps pods away."""
        node = self.api.get(f"/api/v1/nodes/{name}")
        ready = any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"].get("conditions", []))
        return ready and not node["spec"].get("taints")

    def _before_removal(self):
        self._on_all_nodes(Node.kill)

    # -- nodes ----------------------------------------------------------------------------------------------------

    def _on_all_nodes(self, what):
        with concurrent.futures.ThreadPoolExecutor(max(1, len(self.nodes))) as threads:
            list(threads.map(what, self.nodes.values()))

    def import_image(self, path):
        """Gives all nodes the images of an archive, under the names that are in it."""
        self._on_all_nodes(lambda node: node.import_image(pathlib.Path(path).resolve()))

    def kill_node(self, name):
        """A power cut: first nobody hears the node any more (or its kernel would still tell its peers that a socket is
        closed), then all that runs on it is gone. Returns the moment (monotonic) from which on nothing that the node
        does can be heard."""
        self.network.cables(name, "down")
        moment = time.monotonic()
        self.nodes[name].kill()
        return moment

    def revive_node(self, name, deadline=60):
        """The node boots with what is on its disk: images, and pods that are still its own."""
        node = self.nodes[name]
        self.network.cables(name, "up")
        node.boot()
        node.start_kubelet()
        node.start_proxy()
        node.wait(lambda: self.node_usable(name), f"{name} is Ready", deadline)

    # -- pods -----------------------------------------------------------------------------------------------------

    def add_web(self, name, replicas=3, namespace="default", **pod_spec):
        """A Deployment whose pods have the label `app: NAME`, answer /hostname on port 80 with their names, and are
        spread over the nodes. Returns their names when all are ready."""
        spread = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
                  "labelSelector": {"matchLabels": {"app": name}}}
        self.apply(json.dumps({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"terminationGracePeriodSeconds": 1, "topologySpreadConstraints": [spread], "containers": [{
                    "name": name, "image": AGNHOST, "args": ["netexec", "--http-port=80"],
                    "readinessProbe": {"httpGet": {"path": "/hostname", "port": 80}, "periodSeconds": 1}}],
                    **pod_spec}}}}))
        self.rolled_out(f"deployment/{name}", namespace)
        return sorted(pod["metadata"]["name"] for pod in self.pods(f"app={name}", namespace))

    def rolled_out(self, workload, namespace="default", timeout=90):
        """Waits until a Deployment or DaemonSet has all its pods, of the latest template."""
        self.kubectl("rollout", "status", workload, "-n", namespace, f"--timeout={timeout}s", timeout=timeout + 10)

    def pods(self, selector, namespace="default"):
        """Pods with a label that are not about to go."""
        return [pod for pod in self.get("pods", "-n", namespace, "-l", selector)["items"]
                if "deletionTimestamp" not in pod["metadata"]]

    def memory_mib(self):
        """What all processes of the cluster take, pods included; what several share is counted once."""
        pids = cgroups.processes(workspace.control_group(self.id))
        for namespace in netns.existing(workspace.prefix(self.id)):
            pids.update(netns.processes(namespace))
        total = 0
        for pid in pids:
            with contextlib.suppress(OSError, StopIteration):  # it may have ended meanwhile
                lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                total += int(next(line.split()[1] for line in lines if line.startswith("Pss:")))
        return total // 1024

    # -- programs beside the API server -----------------------------------------------------------------------------

    @staticmethod
    def tools(name):
        """The folder of a set of third-party programs; see ../kubernetes/build-tools."""
        return tools_folder(name)

    def helm(self, *arguments, input=None, check=True, timeout=120):
        return self.beside_api(self.tools("helm") / "helm", *arguments, input=input, check=check, timeout=timeout,
                               environment=self.environment())

    def environment(self):
        """Where programs find this cluster, and keep their own files while it lives."""
        home = self.folder / "home"
        return {"KUBECONFIG": str(self.control_plane.admin_kubeconfig), "HELM_CACHE_HOME": str(home / "helm-cache"),
                "HELM_CONFIG_HOME": str(home / "helm-config"), "HELM_DATA_HOME": str(home / "helm-data")}
