# SPDX-License-Identifier: Apache-2.0
"""What a lab and a test cluster have in common: an id and its folder, an end in every case, kubectl, clients.

Who derives from it sets `control_plane` and `network` in `_start()`, which may fail at any point.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading

import netns
import workspace
from clients import Client, OpenLoopClient
from processes import Process

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


class Testbed:
    __test__ = False  # no test class, whatever its name begins with
    KEPT = workspace.KEPT
    SAVED_LOGS = "build/lab-logs"

    def __init__(self, say=lambda text: None):
        self._say, self._handlers = say, {}
        self.id = self.control_plane = self.network = None

    # -- up and down ----------------------------------------------------------------------------------------------

    def __enter__(self):
        self._catch_signals()
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def _catch_signals(self):
        """A Python process that gets SIGTERM runs no context manager, unless the signal becomes an exception. Whoever
        has seen to that already is left in charge: pytest takes a SystemExit for a failed test and goes on."""
        def leave(number, _):
            raise SystemExit(128 + number)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is signal.SIG_DFL:
                    self._handlers[number] = signal.signal(number, leave)

    def start(self):
        self.clean_stale()
        self.id, self.folder = workspace.create()
        self.logs = self.folder / "logs"
        self.logs.mkdir()
        self._start()

    def _start(self):
        raise NotImplementedError

    def _before_removal(self):
        """For what is better ended in order than at once."""

    def stop(self):
        if self.id:
            try:
                self._before_removal()
                if self.control_plane:
                    self.control_plane.stop()
                self._save_logs()
            finally:
                workspace.remove(self.id)
                self.id = None
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()

    def keep(self):
        """Leaves everything running when this program ends; `workspace.remove(id)` takes it down."""
        workspace.own(self.id, self.KEPT)
        self.kept_id, self.id = self.id, None

    def _save_logs(self, keep=5):
        """The logs of the last few stay, for whoever asks why a test failed."""
        saved = REPOSITORY / self.SAVED_LOGS
        try:
            shutil.copytree(self.logs, saved / self.id, dirs_exist_ok=True)
            old = sorted(saved.iterdir(), key=lambda path: path.stat().st_mtime)[:-keep]
            for path in old:
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            pass  # a checkout that cannot be written to is no reason to fail

    @staticmethod
    def clean_stale():
        return workspace.clean_stale()

    def _launch(self, name, argv, env=None, wrapper=()):
        """Starts a process beside the API server."""
        return Process(name, self.network.control, argv, self.logs / f"{name}.log", env, wrapper)

    # -- Kubernetes, as a user sees it ------------------------------------------------------------------------------

    @property
    def api(self):
        return self.control_plane.api

    def beside_api(self, *command, input=None, check=True, timeout=60, environment=()):
        """Runs a program in the namespace of the API server; returns what it printed."""
        words = ["ip", "netns", "exec", self.network.control, *map(str, command)]
        done = subprocess.run(words, input=input, capture_output=True, text=True, timeout=timeout,
                              env={**os.environ, **dict(environment)})
        if check and done.returncode:
            name, *arguments = map(str, command)
            raise RuntimeError(f"{pathlib.Path(name).name} {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def kubectl_words(self):
        return [str(self.control_plane.tools / "kubectl"), f"--kubeconfig={self.control_plane.admin_kubeconfig}",
                f"--cache-dir={self.folder / 'kubectl-cache'}"]

    def kubectl_command(self):
        return ["ip", "netns", "exec", self.network.control, *self.kubectl_words()]

    def kubectl(self, *arguments, input=None, check=True, timeout=60):
        done = subprocess.run([*self.kubectl_command(), *map(str, arguments)], input=input, capture_output=True,
                              text=True, timeout=timeout)
        if check and done.returncode:
            raise RuntimeError(f"kubectl {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stdout

    def get(self, *arguments):
        """`kubectl get … -o json`, parsed."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, manifest):
        """Applies a file (a Path) or a text."""
        if isinstance(manifest, pathlib.Path):
            return self.kubectl("apply", "-f", manifest)
        return self.kubectl("apply", "-f", "-", input=manifest)

    def service_addresses(self, name, namespace="default"):
        status = self.get("service", name, "-n", namespace)["status"]
        return [entry.get("ip") for entry in status.get("loadBalancer", {}).get("ingress", [])]

    def ready_endpoints(self, name, namespace="default"):
        """The addresses of the Service's endpoints that are ready."""
        slices = self.get("endpointslices", "-n", namespace, "-l", f"kubernetes.io/service-name={name}")["items"]
        return [address for one in slices for endpoint in one.get("endpoints") or []
                if endpoint.get("conditions", {}).get("ready") for address in endpoint["addresses"]]

    def events(self, name, reason=None, namespace="default"):
        """The events about one object, as dicts {type, reason, message, source}."""
        found = []
        for event in self.get("events", "-n", namespace)["items"]:
            if event["involvedObject"].get("name") == name and reason in (None, event["reason"]):
                source = event.get("reportingComponent") or event.get("source", {}).get("component")
                found.append({"type": event["type"], "reason": event["reason"], "message": event.get("message", ""),
                              "source": source})
        return found

    # -- outside the nodes --------------------------------------------------------------------------------------------

    def _set_up_clients(self):
        self.clients = self.network.clients
        self.client = Client(self.clients["client"])
        # Who asks by ARP is another host: an ARP reply refreshes the asker's neighbour entry and would heal the
        # outage of the one whose traffic is measured.
        self.poller = Client(self.clients["client-2"])

    def speaker_of(self, address):
        """The one machine whose MAC answers for an address, by name; None when nobody does. Two are an error."""
        macs = self.poller.arping(address)
        if len(macs) > 1:
            raise AssertionError(f"{address} is claimed by {', '.join(macs)}")
        return self.network.mac_owner(macs[0]) if macs else None

    def open_loop(self, address, rate=50, timeout=1.0, port=80):
        return OpenLoopClient(self.clients["client"], address, self.logs / "open-loop.log", port, rate, timeout)
