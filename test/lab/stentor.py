# SPDX-License-Identifier: Apache-2.0
"""Stentor's two programs in a lab, started as their manifests would: in-cluster configuration, the accounts and rights
that deploy/stentor.yaml grants, MetalLB's environment, their own log."""
import base64
import json
import os
import pathlib
import secrets
import shutil

import yaml
from processes import Process, wait_for

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
NAMESPACE = "metallb-system"
LABELS = {"app": "metallb", "component": "speaker"}
ARGUMENTS = ("--port=0", "--log-level=info")

# What MetalLB's manifests mount at /etc/metallb: interfaces on which nothing is announced.
EXCLUDED = ["^docker.*", "^cbr.*", "^dummy.*", "^virbr.*", "^lxcbr.*", "^veth.*", "^lo$", "^cali.*", "^tunl.*",
            "^flannel.*", "^kube-ipvs.*", "^cni.*", "^nodelocaldns.*", "^lxc.*"]


def bin_folder():
    return pathlib.Path(os.environ.get("STENTOR_BIN_DIR") or REPOSITORY / "build/release/bin")


def missing_programs():
    """Names of Stentor's programs that were not built."""
    return [name for name in ("stentor-controller", "stentor-speaker") if not (bin_folder() / name).exists()]


def shipped(*kinds):
    """The objects of these kinds in deploy/stentor.yaml."""
    with open(REPOSITORY / "deploy/stentor.yaml") as manifests:
        return [manifest for manifest in yaml.safe_load_all(manifests) if manifest["kind"] in kinds]


