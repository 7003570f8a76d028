# SPDX-License-Identifier: Apache-2.0
"""From MetalLB to Stentor and back, at a real API server: what MetalLB left of its three ages (former.py), Stentor's
manifests over it, its controller, and what MetalLB would find again. docs/migration.md says the same. Each class is one
lab, told from top to bottom; speakers of both makes are test_side_by_side.py's subject."""
import json
import subprocess

import pytest
import stentor
from control_plane import tools_folder
from former import AGES, ALLOCATED_FROM, KEPT, OTHERS, SERVICES, STRAY, keeps
from lab import Lab
from layer2 import OPTIONS
from prerequisites import need
from processes import wait_for
from stentor import NAMESPACE, REPOSITORY
from story import SOON
from webhooks import CONFIGURATION, PORT, SERVICE, manifest

CLI = "kubectl-stentor"
# What the page advises for addresses that are in no pool: a pool that gives out nothing by itself.
REMEDY = manifest("IPAddressPool", "kept", {"addresses": [KEPT[1][0] + "/32"], "autoAssign": False})


class World:
    """One lab in which MetalLB of an age was."""

    def __init__(self, lab, age):
        self.lab, self.age = lab, age

    def apply(self, *manifests):
        self.lab.apply("\n---\n".join(map(json.dumps, manifests)))

    def refused(self, body):
        """Why kubectl cannot apply an object; empty: it could."""
        done = subprocess.run([*self.lab.kubectl_command(), "apply", "--dry-run=server", "-f", "-"], text=True,
                              capture_output=True, timeout=60, input=json.dumps(body))
        return done.stderr if done.returncode else ""

    # -- MetalLB was here ---------------------------------------------------------------------------------------------

    def leave_behind(self):
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        self.lab.stentor._install_kinds(self.age.kinds)
        # "created" is not "served"
        wait_for(lambda: self.apply(*self.age.configuration()) or True, SOON, "the configuration is stored")
        for body, addresses in self.age.services():
            self.apply(body)
            self.show(body["metadata"]["name"], addresses)
        wait_for(lambda: self.apply({"apiVersion": "v1", "kind": "Secret", "stringData": {"secretkey": "bGVmdA=="},
                                     "metadata": {"name": "memberlist", "namespace": NAMESPACE}},
                                    *self.age.left_behind()) or True, SOON, "the rest is stored")
        self.before, self.written = self.addresses(), self.configuration()

    def show(self, name, addresses):
        self.lab.kubectl("patch", "service", name, "--subresource=status", "--type=merge", "--patch", json.dumps(
            {"status": {"loadBalancer": {"ingress": [{"ip": address} for address in addresses]}}}))

    # -- Stentor comes ------------------------------------------------------------------------------------------------

    def take_its_place(self):
        """`kubectl apply -f deploy/stentor.yaml`. In a lab nobody makes pods of it; where the controller is that serves
        the webhooks, a slice says."""
        self.lab.apply(REPOSITORY / "deploy/stentor.yaml")
        self.lab.stentor._key = "bGVmdA=="
        self.apply({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                    "metadata": {"name": "by-hand", "namespace": NAMESPACE,
                                 "labels": {"kubernetes.io/service-name": SERVICE}},
                    "ports": [{"name": "", "port": PORT, "protocol": "TCP"}],
                    "endpoints": [{"addresses": [self.lab.control_plane.address], "conditions": {"ready": True}}]})
        wait_for(lambda: self.lab.get("serviceaccount", "controller", "-n", NAMESPACE), SOON, "the account is there")

    def start(self):
        self.lab.start_controller()

    def restart(self):
        self.lab.stentor.stop_controller(kill=True)
        self.start()

    # -- what is there ------------------------------------------------------------------------------------------------

    def services(self):
        return {item["metadata"]["name"]: item for item in self.lab.get("services")["items"]
                if item["spec"]["type"] == "LoadBalancer"}

    def addresses(self):
        """name → status.loadBalancer, all of it."""
        return {name: item["status"]["loadBalancer"] for name, item in self.services().items()}

    def versions(self):
        return {name: item["metadata"]["resourceVersion"] for name, item in self.services().items()}

    def configuration(self):
        """What users wrote, as it is stored: what of it is theirs."""
        found = {}
        for body in self.age.configuration():
            item = self.lab.get(body["kind"], body["metadata"]["name"], "-n", NAMESPACE)
            found[body["kind"], body["metadata"]["name"]] = {
                "spec": item.get("spec"), "data": item.get("data"), "labels": item["metadata"].get("labels"),
                "finalizers": item["metadata"].get("finalizers")}
        return found

    def unchanged(self, *but):
        """Every Service has the addresses that it had, but for those named."""
        found = self.addresses()
        assert {name: found[name] for name in self.before if name not in but} == \
            {name: was for name, was in self.before.items() if name not in but}

    def settled(self):
        """Pools may come one after the other: that an address is in none of them counts after some seconds. The stray
        one has another one then."""
        wait_for(lambda: self.lab.service_addresses(STRAY[0]) not in ([], STRAY[1]), 2 * SOON,
                 "the stray address is replaced")


