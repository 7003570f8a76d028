# SPDX-License-Identifier: Apache-2.0
"""Stentor in the cluster, installed in the ways that docs/install.md describes; and the main job's story there."""
import json
import os
import pathlib
import signal
import time

from processes import wait_for
from stentor import NAMESPACE
from story import APP, Story

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
RELEASE = "metallb"
CHART = REPOSITORY / "charts/stentor"
MANIFESTS = REPOSITORY / "deploy/stentor.yaml"
SECURITY = [f"pod-security.kubernetes.io/{mode}=privileged" for mode in ("enforce", "audit", "warn")]
# Pulling, starting and ending containers on a busy machine with two cores.
ROLLOUT = 120


def complaint(lab, *arguments, input=None):
    """What kubectl complains of; empty: it did what it was told."""
    try:
        lab.kubectl(*arguments, input=input)
    except RuntimeError as error:
        return str(error)
    return ""


def refusal(lab, manifest):
    """Why the API server would refuse an object; empty: it would not."""
    return complaint(lab, "create", "--dry-run=server", "-f", "-", input=json.dumps(manifest))


class ContainerProcess:
    """A container's first process as the kernel sees it from outside."""

    def __init__(self, pod, program):
        uid = pod["metadata"]["uid"]
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                # The control group of a pod is named after its uid, with dashes or (systemd) underscores.
                if (folder / "cmdline").read_bytes().split(b"\0")[0] == program.encode() and \
                        uid in (folder / "cgroup").read_text().replace("_", "-"):
                    self._folder = folder
                    return
            except OSError:
                continue  # it ended
        raise LookupError(f"pod {pod['metadata']['name']} has no process {program}")

    def signal(self, number=signal.SIGKILL):
        os.kill(int(self._folder.name), number)

    def status(self, key):
        """A field of /proc/PID/status."""
        for line in (self._folder / "status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == key:
                return value.strip()
        raise LookupError(key)

    def mounts(self):
        """[what, where, type, options] of each mount that it sees."""
        return [line.split()[:4] for line in (self._folder / "mounts").read_text().splitlines()]

    def started(self):
        """When it began, in seconds since 1970."""
        ticks = int((self._folder / "stat").read_text().rpartition(")")[2].split()[19])
        since_boot = ticks / os.sysconf("SC_CLK_TCK")
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot

    def memory_kib(self):
        """Resident memory in KiB: (all of it, what is its own and not a file's)."""
        return tuple(int(self.status(key).split()[0]) for key in ("VmRSS", "RssAnon"))


class Installation:
    def __init__(self, cluster, way, chart=CHART, manifests=MANIFESTS):
        self.cluster, self.way, self.chart, self.manifests = cluster, way, chart, manifests

    # -- installing -------------------------------------------------------------------------------------------------

    def install(self, *values):
        if self.way == "helm":
            self.cluster.kubectl("create", "namespace", NAMESPACE)
            self.cluster.kubectl("label", "namespace", NAMESPACE, *SECURITY)
            self.helm("install", *values)
        else:
            self.cluster.apply(self.manifests)
        # To Helm, one pod that is missing is none too many; and without the controller no pool is accepted.
        self.wait_rolled_out()

    def install_again(self):
        """After uninstall(): the namespace and the pools are still there."""
        if self.way == "helm":
            self.helm("install")
            self.wait_rolled_out()
        else:
            self.upgrade()

    def upgrade(self, *values):
        if self.way == "helm":
            self.helm("upgrade", *values)
        else:
            self.cluster.apply(self.manifests)
        self.wait_rolled_out()

    def helm(self, verb, *values):
        return self.cluster.helm(verb, RELEASE, self.chart, "--namespace", NAMESPACE, "--wait", f"--timeout={2 * ROLLOUT}s",
                                 *values, timeout=3 * ROLLOUT)  # what Helm says at its own limit is worth hearing

    def uninstall(self):
        if self.way == "helm":
            self.cluster.helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", f"--timeout={ROLLOUT}s")
        else:
            # As the page says: all but the kinds, whose pools stay, and the namespace that these live in.
            self.cluster.kubectl("delete", "--ignore-not-found", "-f", self.manifests,
                                 "--selector=app=metallb", f"--timeout={ROLLOUT}s")

    def remove_everything(self):
        """Also what an uninstallation leaves, for whoever comes next. Never fails."""
        kubectl = self.cluster.kubectl
        if self.way == "helm":
            self.cluster.helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", check=False)
        kubectl("delete", "service", "-n", "default", "--field-selector=metadata.name!=kubernetes", check=False)
        kubectl("delete", "deployment", "--all", "-n", "default", check=False)
        # First the pods: a namespace that has some to end is looked at again only after half of the time that they may take.
        # Then the namespace, and then the kinds of what is in it: at once, the namespace would have to wait until it is
        # noticed that these are gone.
        kubectl("delete", "deployments,daemonsets", "--all", "-n", NAMESPACE, check=False)
        kubectl("wait", "--for=delete", "pods", "--all", "-n", NAMESPACE, f"--timeout={ROLLOUT}s", check=False,
                timeout=2 * ROLLOUT)
        kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", check=False, timeout=2 * ROLLOUT)
        kubectl("delete", "--ignore-not-found", "-f", MANIFESTS, check=False, timeout=2 * ROLLOUT)

    # -- what runs --------------------------------------------------------------------------------------------------

    def workload(self, component):
        """kind/name of the Deployment or DaemonSet of a component."""
        kind = {"controller": "deployment", "speaker": "daemonset"}[component]
        [item] = self.cluster.get(kind, "-n", NAMESPACE)["items"]
        return f"{kind}/{item['metadata']['name']}"

    def wait_rolled_out(self):
        for component in ("controller", "speaker"):
            self.cluster.rolled_out(self.workload(component), NAMESPACE, timeout=ROLLOUT)

    def restart(self, *components):
        for component in components:
            self.cluster.kubectl("rollout", "restart", self.workload(component), "-n", NAMESPACE)
        self.wait_settled()

    def wait_settled(self):
        """Rolled out, and the former pods are gone."""
        self.wait_rolled_out()
        replicas = self.cluster.get(self.workload("controller"), "-n", NAMESPACE)["spec"]["replicas"]
        wait_for(lambda: len(self.pods()) == replicas + len(self.cluster.nodes), ROLLOUT, "the former pods are gone")

    def pods(self, component=None, node=None):
        """The pods of ours as objects."""
        items = self.cluster.get("pods", "-n", NAMESPACE)["items"]
        return [item for item in items
                if component in (None, item["spec"]["containers"][0]["name"])
                and node in (None, item["spec"].get("nodeName"))]

    def log_lines(self):
        """Every line that our pods have written, as (pod, parsed JSON)."""
        found = []
        for pod in self.pods():
            name = pod["metadata"]["name"]
            if "deletionTimestamp" not in pod["metadata"]:  # or it may be gone before it is asked
                for line in self.cluster.kubectl("logs", name, "-n", NAMESPACE).splitlines():
                    found.append((name, json.loads(line)))
        return found

    def lease_holder(self):
        """The name of the controller's pod that leads, as the Lease has it; empty: none."""
        found = self.cluster.get("lease", "stentor-controller", "-n", NAMESPACE)["spec"].get("holderIdentity", "")
        return found.partition("_")[0]

    def webhook_trust(self):
        """(the webhooks' certificates as the Secret holds them, each caBundle that the API server was told)."""
        kind = self.cluster.get("crd", "bgppeers.metallb.io")["spec"]["conversion"]["webhook"]["clientConfig"]
        webhooks = self.cluster.get("validatingwebhookconfiguration", "metallb-webhook-configuration")["webhooks"]
        return (self.cluster.get("secret", "metallb-webhook-cert", "-n", NAMESPACE)["data"],
                [kind.get("caBundle"), *(webhook["clientConfig"].get("caBundle") for webhook in webhooks)])

    def services(self):
        """name → (addresses, pool) of every load balanced Service."""
        return {item["metadata"]["name"]: (
            [entry.get("ip") for entry in item["status"]["loadBalancer"].get("ingress", [])],
            item["metadata"].get("annotations", {}).get("metallb.io/ip-allocated-from-pool"))
            for item in self.cluster.get("services")["items"] if item["spec"]["type"] == "LoadBalancer"}


def web(cluster, nodes):
    """The main job's application: one pod on each of the nodes, each answering with its name."""
    there = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": nodes}]}
    cluster.add_web(APP, replicas=len(nodes), affinity={"nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [there]}}})


class ClusterStory(Story):
    """The story of the lab (../lab/story.py), told by pods."""

    def __init__(self, cluster, installation):
        super().__init__(cluster)
        self.installation = installation

    def set_up(self, *values):
        self.installation.install(*values)
        web(self.lab, self.order[1:])

    def _all_alive(self):
        restarted = {pod["metadata"]["name"]: status["restartCount"] for pod in self.installation.pods()
                     for status in pod["status"].get("containerStatuses", []) if status["restartCount"]}
        assert not restarted, f"containers that ended by themselves: {restarted}"
