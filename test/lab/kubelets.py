# SPDX-License-Identifier: Apache-2.0
"""Plays the kubelets of a lab: keeps the Leases of living nodes fresh, their Ready condition and their pods' true.

A process of its own, so that a lab outlives the program that made it (`demo --keep`). Which nodes live, a folder says:
a file NODE there holds the node's pods as {"namespace/name": {"ip": …, "host_ip": …}}. No file, no signs of life.
Run as: kubelets.py FOLDER HOST CA CERTIFICATE KEY, in the namespace of the API server.
"""
import datetime
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kubernetes"))

from api import STRATEGIC, ApiClient, ApiError  # noqa: E402

EVERY = 0.5  # how soon a revived node is Ready again
LEASE_EVERY = 4.0


def now(form="%Y-%m-%dT%H:%M:%SZ"):
    return datetime.datetime.now(datetime.timezone.utc).strftime(form)


def node_conditions():
    healthy = {"MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "Ready": "True"}
    return [{"type": kind, "status": status, "reason": "Lab", "message": "kept by the lab",
             "lastHeartbeatTime": now(), "lastTransitionTime": now()} for kind, status in healthy.items()]


def pod_status(pod):
    """What a kubelet reports of a pod whose containers run. podIP has to equal hostIP for a host network pod."""
    conditions = [{"type": kind, "status": "True", "lastTransitionTime": now()}
                  for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")]
    return {"status": {
        "phase": "Running", "conditions": conditions, "hostIP": pod["host_ip"], "podIP": pod["ip"],
        "podIPs": [{"ip": pod["ip"]}], "startTime": now(),
        "containerStatuses": [{"name": "main", "image": "lab", "imageID": "lab", "ready": True, "restartCount": 0,
                               "started": True, "state": {"running": {"startedAt": now()}}}]}}


def is_true(status, condition):
    return any(one["type"] == condition and one["status"] == "True" for one in status.get("conditions", []))


class Kubelets:
    def __init__(self, api, folder):
        self._api, self._folder, self._leases = api, pathlib.Path(folder), {}

    def round(self):
        living = {path.name: json.loads(path.read_text()) for path in self._folder.iterdir() if path.suffix == ""}
        for node in living:
            if time.monotonic() - self._leases.get(node, -LEASE_EVERY) >= LEASE_EVERY:
                self._renew(node)
                self._leases[node] = time.monotonic()
        for node in self._api.get("/api/v1/nodes?resourceVersion=0")["items"]:
            name = node["metadata"]["name"]
            if name in living and not is_true(node["status"], "Ready"):
                self._leases.pop(name, None)
                self._api.patch(f"/api/v1/nodes/{name}/status", {"status": {"conditions": node_conditions()}})
        pods = {pod["metadata"]["namespace"] + "/" + pod["metadata"]["name"]: pod
                for pod in self._api.get("/api/v1/pods?resourceVersion=0")["items"]}
        for kept in living.values():
            for name, facts in kept.items():
                if name in pods and not is_true(pods[name].get("status", {}), "Ready"):
                    namespace, pod = name.split("/")
                    self._api.patch(f"/api/v1/namespaces/{namespace}/pods/{pod}/status", pod_status(facts), STRATEGIC)

    def _renew(self, node):
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        spec = {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": now("%Y-%m-%dT%H:%M:%S.%fZ")}
        try:
            self._api.patch(f"{path}/{node}", {"spec": spec}, "application/merge-patch+json")
        except ApiError as error:
            if error.status != 404:
                raise
            self._api.create(path, {"metadata": {"name": node}, "spec": spec})


def main():
    folder, host, authority, certificate, key = sys.argv[1:]
    kubelets = Kubelets(ApiClient(host, 6443, authority, certificate, key), folder)
    while pathlib.Path(folder).is_dir():
        try:
            kubelets.round()
        except (OSError, ApiError, ValueError) as error:  # the API server may be away: that is some tests' subject
            print(f"kubelets: {error}", flush=True)
        time.sleep(EVERY)


if __name__ == "__main__":
    main()
