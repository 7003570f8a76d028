# SPDX-License-Identifier: Apache-2.0
"""Services that ask for addresses, and what becomes of them. Who is not announced has one of a documentation network."""
import ipaddress

from installation import ROLLOUT
from processes import wait_for
from sentences import World
from stentor import NAMESPACE, bin_folder
from story import pool, service

SHORT = {"IPv4": "198.51.100.", "IPv6": "2001:db8:7::"}  # addresses that nobody announces
LABEL = "page=addresses"
WISHES = {"pool": "metallb.io/address-pool", "ips": "metallb.io/loadBalancerIPs", "key": "metallb.io/allow-shared-ip"}


def name_of(one):
    return one["metadata"]["name"]


def wanted(name, family="IPv4", port=80, protocol="TCP", namespace="default", labels=(), spec=(), wish=WISHES.get, **wishes):
    """A Service of a family, or of both by a policy (`RequireDualStack`). Its name gets the family at its end."""
    body = service(f"{name}-{family}".lower(), namespace=namespace, labels={**dict([LABEL.split("=")]), **dict(labels)},
                   annotations={wish(key): value for key, value in wishes.items()})
    body["spec"] |= {"ports": [{"port": port, "protocol": protocol, "targetPort": 80}], **dict(spec)}
    if family in SHORT:
        return {**body, "spec": {"ipFamilyPolicy": "SingleStack", "ipFamilies": [family], **body["spec"]}}
    return {**body, "spec": {"ipFamilyPolicy": family, **body["spec"]}}


def short(number, family):
    return f"{SHORT[family]}{number}"


def of_both(name, first, last=None, **spec):
    """A pool with as many addresses of each family."""
    body = pool(name, *(f"{short(first, family)}-{short(last or first, family)}" for family in SHORT))
    body["spec"] |= spec
    return body


def _sizes(body):
    """How many addresses of IPv4 and of IPv6 a pool has."""
    sizes = {4: 0, 6: 0}
    for item in body["spec"]["addresses"]:
        first, _, last = item.partition("-")
        network = ipaddress.ip_network(first)
        sizes[network.version] += int(ipaddress.ip_address(last)) - int(network[0]) + 1 if last else network.num_addresses
    return sizes[4], sizes[6]


class Allocation(World):
    """A Service's lot is its addresses, or the reason of the condition that says why it has none."""

    def pools(self, *bodies):
        """Makes or changes pools, and waits until the controller has taken note: Services come to it by another watch."""
        self.apply(*bodies)
        wanted_sizes = {name_of(body): _sizes(body) for body in bodies}
        wait_for(lambda: wanted_sizes.items() <= self._shown_sizes().items(), ROLLOUT,
                 lambda: f"pools have these sizes: {wanted_sizes}; they have {self._shown_sizes()}")

    def _shown_sizes(self):
        return {name_of(one): tuple(one["status"][f"assigned{family}"] + one["status"][f"available{family}"]
                                    for family in SHORT)
                for one in self.cluster.get("ipaddresspools", "-n", NAMESPACE)["items"] if "status" in one}

    def lots(self):
        found = {}
        for one in self.cluster.get("services", "-A", "-l", LABEL)["items"]:
            ingress = [entry["ip"] for entry in one["status"]["loadBalancer"].get("ingress", [])]
            reasons = [condition["reason"] for condition in one["status"].get("conditions", [])
                       if condition["type"] == "stentor.io/AddressAllocated"]
            found[one["metadata"]["namespace"], name_of(one)] = ingress or "".join(reasons)
        return found

    def get(self, *expected):
        """Makes Services, in this order, and waits for the lot of each: `(Service, lot)`."""
        self.apply(*(one for one, _ in expected))
        self.have(*expected)

    def have(self, *expected):
        lots = {(one["metadata"]["namespace"], name_of(one)): lot for one, lot in expected}
        wait_for(lambda: lots.items() <= self.lots().items(), ROLLOUT, lambda: f"{lots}; there are {self.lots()}")

    def object(self, one):
        return self.cluster.get("service", name_of(one), "-n", one["metadata"]["namespace"])

    def annotate(self, one, *words):
        self.kubectl("annotate", "service", name_of(one), "-n", one["metadata"]["namespace"], "--overwrite", *words)

    def delete(self, *ones):
        self.kubectl("delete", "service", *map(name_of, ones))

    def asked(self, *arguments, input=None):
        """What kubectl stentor says, good or bad."""
        return self.cluster.beside_api(bin_folder() / "kubectl-stentor", *arguments, input=input, check=False,
                                       environment=self.cluster.environment())

    def sweep(self):
        self.kubectl("delete", "services", "-A", "-l", LABEL)
        self.kubectl("delete", "events", "--all", "-n", "default")  # they would be taken for those of the next ones
        self.kubectl("delete", "ipaddresspools,l2advertisements", "--all", "-n", NAMESPACE)
