# SPDX-License-Identifier: Apache-2.0
"""A lab: nodes, pods and clients as network namespaces around a real control plane, with Stentor's real programs.

    with Lab() as lab:
        lab.install()
        lab.start_controller(); lab.start_speakers()
        lab.add_pods("web", ["node-1", "node-2"])
        lab.apply(manifest)

It ends everything it started, also on SIGTERM; what a SIGKILL left behind, the next lab takes away.
"""
import json
import pathlib
import socket
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "kubernetes")]

import netns  # noqa: E402
import workspace  # noqa: E402
from control_plane import POD_RANGE, ControlPlane, Options  # noqa: E402
from network import CONTROL_ADDRESS, Network  # noqa: E402
from processes import Process, wait_for  # noqa: E402
from stentor import Stentor  # noqa: E402
from testbed import Testbed  # noqa: E402

# kube-proxy must leave machine-wide conntrack settings alone: a network namespace may not set them.
PROXY_CONFIG = {
    "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "iptables",
    "clusterCIDR": POD_RANGE, "detectLocalMode": "ClusterCIDR",
    "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}}


class Lab(Testbed):
    def __init__(self, nodes=3, segment="192.168.122.0/24", grace="40s", say=lambda text: None, options=Options()):
        super().__init__(say)
        self._nodes, self._segment, self._grace, self._options = nodes, segment, grace, options
        self._pods, self._proxies, self._interrupted = {}, {}, set()
        self.pods = []

    def _start(self):
        self._living = self.folder / "living"
        self._living.mkdir()
        self._say(f"network: {self._nodes} nodes, two clients, a switch")
        self.network = Network(workspace.prefix(self.id), self._nodes, self._segment)
        self.network.up()
        self.nodes = self.network.nodes
        self._set_up_clients()
        self._say("control plane: etcd, kube-apiserver, kube-controller-manager")
        self.control_plane = ControlPlane(
            self.folder / "control-plane", self._launch, CONTROL_ADDRESS,
            entering=lambda: netns.entered(self.network.control), data=workspace.memory_folder(self.id),
            grace=self._grace, options=self._options)
        self.control_plane.start()
        self._kubelets = self._launch("kubelets", [
            sys.executable, HERE / "kubelets.py", self._living, CONTROL_ADDRESS, *self.control_plane.admin_files])
        self._say("nodes: kube-proxy on each")
        for node in self.nodes.values():
            self._register(node)
            self._start_proxy(node)
        for node in self.nodes.values():
            wait_for(lambda node=node: self._node_ready(node.name), 30, f"{node.name} is Ready")
        self.stentor = Stentor(self)

    # -- nodes ----------------------------------------------------------------------------------------------------

    def _register(self, node):
        self.control_plane.api.create("/api/v1/nodes", {
            "metadata": {"name": node.name,
                         "labels": {"kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux"}},
            "spec": {"podCIDR": node.pod_range, "podCIDRs": [node.pod_range]}})
        self.control_plane.api.patch(f"/api/v1/nodes/{node.name}/status", {"status": {
            "capacity": {"cpu": "2", "memory": "2Gi", "pods": "110"},
            "allocatable": {"cpu": "2", "memory": "2Gi", "pods": "110"},
            "addresses": [{"type": "InternalIP", "address": node.address},
                          {"type": "Hostname", "address": node.name}]}})
        self._write_living(node.name)

    def _write_living(self, node_name):
        path = self._living / f"{node_name}.new"  # kubelets.py does not look at names with a suffix
        path.write_text(json.dumps(self._pods.get(node_name, {})))
        path.rename(self._living / node_name)

    def _node_ready(self, name):
        status = self.control_plane.api.get(f"/api/v1/nodes/{name}")["status"]
        return any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", []))

    def _start_proxy(self, node):
        config = self.folder / f"kube-proxy-{node.name}.json"
        config.write_text(json.dumps({
            **PROXY_CONFIG, "hostnameOverride": node.name, "bindAddress": "0.0.0.0",
            "clientConnection": {"kubeconfig": str(self.control_plane.proxy_kubeconfig)}}))
        config.chmod(0o600)
        # The wrapper gives it a /run of its own, and so its own xtables.lock.
        self._proxies[node.name] = Process(
            f"kube-proxy-{node.name}", node.namespace, [self.control_plane.tools / "kube-proxy", f"--config={config}"],
            self.logs / f"kube-proxy-{node.name}.log", wrapper=[HERE / "container.sh", self.folder, "root"])

    def stop_proxy(self, name):
        """kube-proxy ends; its rules stay in the node's kernel."""
        self._proxies.pop(name).kill()

    def start_proxy(self, name):
        self._start_proxy(self.nodes[name])

    def kill_node(self, name):
        """A power cut: first nobody hears the node any more (or its kernel would still tell its peers that a socket
        is closed), then all that runs on it is gone. Its pods live on behind it, unreachable. Returns the moment
        (monotonic) from which on nothing that the node does can be heard."""
        self.network.cables(name, "down")
        moment = time.monotonic()
        if name in self.stentor.speakers:
            self._interrupted.add(name)
            self.stentor.kill_speaker(name)
        netns.kill_processes(self.nodes[name].namespace)
        (self._living / name).unlink(missing_ok=True)
        return moment

    def revive_node(self, name):
        """The node boots: cables, kube-proxy, kubelet, and its speaker if it had one."""
        node = self.nodes[name]
        self.network.cables(name, "up")
        self._write_living(name)
        # The neighbour entry may be FAILED for a moment; a kubelet would restart what exits because of that.
        wait_for(lambda: self._api_reachable_from(node), 20, f"{name} reaches the API server")
        self._start_proxy(node)
        if name in self._interrupted:
            self._interrupted.discard(name)
            self.stentor.start_speaker(name)
        wait_for(lambda: self._node_ready(name), 30, f"{name} is Ready")

    def _api_reachable_from(self, node):
        with netns.entered(node.namespace), socket.socket() as probe:
            probe.settimeout(1)
            probe.connect((CONTROL_ADDRESS, self.control_plane.port))
            return True

    # -- pods -----------------------------------------------------------------------------------------------------

    def add_pod_object(self, namespace, name, node_name, address, labels, host_network=False, account="default"):
        self._pods.setdefault(node_name, {})[f"{namespace}/{name}"] = {
            "ip": address, "host_ip": address if host_network else self.nodes[node_name].address}
        self.control_plane.api.create(f"/api/v1/namespaces/{namespace}/pods", {
            "metadata": {"name": name, "labels": labels},
            "spec": {"nodeName": node_name, "hostNetwork": host_network, "serviceAccountName": account,
                     "containers": [{"name": "main", "image": "lab"}]}})
        self._write_living(node_name)

    def add_pods(self, app, node_names, port=80):
        """Pods with the label `app`, one on each named node, each answering with its name and its node's."""
        made = []
        for node_name in node_names:
            name = f"{app}-{sum(pod.app == app for pod in self.pods) + 1}"
            pod = self.network.add_pod(name, app, node_name)
            self.pods.append(pod)
            made.append(pod)
            Process(name, pod.namespace, [sys.executable, HERE / "pod.py", name, node_name, port],
                    self.logs / f"{name}.log")
            self.add_pod_object("default", name, node_name, pod.address, {"app": app})
        for pod in made:
            wait_for(lambda pod=pod: self._pod_ready(pod.name), 30, f"pod {pod.name} is Ready")
        return made

    def _pod_ready(self, name):
        status = self.control_plane.api.get(f"/api/v1/namespaces/default/pods/{name}")["status"]
        return any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", []))

    # -- Stentor ------------------------------------------------------------------------------------------------------

    def install(self):
        self.stentor.install()

    def start_controller(self, *arguments):
        return self.stentor.start_controller(*arguments)

    def start_speaker(self, node_name, *arguments):
        return self.stentor.start_speaker(node_name, *arguments)

    def start_speakers(self, *arguments):
        self.stentor.start_speakers(*arguments)
