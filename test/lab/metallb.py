# SPDX-License-Identifier: Apache-2.0
"""MetalLB itself, as build-tools builds it out of its module: its programs, what its users install it from, and its
controller and speakers in a lab, started as its manifests start them."""
import json
import statistics
import subprocess

import figures
import yaml
from control_plane import tools_folder
from processes import wait_for
from story import SOON

METRICS = 7472  # the port that its manifests name
NAME = "MetalLB"  # in what benchmarks print


def missing():
    """Reasons why it cannot run; empty: it can."""
    return [] if tools_folder("metallb") else ["MetalLB is not built (./dev setup, or test/kubernetes/build-tools)"]


def program(component):
    """The path of metallb-controller or metallb-speaker."""
    return tools_folder("metallb") / f"metallb-{component}"


def manifests():
    """What its users apply: the variant without FRR."""
    return tools_folder("metallb").parent / "manifests/metallb-native.yaml"


def chart():
    """Its chart, with the charts that that one needs."""
    return tools_folder("metallb").parent / "chart"


def image(component):
    """What its manifests and its chart call the image of `controller` or `speaker`."""
    workloads = [one for one in yaml.safe_load_all(manifests().read_text()) if one["kind"] in ("Deployment", "DaemonSet")]
    containers = [container for one in workloads for container in one["spec"]["template"]["spec"]["containers"]]
    [found] = [container["image"] for container in containers if container["name"] == component]
    return found


def _rights(component):
    """What its manifests let its controller or its speakers do, under names that none of ours have: in one lab both makes
    run."""
    found = []
    for one in yaml.safe_load_all(manifests().read_text()):
        if one["kind"].endswith("RoleBinding"):
            one["roleRef"]["name"] = f"of-{one['roleRef']['name']}"
            one["subjects"] = [who for who in one["subjects"] if who["name"] == component]
            if not one["subjects"]:
                continue
        if one["kind"].removeprefix("Cluster") in ("Role", "RoleBinding"):
            one["metadata"]["name"] = f"of-{one['metadata']['name']}"
            found.append(one)
    return found


def _grant(lab, rights):
    lab.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": rights}))


def _serves(namespace, address):
    words = ["curl", "-sf", "--max-time", "2", f"http://{address}:{METRICS}/metrics"]
    return not subprocess.run(["ip", "netns", "exec", namespace, *words], capture_output=True).returncode


def beside(what, found, value=statistics.median):
    """A figure of ours beside its own, in seconds: `value` of what was found for each. None where it was not asked."""
    return [figures.comparison(f"{what}, beside {NAME}", value(found["Stentor"]), "s", value(found[NAME]))
            ] if NAME in found else []


class Controller:
    """MetalLB's controller in such a lab; without its webhooks, which nobody asks there."""

    def __init__(self, lab):
        self._lab = lab
        _grant(lab, _rights("controller"))

    def begin(self):
        """Its process."""
        self._lab.stentor.log("metallb-controller").path.unlink(missing_ok=True)
        return self._lab.stentor.start_in_controllers_pod(
            "metallb-controller", program("controller"), f"--port={METRICS}", "--log-level=info", "--webhook-mode=disabled")

    def start(self):
        """Likewise; it has read its pools when this returns."""
        process, log = self.begin(), self._lab.stentor.log("metallb-controller")
        wait_for(lambda: log.containing("config reloaded"), SOON, lambda: f"MetalLB's controller runs: {process.log_end()}")
        return process


class Speakers:
    """MetalLB's speakers on the nodes of a lab in which Stentor's objects are installed. An announcer (announcers.py)."""
    name = NAME

    def __init__(self, lab):
        self._lab, self._running = lab, {}
        self.let_write_statuses(True)

    def let_write_statuses(self, may):
        """Where they may not, there is no ServiceL2Status of theirs: as with versions before 0.14."""
        rights = _rights("speaker")
        for one in rights:
            for rule in one.get("rules") or ():
                if "servicel2statuses" in rule["resources"] and not may:
                    rule["verbs"] = ["get", "list", "watch"]
        _grant(self._lab, rights)

    def runs(self, node):
        return node in self._running

    def dead(self):
        return {node: process.log_end() for node, process in self._running.items() if not process.alive()}

    def processes(self):
        return list(self._running.values())

    def start(self, node, announces=True):
        """Returns when it is ready, and has announced something if there is something for it: its manifests have a DaemonSet
        wait for ten seconds before it asks whether it is."""
        process, log, at = self.begin(node), self._lab.stentor.log(f"metallb-{node}"), self._lab.nodes[node]
        wait_for(lambda: _serves(at.namespace, at.address) and (log.containing("serviceAnnounced") or not announces), SOON,
                 lambda: f"MetalLB's speaker of {node} runs: {process.log_end()}")

    def begin(self, node):
        """Its process."""
        self._lab.stentor.log(f"metallb-{node}").path.unlink(missing_ok=True)
        self._running[node] = self._lab.stentor.start_in_speakers_pod(
            f"metallb-{node}", program("speaker"), node, f"--port={METRICS}", "--log-level=info")
        return self._running[node]

    def _take(self, node):
        process = self._running.pop(node)
        assert process.alive(), process.log_end()
        return process

    def kill(self, node):
        """Nobody is told."""
        self._take(node).kill()

    def end(self):
        """All of them, whatever became of them meanwhile."""
        while self._running:
            self._running.popitem()[1].kill()

    def stop(self, node):
        """SIGTERM: it says goodbye to the others."""
        self._take(node).terminate()

    def power_cut(self, node):
        """Ends with its node, and does not begin with it again by itself."""
        self._take(node)
        return self._lab.kill_node(node)
