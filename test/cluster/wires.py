# SPDX-License-Identifier: Apache-2.0
"""The lab's network (../lab/network.py) for real nodes: IPv6 everywhere beside IPv4, and a control plane that reaches
kubelets and pods by the management network. Pods are networks behind their node, as the CNI plugin `ptp` makes them."""
import dataclasses

import netns
from network import CONTROL_ADDRESS, Host, Network

SEGMENT6, MANAGEMENT6 = "2001:db8:122::", "2001:db8:198::"  # /64 each; hosts are numbered as in IPv4
POD_RANGE6 = "2001:db8:244::/48"
SERVICE_RANGE6 = "2001:db8:96::/112"


@dataclasses.dataclass(frozen=True)
class DualStackHost(Host):
    address6: str = ""

    @property
    def addresses(self):
        return [self.address, self.address6]

    @property
    def management6(self):
        return f"{MANAGEMENT6}{10 + self.index}"

    @property
    def pod_range6(self):
        return f"2001:db8:244:{self.index}::/64"


class ClusterNetwork(Network):
    def _host(self, name, number, index=0):
        host = super()._host(name, number, index)
        return DualStackHost(**vars(host), address6=f"{SEGMENT6}{number}")

    def up(self):
        super().up()
        for node in self.nodes.values():
            netns.sysctl(node.namespace, {"net.ipv6.conf.all.forwarding": 1})
        netns.sysctl(self.control, {"net.ipv6.conf.all.forwarding": 1})
        for client in self.clients.values():
            netns.batch([self._address6(client)], client.namespace)
        control = [f"address add {MANAGEMENT6}1/64 dev eth0 nodad"]
        for node in self.nodes.values():
            others = [other for other in self.nodes.values() if other is not node]
            netns.batch([self._address6(node), f"address add {node.management6}/64 dev veth-mgmt nodad",
                         f"route add default via {MANAGEMENT6}1 dev veth-mgmt"]
                        + [f"route add {other.pod_range6} via {other.address6} dev eth0" for other in others],
                        node.namespace)
            control += [f"route add {destination} via {node.management}"
                        for destination in (node.address, node.pod_range)]
            control += [f"route add {destination} via {node.management6}"
                        for destination in (node.address6, node.pod_range6)]
        netns.batch(control, self.control)

    @staticmethod
    def _address6(host):
        return f"address add {host.address6}/64 dev eth0 nodad"
