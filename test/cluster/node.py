# SPDX-License-Identifier: Apache-2.0
"""A node: namespaces that look like a machine, and in them containerd, a kubelet and kube-proxy, all real.

The first process (machine.sh) is the machine's power: with it ends everything, in whatever namespace it may be.
"""
import json
import pathlib
import subprocess

import cgroups
from processes import Process, start_time, wait_for

import images

HERE = pathlib.Path(__file__).resolve().parent
CNI_PLUGINS = pathlib.Path("/usr/lib/cni")
CLUSTER_DNS = "10.96.0.10"  # nobody is there; without an address a kubelet posts a warning for each pod
_SOCKET = "/run/containerd/containerd.sock"

_CONTAINERD = """\
version = 2
root = "{folder}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Without CAP_SYS_RESOURCE a process may not be spared from the out-of-memory killer, which runc would try.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""


class Node:
    """`host` is its place in the network, `folder` its disk, `group` the control group of all that runs on it."""

    def __init__(self, host, folder, group, control_plane, logs, proxy_mode, pod_ranges):
        self.host, self.name, self._folder, self._group = host, host.name, pathlib.Path(folder), group
        self._control_plane, self._logs = control_plane, logs
        self._proxy_mode, self._pod_ranges = proxy_mode, pod_ranges
        self._machine = self._first = None
        self._programs = {}

    @property
    def mac(self):
        return self.host.mac

    # -- power --------------------------------------------------------------------------------------------------------

    def boot(self):
        """Power on: containerd runs when this returns. Network and control plane need not be there yet."""
        for part in ("var-lib/kubelet", "var-log", "cni"):
            (self._folder / part).mkdir(parents=True, exist_ok=True)
        (self._folder / "cni/10-ptp.conflist").write_text(json.dumps(self._cni()))
        config = self._folder / "containerd.toml"
        config.write_text(_CONTAINERD.format(folder=self._folder, socket=_SOCKET, pause=images.PAUSE,
                                             plugins=CNI_PLUGINS))
        (self._folder / "booted").unlink(missing_ok=True)
        cgroups.create(f"{self._group}/machine")
        self._machine = self._process("containerd", [
            "unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc",
            HERE / "machine.sh", self.name, self._folder, self._group, "containerd", f"--config={config}"])
        self.wait(lambda: (self._folder / "booted").exists(), f"{self.name} boots")
        children = pathlib.Path(f"/proc/{self._machine.pid}/task/{self._machine.pid}/children").read_text()
        self._first = int(children.split()[0])
        self.wait(lambda: self.ctr("version"), f"containerd of {self.name} answers")

    def wait(self, condition, what, deadline=60):
        """Waits for something that needs the node's programs, and no longer than all of them run."""
        wait_for(lambda: self._ended() or condition(), deadline, what)
        for process in self._ended():
            raise RuntimeError(f"{process.name} ended; the end of its log:\n{process.log_end()}")

    def _ended(self):
        return [process for process in (self._machine, *self._programs.values()) if not process.alive()]

    def _process(self, name, argv, wrapper=()):
        return Process(f"{name}-{self.name}", self.host.namespace, argv, self._logs / f"{name}-{self.name}.log",
                       wrapper=wrapper, keep_mounts=True)

    def kill(self):
        """Power off. All that ran on the node is gone when this returns."""
        if self._machine:
            first, started = self._first, start_time(self._first or 0)
            self._machine.kill()
            # The first process of a namespace is only gone when all the others are.
            wait_for(lambda: started is None or start_time(first) != started, 20, f"{self.name} ends", every=0.02)
        for program in self._programs.values():
            program.kill()
        self._programs.clear()
        cgroups.remove(self._group)
        self._machine = self._first = None

    # -- what runs on it ----------------------------------------------------------------------------------------------

    def inside(self):
        """The words that make a command run on the node."""
        return ["nsenter", f"--target={self._first}", "--mount", "--pid", "--uts", "--ipc", "--net"]

    def run(self, *command, timeout=60, check=True):
        """Runs a program on the node, as its root would; returns what it printed."""
        done = subprocess.run([*self.inside(), *map(str, command)], capture_output=True, text=True, timeout=timeout)
        if check and done.returncode:
            raise RuntimeError(f"{self.name}: {' '.join(map(str, command))}: {done.stderr.strip()}")
        return done.stdout

    def ctr(self, *arguments, timeout=120):
        return self.run("ctr", "--namespace=k8s.io", *arguments, timeout=timeout)

    def import_image(self, path):
        self.ctr("images", "import", path)

    def start_kubelet(self):
        kubeconfig, certificate, key = self._control_plane.node_credentials(self.name, self.host.addresses)
        config = self._folder / "kubelet.json"
        config.write_text(json.dumps(self._kubelet_config(certificate, key)))
        (self._folder / "resolv.conf").write_text("")
        self._programs["kubelet"] = self._process("kubelet", [
            self._control_plane.tools / "kubelet", f"--config={config}", f"--kubeconfig={kubeconfig}",
            f"--hostname-override={self.name}", f"--node-ip={','.join(self.host.addresses)}", "--v=1"], self.inside())

    def start_proxy(self):
        config = self._folder / "kube-proxy.json"
        config.write_text(json.dumps(self._proxy_config()))
        self._programs["kube-proxy"] = self._process("kube-proxy", [
            self._control_plane.tools / "kube-proxy", f"--config={config}"], self.inside())

    def _cni(self):
        """`ptp` routes between pods, also of one node: a bridge would need the module br_netfilter for ClusterIPs.
        It calls its interfaces veth…, which load balancers leave alone."""
        return {"cniVersion": "0.4.0", "name": "pods", "plugins": [
            {"type": "ptp", "mtu": 1500, "ipam": {
                "type": "host-local", "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
                "ranges": [[{"subnet": self.host.pod_range}], [{"subnet": self.host.pod_range6}]]}},
            {"type": "portmap", "capabilities": {"portMappings": True}}]}

    def _kubelet_config(self, certificate, key):
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True},
                               "x509": {"clientCAFile": str(self._control_plane.ca)}},
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(certificate), "tlsPrivateKeyFile": str(key),
            "containerRuntimeEndpoint": f"unix://{_SOCKET}",
            "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{self._group}", "failCgroupV1": False,
            "failSwapOn": False, "clusterDomain": "cluster.local", "clusterDNS": [CLUSTER_DNS],
            "resolvConf": str(self._folder / "resolv.conf"),
            "volumePluginDir": "/var/lib/kubelet/volume-plugins",
            # The disk is this machine's; how full it is says nothing about the node.
            "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
            "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
                             "imagefs.available": "0%", "imagefs.inodesFree": "0%"}}

    def _proxy_config(self):
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
            "mode": self._proxy_mode, "hostnameOverride": self.name, "bindAddress": "0.0.0.0",
            "clientConnection": {"kubeconfig": str(self._control_plane.proxy_kubeconfig)},
            "clusterCIDR": ",".join(self._pod_ranges), "detectLocalMode": "ClusterCIDR",
            # Conntrack's limits are the whole machine's: a network namespace may not set them.
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s",
                          "udpTimeout": "0s", "udpStreamTimeout": "0s"}}