@pytest.fixture(scope="class")
def world(stentor_machine, request):
    with Lab(nodes=1, options=OPTIONS) as lab:
        made = World(lab, AGES[request.cls.age])
        made.leave_behind()
        yield made


class EveryAge:
    def test_before_anything_of_it_runs(self, world):
        """MetalLB's webhooks have nobody behind them: no pool can be applied. The manifests put it right, once the
        controller runs that they bring."""
        if world.age.webhook_service:
            assert "failed calling webhook" in world.refused(REMEDY)
        world.take_its_place()
        world.unchanged()

    def test_no_service_changes_its_address(self, world):
        world.start()
        if world.age.name != "0.9":  # there it is in the ConfigMap, before
            wait_for(lambda: world.apply(REMEDY) or True, SOON, "the controller's webhooks accept a pool")
        world.settled()
        world.unchanged(STRAY[0])
        for name in SERVICES:
            assert keeps(world.services()[name]) == "", name

    def test_a_stray_address_is_told_of(self, world):
        assert [event for event in world.lab.events(STRAY[0], "ClearAssignment") if STRAY[1][0] in event["message"]
                or "not allowed by config" in event["message"]]

    def test_each_service_was_written_once_at_most(self, world):
        """Only to name the pool, where that was not named yet; the addresses went along."""
        for name in [*SERVICES, *OTHERS]:
            writes = [entry for entry in world.lab.control_plane.audit(
                account="controller", resource="services", subresource="status", name=name) if entry["code"] == 200]
            assert len(writes) == (0 if name in OTHERS or world.age.allocated_from == ALLOCATED_FROM else 1), name

    def test_a_new_service_gets_none_that_is_in_use(self, world):
        world.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "new"}, "spec": {
            "type": "LoadBalancer", "selector": {"app": "new"}, "ports": [{"port": 80}]}})
        used = {entry["ip"] for name, status in world.before.items() if name not in ("of-another-class", STRAY[0])
                for entry in status["ingress"]}
        found = wait_for(lambda: world.lab.service_addresses("new"), SOON, "it has an address")
        assert not used.intersection(found)

    def test_a_restart_touches_nothing(self, world):
        versions = world.versions()
        world.restart()
        world.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "newer"}, "spec": {
            "type": "LoadBalancer", "selector": {"app": "newer"}, "ports": [{"port": 80}]}})
        wait_for(lambda: world.lab.service_addresses("newer"), SOON, "it has an address")
        assert {name: version for name, version in world.versions().items() if name != "newer"} == versions

    def test_the_way_back(self, world):
        """What MetalLB finds when it is back: its configuration as its users wrote it, its Secret, Services that it
        leaves as they are, and nothing that keeps an object from being deleted."""
        world.lab.stentor.stop_controller()
        assert world.configuration() == world.written
        assert world.lab.get("secret", "memberlist", "-n", NAMESPACE)["data"] == {"secretkey": "YkdWbWRBPT0="}
        for name, item in world.services().items():
            assert not item["metadata"].get("finalizers"), name
            unknown = [key for key in item["metadata"].get("annotations", {})
                       if not key.startswith(("metallb.io/", "metallb.universe.tf/", "kubectl.kubernetes.io/"))]
            assert unknown == [], name
            if name not in (*OTHERS, KEPT[0]):
                assert keeps(item) == "", name
        state = world.lab.get("configurationstate", "controller", "-n", NAMESPACE)
        assert state["metadata"]["labels"]["metallb.io/component-type"] == "controller"
        assert state["status"]["result"] == "Valid"
        assert {one["type"] for one in state["status"]["conditions"]} >= {"poolReconcilerValid"}
        world.start()


