# SPDX-License-Identifier: Apache-2.0
"""A real Kubernetes control plane of plain processes: etcd, kube-apiserver, kube-controller-manager.

Whoever uses it says where the processes run (`launch`: in a network namespace of a lab) and gets admin credentials,
ServiceAccount tokens and an audit log. As it is there is no scheduler and no kubelet: pods are put on nodes by name,
and who plays the node keeps their status. Up in about five seconds. `Options` asks for what real nodes need.
"""
import contextlib
import dataclasses
import datetime
import json
import pathlib
import shutil
import subprocess
import time

from api import ApiClient, ApiError
from certificates import Authority

HERE = pathlib.Path(__file__).resolve().parent
# What a Service with pods on nodes that live and die needs; nothing that makes or moves pods.
CONTROLLERS = ("endpointslice-controller", "endpoints-controller", "serviceaccount-controller",
               "serviceaccount-token-controller", "root-ca-certificate-publisher-controller",
               "node-lifecycle-controller", "garbage-collector-controller", "namespace-controller")
SERVICE_RANGE, KUBERNETES_SERVICE = "10.96.0.0/16", "10.96.0.1"
POD_RANGE = "10.244.0.0/16"
EVERY_CONTROLLER = ("*",)  # all that are on by default

# One line a request of a ServiceAccount of the namespace under test. Watches appear when they end.
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  userGroups: ["system:serviceaccounts:metallb-system"]
- level: None
"""


@dataclasses.dataclass(frozen=True)
class Options:
    """What a control plane is for. The defaults are the lab's: nobody makes pods, and no kubelet listens."""
    controllers: tuple = CONTROLLERS
    scheduler: bool = False
    kubelets: bool = False  # the API server has a client certificate for them, and demands one of theirs
    service_range: str = SERVICE_RANGE  # two for dual stack: "10.96.0.0/16,2001:db8:96::/112"
    audit_policy: str = AUDIT_POLICY
    apiserver_flags: tuple = ()
    controller_manager_flags: tuple = ()


def _seconds(moment):
    return datetime.datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()


def tools_folder(name="kubernetes"):
    """The folder with the built programs of a set of build-tools, or None where they were not built yet."""
    printed = subprocess.run([HERE / "build-tools", "--print-dir", name], capture_output=True, text=True, check=True)
    folder = pathlib.Path(printed.stdout.strip())
    return folder if folder.is_dir() else None


