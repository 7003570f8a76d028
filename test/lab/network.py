# SPDX-License-Identifier: Apache-2.0
"""The wires of a lab: which namespaces there are and how they are plugged together.

    client  client-2     node-1   node-2   node-3            control
       |        |          |  |     |  |     |  |               |
    ===+========+==========+==|=====+==|=====+==|== segment     |     both bridges live in the namespace "switch",
                              |        |        |               |     have no uplink, and nothing is on the host
    ==========================+========+========+===============+== management

The segment is what the subject is about; API traffic has a network of its own, so that pulling a node's cable on the
segment takes nothing else from it. A pod is a namespace behind its node, routed like the `ptp` CNI plugin does: host
routes to `veth…` interfaces, which load balancers leave alone.
"""
import dataclasses
import ipaddress

import netns

POD_GATEWAY = "169.254.1.1"
CONTROL_ADDRESS = "198.18.0.1"

# The facts behind these: a node forwards; replies may come another way than the rules expect; addresses are usable at
# once instead of after a second of duplicate address detection.
SYSCTLS = {"net.ipv4.ip_forward": 1, "net.ipv4.conf.all.rp_filter": 0, "net.ipv4.conf.default.rp_filter": 0,
           "net.ipv6.conf.all.accept_dad": 0, "net.ipv6.conf.default.accept_dad": 0}


@dataclasses.dataclass(frozen=True)
class Host:
    """A machine on the segment."""
    name: str
    namespace: str
    address: str
    mac: str
    index: int = 0

    @property
    def management(self):
        return f"198.18.0.{10 + self.index}"

    @property
    def pod_range(self):
        return f"10.244.{self.index}.0/24"


@dataclasses.dataclass(frozen=True)
class Pod:
    name: str
    app: str
    node: str
    namespace: str
    address: str


class Network:
    def __init__(self, prefix, nodes=3, segment="192.168.122.0/24"):
        self._prefix, self.segment = prefix, ipaddress.ip_network(segment)
        self.switch, self.control = prefix + "switch", prefix + "control"
        self.nodes = {f"node-{i}": self._host(f"node-{i}", 10 + i, i) for i in range(1, nodes + 1)}
        self.clients = {name: self._host(name, number) for name, number in (("client", 100), ("client-2", 101))}
        self._pods = dict.fromkeys(self.nodes, 0)

    def _host(self, name, number, index=0):
        return Host(name, self._prefix + name, str(self.segment[number]), f"52:54:00:00:00:{number:02x}", index)

    @property
    def hosts(self):
        return {**self.nodes, **self.clients}

    def mac_owner(self, mac):
        """The name of the machine with this MAC on the segment, or None."""
        return next((host.name for host in self.hosts.values() if host.mac == mac.lower()), None)

    def up(self):
        namespaces = [self.switch, self.control] + [host.namespace for host in self.hosts.values()]
        netns.batch(f"netns add {name}" for name in namespaces)
        for name in namespaces:
            # Before any interface exists: "default" is copied when one is made.
            netns.sysctl(name, SYSCTLS)
        # No spanning tree, no forward delay: a port would stay deaf for seconds after its link returns. No multicast
        # snooping: without a querier it may swallow neighbour solicitations.
        bridge = "type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
        lines = [f"link add segment {bridge}", f"link add management {bridge}",
                 "link set segment up", "link set management up"]
        lines += self._plug("management", "m-control", "eth0", self.control)
        for host in self.hosts.values():
            lines += self._plug("segment", "s-" + host.name, "eth0", host.namespace, host.mac)
        for node in self.nodes.values():
            lines += self._plug("management", "m-" + node.name, "veth-mgmt", node.namespace)
        netns.batch(lines, self.switch)
        netns.batch(["link set lo up", f"address add {CONTROL_ADDRESS}/15 dev eth0", "link set eth0 up"], self.control)
        for client in self.clients.values():
            netns.batch(self._on_segment(client), client.namespace)
        for node in self.nodes.values():
            others = [other for other in self.nodes.values() if other is not node]
            netns.batch(self._on_segment(node) + [
                f"address add {node.management}/15 dev veth-mgmt", "link set veth-mgmt up",
                # The route for a ClusterIP is looked up before the address is translated: any default route does.
                f"route add default via {CONTROL_ADDRESS} dev veth-mgmt",
            ] + [f"route add {other.pod_range} via {other.address} dev eth0" for other in others], node.namespace)

    @staticmethod
    def _plug(bridge, port, interface, namespace, mac=None):
        address = f"address {mac} " if mac else ""
        return [f"link add {port} type veth peer name {interface} {address}netns {namespace}",
                f"link set {port} master {bridge} up"]

    def plug_in(self, node, interface, mac, port):
        """One more interface of a node, on the segment."""
        netns.batch(self._plug("segment", port, interface, node.namespace, mac), self.switch)
        netns.ip("link", "set", interface, "up", namespace=node.namespace)

    def _on_segment(self, host):
        return ["link set lo up", f"address add {host.address}/{self.segment.prefixlen} dev eth0", "link set eth0 up"]

    def cables(self, node, state, which=("segment", "management")):
        """Pulls ("down") or plugs ("up") a node's cables at the switch: the node sees its carrier go."""
        netns.batch([f"link set {network[0]}-{node} {state}" for network in which], self.switch)

    def add_pod(self, name, app, node_name):
        """A namespace behind a node for one pod; what runs in it is the caller's."""
        node = self.nodes[node_name]
        self._pods[node_name] += 1
        number = self._pods[node_name]
        pod = Pod(name, app, node_name, f"{self._prefix}{node_name}-pod-{number}", f"10.244.{node.index}.{9 + number}")
        netns.ip("netns", "add", pod.namespace)
        netns.sysctl(pod.namespace, SYSCTLS)
        port = f"veth-pod-{number}"
        netns.batch([f"link add {port} type veth peer name eth0 netns {pod.namespace}",
                     f"address add {POD_GATEWAY}/32 dev {port}", f"link set {port} up",
                     f"route add {pod.address}/32 dev {port}"], node.namespace)
        netns.batch(["link set lo up", f"address add {pod.address}/32 dev eth0", "link set eth0 up",
                     f"route add {POD_GATEWAY} dev eth0", f"route add default via {POD_GATEWAY}"], pod.namespace)
        return pod
