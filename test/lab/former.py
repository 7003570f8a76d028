# SPDX-License-Identifier: Apache-2.0
"""What MetalLB leaves in a cluster, in its three ages: the ConfigMap of 0.9 to 0.12, the first kinds of 0.13
(AddressPool beside IPAddressPool), and today's, written here as its specification has them. And what its controller would
make of a Service that it finds (`keeps`): for the way back."""
import dataclasses
import ipaddress
import json

from stentor import NAMESPACE
from webhooks import CONFIGURATION, manifest

OLD, NEW = "metallb.universe.tf/", "metallb.io/"
ALLOCATED_FROM = NEW + "ip-allocated-from-pool"
ADDRESSES = {"production": ["192.168.122.110-192.168.122.139", "2001:db8:122::110-2001:db8:122::139"],
             "reserved": ["192.168.122.150/32"]}
# Addresses that a fresh allocation in the order of names would not give again. `{}` stands for the prefix of the age's
# annotations.
SERVICES = {
    "plain": (["192.168.122.117"], {}, {}),
    "asked-for": (["192.168.122.118"], {}, {"loadBalancerIP": "192.168.122.118"}),
    "asked-for-by-annotation": (["192.168.122.119"], {"{}loadBalancerIPs": "192.168.122.119"}, {}),
    "of-a-pool": (["192.168.122.150"], {"{}address-pool": "reserved"}, {}),
    "shared-tcp": (["192.168.122.113"], {"{}allow-shared-ip": "dns"}, {"ports": [{"port": 53, "protocol": "TCP"}]}),
    "shared-udp": (["192.168.122.113"], {"{}allow-shared-ip": "dns"}, {"ports": [{"port": 53, "protocol": "UDP"}]}),
    "local": (["192.168.122.114"], {}, {"externalTrafficPolicy": "Local"}),
    "both-families": (["192.168.122.120", "2001:db8:122::120"], {}, {"ipFamilyPolicy": "RequireDualStack"}),
    "both-preferred": (["192.168.122.121", "2001:db8:122::121"], {},
                       {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"]}),
    "ipv6": (["2001:db8:122::122"], {}, {"ipFamilies": ["IPv6"], "ipFamilyPolicy": "SingleStack"})}
# Not MetalLB's: whatever the class says, their addresses are in its pools or in none.
OTHERS = {"of-another-class": ["192.168.122.130"], "of-a-cloud": ["203.0.113.7"]}
# In no pool any more, as with versions before 0.14.2, which left such addresses where they were.
STRAY, KEPT = ("stray", ["203.0.113.9"]), ("kept", ["203.0.113.10"])


@dataclasses.dataclass(frozen=True)
class Age:
    name: str
    kinds: tuple                   # CRDs, by plural
    prefix: str                    # of annotations
    allocated_from: str            # annotation that it writes; empty: none
    webhook_service: str           # that its webhooks are called at; empty: it has none

    def configuration(self):
        """Pools and advertisements, as users wrote them."""
        if self.name == "0.9":
            text = json.dumps({"address-pools": [
                {"name": "production", "protocol": "layer2", "addresses": ADDRESSES["production"]},
                {"name": "reserved", "protocol": "layer2", "addresses": ADDRESSES["reserved"], "auto-assign": False},
                {"name": "kept", "protocol": "layer2", "addresses": [KEPT[1][0] + "/32"], "auto-assign": False}]})
            return [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config", "namespace": NAMESPACE},
                     "data": {"config": text}}]
        reserved = manifest("IPAddressPool", "reserved", {"addresses": ADDRESSES["reserved"], "autoAssign": False})
        if self.name == "0.13":
            return [manifest("AddressPool", "production", {"protocol": "layer2", "addresses": ADDRESSES["production"]}),
                    reserved, manifest("L2Advertisement", "reserved", {"ipAddressPools": ["reserved"]})]
        return [manifest("IPAddressPool", "production", {"addresses": ADDRESSES["production"]}), reserved,
                manifest("L2Advertisement", "all", {})]

    def left_behind(self):
        """What its controller made, and what its manifests registered: webhooks that nobody answers, and that refuse
        every pool therefore."""
        found = [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}}
                 for name in (["webhook-server-cert"] if self.name == "0.13" else [])]
        if self.webhook_service:
            kinds = ["ipaddresspool", "l2advertisement"] + (["addresspool"] if self.name == "0.13" else [])
            found.append({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
                "metadata": {"name": CONFIGURATION}, "webhooks": [
                    {"name": f"{kind}validationwebhook.metallb.io", "sideEffects": "None",
                     "admissionReviewVersions": ["v1"], "failurePolicy": "Fail", "timeoutSeconds": 2,
                     "clientConfig": {"service": {"name": self.webhook_service, "namespace": NAMESPACE,
                                                  "path": f"/validate-metallb-io-v1beta1-{kind}"}},
                     "rules": [{"apiGroups": ["metallb.io"], "apiVersions": ["v1beta1"],
                                "operations": ["CREATE", "UPDATE"], "resources": [kind + "s"]}]} for kind in kinds]})
        if self.name == "today":
            found += [manifest("ConfigurationState", name) for name in ("controller", "speaker-node-1")]
            found += [manifest("ServiceL2Status", "l2-plain", {}, labels={
                NEW + "node": "node-9", NEW + "service-name": "plain", NEW + "service-namespace": "default"})]
        return found

    def services(self):
        """(manifest, addresses of its status)"""
        for name, (addresses, annotations, spec) in SERVICES.items():
            annotations = {key.format(self.prefix): value for key, value in annotations.items()}
            if self.allocated_from:
                annotations[self.allocated_from] = "reserved" if name == "of-a-pool" else "production"
            yield _service(name, annotations, spec), addresses
        for name, addresses in OTHERS.items():
            yield _service(name, {}, {"loadBalancerClass": "example.com/" + name}), addresses
        for name, addresses in (STRAY, KEPT):
            yield _service(name, {}, {}), addresses