class WithOlderPools(EveryAge):
    """Pools that are to become IPAddressPools, by `kubectl stentor convert`."""

    def test_converted_pools_move_nobody(self, world):
        program = stentor.bin_folder() / CLI
        need([] if program.exists() else [f"{program} is not built (./dev build)"])
        older = [body for body in world.age.configuration() if body["kind"] in ("ConfigMap", "AddressPool")]
        done = subprocess.run([program, "convert", "-f", "-"], text=True, capture_output=True, timeout=60,
                              input="\n---\n".join(map(json.dumps, older)))
        assert done.returncode == 0, done.stderr
        versions = world.versions()
        wait_for(lambda: world.lab.apply(done.stdout) or True, SOON, "the converted pools are applied")
        kind, name = ("configmap", "config") if world.age.name == "0.9" else ("addresspool", "production")
        world.lab.kubectl("delete", kind, name, "-n", NAMESPACE)
        world.restart()
        world.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "newest"}, "spec": {
            "type": "LoadBalancer", "selector": {"app": "newest"}, "ports": [{"port": 80}]}})
        wait_for(lambda: world.lab.service_addresses("newest"), SOON, "it has an address")
        world.unchanged(STRAY[0])
        assert {name: version for name, version in world.versions().items() if name != "newest"} == versions


class TestConfigMap(WithOlderPools):
    age = "0.9"


class TestAddressPool(WithOlderPools):
    age = "0.13"


class TestToday(EveryAge):
    age = "today"


class TestWithoutPools:
    """Everything of MetalLB is gone but the Services: pools are brought back later, and not all at once."""
    age = "0.9"

    def test_until_there_is_a_pool_nobody_is_touched(self, world):
        world.lab.kubectl("delete", "configmap", "config", "-n", NAMESPACE)
        world.take_its_place()
        versions = world.versions()
        world.start()
        log = world.lab.stentor.log("controller")
        wait_for(lambda: log.containing("ready"), SOON, "the controller has read everything")
        world.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "waiting"}, "spec": {
            "type": "LoadBalancer", "selector": {"app": "waiting"}, "ports": [{"port": 80}]}})
        world.restart()
        wait_for(lambda: len(log.containing("starting")) == 2 and log.lines()[-1].get("event") == "ready", SOON,
                 lambda: f"it is ready again: {log.lines()[-1]}")
        assert {name: version for name, version in world.versions().items() if name != "waiting"} == versions
        assert world.lab.service_addresses("waiting") == []

    def test_pools_may_come_one_after_the_other(self, world):
        """Between them, who waits is served; nobody loses an address of a pool that has not come yet."""
        reserved, production = (
            manifest("IPAddressPool", "reserved", {"addresses": ["192.168.122.150-192.168.122.151"]}),
            manifest("IPAddressPool", "production", {
                "addresses": ["192.168.122.110-192.168.122.139", "2001:db8:122::110-2001:db8:122::139"]}))
        wait_for(lambda: world.apply(reserved) or True, 2 * SOON, "the webhooks accept a pool")
        found = wait_for(lambda: world.lab.service_addresses("waiting"), SOON, "who waits is served")
        assert found == ["192.168.122.151"]
        world.unchanged()
        world.apply(production)
        world.settled()
        world.unchanged(STRAY[0], KEPT[0])


@pytest.fixture(scope="class")
def helm(world):
    tools = tools_folder("helm")
    need([] if tools else ["Helm is not built (./dev setup)"])
    home = world.lab.folder / "home"

    def run(*arguments, check=True):
        return world.lab.beside_api(tools / "helm", *arguments, "--namespace", NAMESPACE, check=check, environment={
            "KUBECONFIG": str(world.lab.control_plane.admin_kubeconfig), "HELM_CACHE_HOME": str(home / "cache"),
            "HELM_CONFIG_HOME": str(home / "config"), "HELM_DATA_HOME": str(home / "data")})
    return run


class TestHelmOverWhatIsLeft:
    """MetalLB's release is gone; its kinds, pools and webhooks are not."""
    age = "today"
    CHART = REPOSITORY / "charts/stentor"

    def test_helm_wants_to_be_told_to_take_it_over(self, world, helm):
        with pytest.raises(RuntimeError, match="invalid ownership metadata"):
            helm("install", "metallb", self.CHART)
        helm("install", "metallb", self.CHART, "--take-ownership")
        webhooks = world.lab.get("validatingwebhookconfiguration", CONFIGURATION)["webhooks"]
        assert {one["clientConfig"]["service"]["name"] for one in webhooks} == {SERVICE}
        assert len(webhooks) == 7, [one["name"] for one in webhooks]
        assert world.configuration() == world.written
        world.unchanged()

    def test_without_webhooks_those_of_metallb_have_to_be_deleted(self, world, helm):
        """A release without webhooks brings no object of that name that could take their place."""
        helm("uninstall", "metallb")
        world.apply(*[one for one in world.age.left_behind() if one["kind"] == "ValidatingWebhookConfiguration"])
        helm("install", "metallb", self.CHART, "--take-ownership", "--set=controller.webhookMode=disabled")
        assert "failed calling webhook" in world.refused(REMEDY)
        world.lab.kubectl("delete", "validatingwebhookconfiguration", CONFIGURATION)
        assert world.refused(REMEDY) == ""
        world.unchanged()