def accounts_and_rights():
    """The objects of deploy/stentor.yaml that say who may do what. The lab starts the programs itself."""
    return shipped("Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


class LogView:
    """The JSON lines of a program's log. Lines that are no JSON (a crash) are kept under "msg"."""

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def text(self):
        return self.path.read_text(errors="replace") if self.path.exists() else ""

    def lines(self):
        found = []
        for line in self.text().splitlines():
            try:
                parsed = json.loads(line)
            except ValueError:
                parsed = None
            found.append(parsed if isinstance(parsed, dict) else {"msg": line})
        return found

    def containing(self, *words):
        """The lines in which every word occurs somewhere (in the text of a value, unescaped)."""
        return [line for line in self.lines() if all(any(word in str(value) for value in line.values())
                                                     for word in words)]


class Stentor:
    """`lab` gives: folder, control_plane, network, kubectl, speaker pods as API objects."""

    def __init__(self, lab):
        self._lab, self.controller, self.speakers = lab, None, {}
        self._bin = lab.folder / "bin"
        self.member_addresses = {}  # node → where its speaker talks to the others; else its address on the segment

    # -- what the manifests would bring ---------------------------------------------------------------------------

    def install(self):
        """CRDs, accounts, RBAC, the memberlist Secret and the speakers' pods; returns when all of it is served."""
        self._install_kinds(sorted(path.stem for path in (REPOSITORY / "crds").glob("*.yaml")))
        self._lab.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": accounts_and_rights()}))
        self._install_objects()

    def _install_kinds(self, plurals):
        """CRDs of ours, by their names in crds/; none is fine."""
        if plurals:
            self._lab.kubectl("apply", *[word for name in plurals for word in ("-f", REPOSITORY / f"crds/{name}.yaml")])
        for plural in {"ipaddresspools", "l2advertisements", "addresspools"}.intersection(plurals):
            # "created" is not "served"
            path = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}/{plural}"
            wait_for(lambda path=path: "items" in self._lab.control_plane.api.get(path), 30, f"the API serves {plural}")

    def _install_objects(self):
        """What the manifests bring besides, or a cluster makes of them."""
        lab, api = self._lab, self._lab.control_plane.api
        for account in ("controller", "speaker"):
            wait_for(lambda account=account: api.get(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account}"),
                     30, f"the ServiceAccount {account}")
        self._key = base64.b64encode(secrets.token_bytes(128)).decode()
        api.create(f"/api/v1/namespaces/{NAMESPACE}/secrets", {
            "metadata": {"name": "memberlist"}, "stringData": {"secretkey": self._key}})
        # Inert, because no controller in the lab makes pods of it: the owner of what the controller creates.
        api.create(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments", {
            "metadata": {"name": "controller"}, "spec": {
                "selector": {"matchLabels": {"app": "metallb", "component": "controller"}},
                "template": {"metadata": {"labels": {"app": "metallb", "component": "controller"}},
                             "spec": {"containers": [{"name": "controller", "image": "lab"}]}}}})
        for node in lab.network.nodes.values():
            lab.add_pod_object(NAMESPACE, f"speaker-{node.name}", node.name, self._member_address(node), labels=LABELS,
                               host_network=True, account="speaker")

    def _member_address(self, node):
        return self.member_addresses.get(node.name, node.address)

    def _container(self, name, account):
        """The files of a program's container; written anew at each start, with a fresh token where one can be had."""
        folder = self._lab.folder / "containers" / name
        for part in ("account", "etc"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        control_plane, token = self._lab.control_plane, folder / "account/token"
        try:
            token.write_text(control_plane.token(NAMESPACE, account))
        except OSError:
            if not token.exists():
                raise
            # The API server is away: a container that is started again finds the token that it had.
        (folder / "account/ca.crt").write_text(control_plane.ca.read_text())
        (folder / "account/namespace").write_text(NAMESPACE)
        for path, text in self._mounted(account).items():
            (folder / "etc" / path).parent.mkdir(exist_ok=True)
            (folder / "etc" / path).write_text(text)
        return folder

    def _mounted(self, account):
        """What the manifests mount into /etc: path → text."""
        excluded = "announcedInterfacesToExclude: " + json.dumps(EXCLUDED) + "\n"
        return {"ml_secret_key/secretkey": self._key, "metallb/excludel2.yaml": excluded} if account == "speaker" else {}

    def _program(self, name):
        """A copy that nobody needs rights for (the checkout may be in somebody's home) and no build overwrites. `name`:
        a program of the build, or the path of another make's."""
        source = bin_folder() / name
        copy = self._bin / source.name
        self._bin.mkdir(exist_ok=True)
        # Another start may run the copy: replaced by a rename, never written to.
        if not copy.exists() or copy.stat().st_mtime != source.stat().st_mtime:
            shutil.copy2(source, copy.with_suffix(".new"))
            copy.with_suffix(".new").rename(copy)
        return copy

    def _start(self, name, namespace, program, account, rights, environment, arguments):
        folder = self._container(name, account)
        kept = {key: os.environ[key] for key in ("PATH", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS") if key in os.environ}
        environment = {**kept, "KUBERNETES_SERVICE_HOST": self._lab.control_plane.address,
                       "KUBERNETES_SERVICE_PORT": str(self._lab.control_plane.port), "HOME": "/",
                       **environment}
        return Process(name, namespace, [self._program(program), *arguments], self.log(name).path, environment,
                       wrapper=[HERE / "container.sh", folder, rights])

    def log(self, name):
        """The log of `controller` or `speaker-NODE`, over all its starts."""
        return LogView(self._lab.logs / f"{name}.log")

    @staticmethod
    def _names(pod):
        return {"METALLB_NAMESPACE": NAMESPACE, "METALLB_POD_NAME": pod}

    # -- starting and ending --------------------------------------------------------------------------------------

    def start_controller(self, *arguments):
        self.controller = self.start_replica("controller", *arguments)
        return self.controller

    def start_replica(self, pod, *arguments):
        """A controller in a pod of this name; nothing here keeps it in mind."""
        return self.start_in_controllers_pod(pod, "stentor-controller", *ARGUMENTS, *arguments)

    def start_in_controllers_pod(self, pod, program, *arguments):
        """A program as the controller; nothing here keeps it in mind."""
        return self._start(
            pod, self._lab.network.control, program, "controller", "nobody",
            {**self._names(pod), "METALLB_ML_SECRET_NAME": "memberlist", "METALLB_DEPLOYMENT": "controller"}, arguments)

    def token_of(self, pod):
        """The id of the token that a program got at its last start; the audit log names it."""
        payload = (self._lab.folder / "containers" / pod / "account/token").read_text().split(".")[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"]

    def start_beside(self, name, program, *arguments):
        """Another program of the build, started as the controller would be and with its account."""
        return self._start(name, self._lab.network.control, program, "controller", "nobody", {}, arguments)

    def stop_controller(self, kill=False):
        """SIGTERM (its exit code is returned), or SIGKILL."""
        process, self.controller = self.controller, None
        return process.kill() if kill else process.terminate()

    def start_speaker(self, node_name, *arguments):
        self.speakers[node_name] = self.start_in_speakers_pod(
            f"speaker-{node_name}", "stentor-speaker", node_name, *ARGUMENTS, *arguments)
        return self.speakers[node_name]

    def start_in_speakers_pod(self, name, program, node_name, *arguments):
        """A program as the speaker of a node; nothing here keeps it in mind. `name`: of its log."""
        node = self._lab.network.nodes[node_name]
        return self._start(
            name, node.namespace, program, "speaker", "root-with-net-raw",
            {**self._names(f"speaker-{node_name}"), "METALLB_NODE_NAME": node_name, "METALLB_HOST": node.address,
             "METALLB_ML_BIND_ADDR": self._member_address(node), "METALLB_ML_SECRET_KEY_PATH": "/etc/ml_secret_key",
             "METALLB_ML_LABELS": ",".join(f"{key}={value}" for key, value in LABELS.items())}, arguments)

    def start_speakers(self, *arguments):
        for node_name in self._lab.network.nodes:
            self.start_speaker(node_name, *arguments)

    def stop_speaker(self, node_name):
        return self.speakers.pop(node_name).terminate()

    def kill_speaker(self, node_name):
        self.speakers.pop(node_name).kill()

    def dead(self):
        """Those that should run and do not, with the end of their log: to be asked before a fault is blamed."""
        running = {"controller": self.controller} if self.controller else {}
        running |= {f"speaker-{node}": process for node, process in self.speakers.items()}
        return {name: process.log_end() for name, process in running.items() if not process.alive()}