KINDS = ("bfdprofiles", "bgpadvertisements", "bgppeers", "communities", "ipaddresspools", "l2advertisements")
AGES = {age.name: age for age in (
    Age("0.9", (), OLD, "", ""),
    Age("0.13", (*KINDS, "addresspools"), OLD, OLD + "ip-allocated-from-pool", "webhook-service"),
    Age("today", (*KINDS, "servicel2statuses", "servicebgpstatuses", "configurationstates"), NEW, ALLOCATED_FROM,
        "metallb-webhook-service"))}


def _service(name, annotations, spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "annotations": annotations},
            "spec": {"type": "LoadBalancer", "selector": {"app": name}, "ports": [{"port": 80, "protocol": "TCP"}],
                     **spec}}


def pool_of(address):
    """The name of MetalLB's pool with an address; None: it is in none."""
    wanted = ipaddress.ip_address(address)
    for name, items in ADDRESSES.items():
        for item in items:
            first, _, last = item.removesuffix("/32").partition("-")
            first, last = ipaddress.ip_address(first), ipaddress.ip_address(last or first)
            if wanted.version == first.version and first <= wanted <= last:
                return name
    return None


def keeps(service):
    """Why MetalLB's controller would take the addresses of a Service away, or change what is written there; empty: it
    would leave it as it is. (What it compares, with the pools above; ports of those who share are not looked at.)"""
    addresses = [entry.get("ip") for entry in service["status"]["loadBalancer"].get("ingress", [])]
    annotations = service["metadata"].get("annotations", {})
    pools = {pool_of(address) for address in addresses if address}
    families = {ipaddress.ip_address(address).version for address in addresses if address}
    cluster = {ipaddress.ip_address(address).version for address in service["spec"]["clusterIPs"]}
    wanted = annotations.get(NEW + "address-pool", annotations.get(OLD + "address-pool"))
    asked = annotations.get(NEW + "loadBalancerIPs", annotations.get(OLD + "loadBalancerIPs"))
    asked = asked or service["spec"].get("loadBalancerIP")
    if None in addresses or not addresses:
        return "an entry without an address is dropped"
    if len(pools) != 1 or None in pools:
        return "addresses are in no pool, or in two"
    if families != cluster or len(addresses) != len(families):
        return "the families are others than the cluster addresses'"
    if wanted and {wanted} != pools:
        return "another pool is asked for"
    if asked and set(asked.split(",")) != set(addresses):
        return "other addresses are asked for"
    if annotations.get(ALLOCATED_FROM) != pools.pop():
        return "the annotation names another pool"
    return ""
