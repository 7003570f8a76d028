# SPDX-License-Identifier: Apache-2.0
"""The two programs under the manifests of other versions of MetalLB, in which only the names of the images were
replaced: their rights, kinds, arguments, environment and mounts, as those versions had them."""
import dataclasses

from processes import wait_for
from stentor import HERE, LABELS, NAMESPACE, Stentor

MANIFESTS = HERE / "manifests/older"
POOL, RANGE = "lb-ip-pool", "192.168.122.110-192.168.122.119"
CONFIG_MAP = f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: config, namespace: {NAMESPACE}}}
data:
  config: |
    address-pools:
    - name: {POOL}
      protocol: layer2
      addresses:
      - {RANGE}
"""
ADDRESS_POOL = f"""
apiVersion: metallb.io/v1beta1
kind: AddressPool
metadata: {{name: {POOL}, namespace: {NAMESPACE}}}
spec: {{protocol: layer2, addresses: ["{RANGE}"]}}
"""
IP_ADDRESS_POOL = f"""
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {{name: {POOL}, namespace: {NAMESPACE}}}
spec: {{addresses: ["{RANGE}"]}}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {{name: all, namespace: {NAMESPACE}}}
"""


@dataclasses.dataclass(frozen=True)
class World:
    """A version of MetalLB, as far as its manifests differ. `refused` is what an account cannot read there and has to
    do without: the resources of its log lines."""
    name: str
    pool: str                       # a manifest: the pool as its users wrote it
    arguments: tuple
    kinds: tuple = ()               # CRDs, by plural
    key_in_environment: bool = False
    names: bool = True              # METALLB_POD_NAME and the like
    refused: dict = dataclasses.field(default_factory=dict)
    port: int = 7472
    plain: bool = True

    @property
    def rights(self):
        return MANIFESTS / f"{self.name}.yaml"


KINDS = ("bfdprofiles", "bgpadvertisements", "bgppeers", "communities", "ipaddresspools", "l2advertisements")
CUSTOM = ("ipaddresspools.metallb.io", "addresspools.metallb.io")
LEASES = "leases.coordination.k8s.io"
STATES = "configurationstates.metallb.io"
NEWER = (LEASES, STATES)
SPEAKERS_STATES = (STATES, "servicel2statuses.metallb.io")
WORLDS = {world.name: world for world in (
    World("0.9.5", CONFIG_MAP, ("--port=7472", "--config=config"), key_in_environment=True, names=False,
          refused={"controller": {*CUSTOM, *NEWER, "secrets"},
                   "speaker": {*CUSTOM, "l2advertisements.metallb.io", "endpointslices", "pods",
                               *SPEAKERS_STATES}}),
    World("0.13.12", ADDRESS_POOL, ("--port=7472", "--log-level=info"), kinds=(*KINDS, "addresspools"),
          refused={"controller": {"configmaps", "bgppeers.metallb.io", *NEWER},
                   "speaker": {"pods", *SPEAKERS_STATES}}),
    World("today", IP_ADDRESS_POOL, ("--port=9120", "--health-probe-port=17472", "--log-level=info",
                                     "--tls-min-version=VersionTLS13"),
          kinds=(*KINDS, "servicel2statuses", "servicebgpstatuses", "configurationstates"), port=9120, plain=False,
          refused={"controller": {"configmaps", "addresspools.metallb.io", "bgppeers.metallb.io", LEASES},
                   "speaker": {"addresspools.metallb.io", "pods"}}))}


class OlderStentor(Stentor):
    """Installed and started as one of the worlds has it."""

    def __init__(self, lab, world):
        super().__init__(lab)
        self._world, self.starts = world, {"controller": 0, "speaker": 0}

    def install(self):
        self._install_kinds(self._world.kinds)
        # A CRD that was just created is not discovered at once.
        wait_for(lambda: self._lab.apply(self._world.rights) or True, 30, "the manifests are applied")
        self._install_objects()

    def _mounted(self, account):
        return {} if self._world.key_in_environment else super()._mounted(account)

    def start_controller(self, *arguments):
        self.starts["controller"] += 1
        environment = {} if not self._world.names else {
            "METALLB_POD_NAME": "controller", "METALLB_ML_SECRET_NAME": "memberlist", "METALLB_DEPLOYMENT": "controller"}
        self.controller = self._start("controller", self._lab.network.control, "stentor-controller", "controller",
                                      "nobody", environment, [*self._world.arguments, *arguments])
        return self.controller

    def start_speaker(self, node_name, *arguments):
        self.starts["speaker"] += 1
        node = self._lab.network.nodes[node_name]
        environment = {
            "METALLB_NODE_NAME": node_name, "METALLB_HOST": node.address, "METALLB_ML_BIND_ADDR": node.address,
            "METALLB_ML_LABELS": ",".join(f"{key}={value}" for key, value in LABELS.items())}
        if self._world.key_in_environment:
            environment |= {"METALLB_ML_NAMESPACE": NAMESPACE, "METALLB_ML_SECRET_KEY": self._key}
        else:
            environment["METALLB_ML_SECRET_KEY_PATH"] = "/etc/ml_secret_key"
        if self._world.names:
            environment["METALLB_POD_NAME"] = f"speaker-{node_name}"
        self.speakers[node_name] = self._start(f"speaker-{node_name}", node.namespace, "stentor-speaker", "speaker",
                                               "root-with-net-raw", environment, [*self._world.arguments, *arguments])
        return self.speakers[node_name]

    def programs(self):
        """name of the log → account, of each program that ran."""
        return {"controller": "controller", **{f"speaker-{node}": "speaker" for node in self._lab.network.nodes}}