class ControlPlane:
    """`launch(name, argv)` starts a process beside the API server and returns a handle with `alive()`, `kill()`,
    `terminate()` and `log` (a path). `address` is where everybody reaches the API server."""

    def __init__(self, folder, launch, address, entering=contextlib.nullcontext, tools=None, data=None, grace="40s",
                 options=Options()):
        self.folder, self.address, self.port = pathlib.Path(folder), address, 6443
        self.tools = pathlib.Path(tools or tools_folder() or "")
        self.audit_log = self.folder / "audit.log"
        self._launch, self._grace, self._running = launch, grace, {}
        self._entering, self._options = entering, options
        # etcd on memory, or its fsyncs are part of every latency that is measured.
        self._data = pathlib.Path(data or self.folder / "etcd")
        self.api = None

    def start(self, timeout=60):
        self.folder.mkdir(parents=True, exist_ok=True)
        self._make_credentials()
        self._data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._running["etcd"] = self._launch("etcd", [
            self.tools / "etcd", "--data-dir", self._data, "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379", "--listen-peer-urls=http://127.0.0.1:2380",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380", "--initial-cluster=default=http://127.0.0.1:2380",
            "--unsafe-no-fsync", "--log-level=warn"])
        self.start_apiserver(timeout)
        self._running["kube-controller-manager"] = self._launch("kube-controller-manager", [
            self.tools / "kube-controller-manager", f"--kubeconfig={self.folder / 'controller-manager.kubeconfig'}",
            # Without this, every controller uses the manager's own account, which may do next to nothing.
            "--use-service-account-credentials=true", f"--service-account-private-key-file={self._account_key}",
            f"--root-ca-file={self.ca}", "--controllers=" + ",".join(self._options.controllers),
            "--leader-elect=false", f"--node-monitor-grace-period={self._grace}", "--bind-address=127.0.0.1", "--v=1",
            f"--cert-dir={self.folder}", *self._options.controller_manager_flags])
        if self._options.scheduler:
            self._running["kube-scheduler"] = self._launch("kube-scheduler", [
                self.tools / "kube-scheduler", f"--kubeconfig={self.folder / 'scheduler.kubeconfig'}",
                "--leader-elect=false", "--bind-address=127.0.0.1", "--v=1", f"--cert-dir={self.folder}"])
        self._wait("the default ServiceAccount", timeout,
                   lambda: self.api.get("/api/v1/namespaces/default/serviceaccounts/default"))

    def _make_credentials(self):
        authority = self._authority = Authority(self.folder / "pki")
        self.ca = authority.certificate
        self._account_key, self._account_public = authority.key_pair("service-accounts")
        self._serving = authority.issue("apiserver", "kube-apiserver", hosts=[
            self.address, KUBERNETES_SERVICE, "127.0.0.1", "::1", "localhost", "kubernetes", "kubernetes.default",
            "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"])
        admin = authority.issue("admin", "lab-admin", group="system:masters")
        self.admin_kubeconfig = self.kubeconfig("admin", *admin)
        self.kubeconfig("controller-manager", *authority.issue("controller-manager", "system:kube-controller-manager"))
        self.proxy_kubeconfig = self.kubeconfig("kube-proxy", *authority.issue("kube-proxy", "system:kube-proxy"))
        if self._options.scheduler:
            self.kubeconfig("scheduler", *authority.issue("scheduler", "system:kube-scheduler"))
        self._to_kubelets = ()
        if self._options.kubelets:
            self._to_kubelets = authority.issue("to-kubelets", "kube-apiserver-kubelet-client", group="system:masters")
        self.admin_files = (self.ca, *admin)
        self.api = ApiClient(self.address, self.port, *self.admin_files, self._entering)

    def kubeconfig(self, name, certificate, key):
        """Writes NAME.kubeconfig for a client certificate and returns its path. JSON is YAML."""
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": {"server": f"https://{self.address}:{self.port}",
                                                     "certificate-authority": str(self.ca)}}],
            "users": [{"name": name, "user": {"client-certificate": str(certificate), "client-key": str(key)}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": name}}]}, indent=2) + "\n")
        path.chmod(0o600)
        return path

    def node_credentials(self, node, addresses):
        """For a kubelet: (kubeconfig, serving certificate, its key). Called before anything else asks for certificates
        in another thread: the authority counts serial numbers in a file."""
        client = self._authority.issue(f"kubelet-{node}", f"system:node:{node}", group="system:nodes")
        serving = self._authority.issue(f"kubelet-{node}-serving", f"system:node:{node}", hosts=[node, *addresses])
        return (self.kubeconfig(f"kubelet-{node}", *client), *serving)

    def start_apiserver(self, timeout=60):
        (self.folder / "audit-policy.yaml").write_text(self._options.audit_policy)
        certificate, key = self._serving
        flags = list(self._options.apiserver_flags)
        if self._to_kubelets:
            client, client_key = self._to_kubelets
            flags += [f"--kubelet-client-certificate={client}", f"--kubelet-client-key={client_key}",
                      f"--kubelet-certificate-authority={self.ca}"]
        self._running["kube-apiserver"] = self._launch("kube-apiserver", [
            self.tools / "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379",
            f"--advertise-address={self.address}", f"--secure-port={self.port}", f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}", f"--client-ca-file={self.ca}", f"--cert-dir={self.folder}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={self._account_public}",
            f"--service-account-signing-key-file={self._account_key}",
            f"--service-cluster-ip-range={self._options.service_range}", "--authorization-mode=Node,RBAC",
            "--enable-aggregator-routing=true", "--kubelet-preferred-address-types=InternalIP",
            f"--audit-policy-file={self.folder / 'audit-policy.yaml'}", f"--audit-log-path={self.audit_log}",
            "--audit-log-mode=blocking",  # a request that was answered is in the log
            "--profiling=false", "--v=1", *flags])
        self._wait("the API server", timeout, lambda: self.api.get("/readyz"))

    def stop_apiserver(self):
        """An outage: SIGKILL, as when its machine dies. A graceful stop would first wait for the watches."""
        self._running.pop("kube-apiserver").kill()

    def _wait(self, what, timeout, attempt):
        deadline, error = time.monotonic() + timeout, None
        while time.monotonic() < deadline:
            for name, process in self._running.items():
                if not process.alive():
                    raise RuntimeError(f"{name} ended at once; the end of its log:\n{process.log_end()}")
            try:
                return attempt()
            except (OSError, ApiError) as caught:
                error = caught
            time.sleep(0.05)
        raise TimeoutError(f"{what} was not ready within {timeout} s: {error}")

    def token(self, namespace, account, hours=24):
        """A ServiceAccount token by the TokenRequest API, as kubelets fetch it for a pod."""
        answer = self.api.request(
            "POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
             "spec": {"expirationSeconds": hours * 3600}})
        return answer["status"]["token"]

    def audited_so_far(self):
        """A place in the audit log, for audit(since=…)."""
        return self.audit_log.stat().st_size if self.audit_log.exists() else 0

    def audit(self, since=0, **wanted):
        """The audited requests as dicts {account, token, verb, group, resource, subresource, namespace, name, code,
        sources, at}; `wanted` keeps those whose fields have the given values. `token` is the JTI of the one that was
        used, `at` when the request came in (seconds since the epoch)."""
        found = []
        if not self.audit_log.exists():
            return found
        with open(self.audit_log, "rb") as log:
            log.seek(since)
            text = log.read().decode()
        for line in text.splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue  # the last line, still being written
            about = event.get("objectRef", {})
            token = event["user"].get("extra", {}).get("authentication.kubernetes.io/credential-id", [""])[0]
            entry = {"account": event["user"]["username"].rsplit(":", 1)[-1], "token": token.removeprefix("JTI="),
                     "verb": event["verb"], "at": _seconds(event["requestReceivedTimestamp"]),
                     "group": about.get("apiGroup", ""), "resource": about.get("resource", ""),
                     "subresource": about.get("subresource", ""),
                     "namespace": about.get("namespace", ""), "name": about.get("name", ""),
                     "code": event.get("responseStatus", {}).get("code"), "sources": event.get("sourceIPs", [])}
            if all(entry[field] == value for field, value in wanted.items()):
                found.append(entry)
        return found

    def alive(self):
        return all(process.alive() for process in self._running.values())

    def process(self, name):
        """The handle of one of its processes: "etcd", "kube-apiserver", …"""
        return self._running[name]

    def stop(self):
        """Ends everything at once; there is nothing to save."""
        for process in reversed(list(self._running.values())):
            with contextlib.suppress(OSError):
                process.kill()
        self._running.clear()
        shutil.rmtree(self._data, ignore_errors=True)
