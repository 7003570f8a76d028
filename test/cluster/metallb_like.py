# SPDX-License-Identifier: Apache-2.0
"""An installation that leaves the same objects behind as one of MetalLB: its chart's, or its plain manifests'.

The names, labels and selectors are MetalLB's; the programs are a pause image, since what counts is what is left when
Stentor comes: kinds with a conversion webhook, webhooks that refuse every pool because nobody answers them, and that trust
an authority that is gone, Services with addresses, the Secret of the speakers, status objects.
"""
import base64
import json
import pathlib
import tempfile

import images
import yaml
from certificates import Authority
from stentor import EXCLUDED, LABELS, NAMESPACE

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
KINDS = REPOSITORY / "crds"
RBAC = "rbac.authorization.k8s.io"
EVERYTHING = ["create", "delete", "get", "list", "patch", "update", "watch"]
# Name of the webhook, version, singular, plural, operations.
WEBHOOKS = [("ipaddresspool", "v1beta1", "ipaddresspool", "ipaddresspools", ["CREATE", "UPDATE"]),
            ("l2advertisement", "v1beta1", "l2advertisement", "l2advertisements", ["CREATE", "UPDATE"]),
            ("bgppeer", "v1beta2", "bgppeer", "bgppeers", ["CREATE", "UPDATE"]),
            ("bfdprofile", "v1beta1", "bfdprofile", "bfdprofiles", ["CREATE", "DELETE"])]


class MetallbLike:
    """`plain`: as MetalLB's manifests name things, else as its chart does for a release "metallb"."""

    def __init__(self, plain):
        self._plain = plain
        self._prefix = "" if plain else "metallb-"
        self.controller, self.speaker = self._prefix + "controller", self._prefix + "speaker"
        self.memberlist = self._prefix + "memberlist"
        with tempfile.TemporaryDirectory() as folder:
            self._stale_bundle = base64.b64encode(Authority(folder).certificate.read_bytes()).decode()

    def _labels(self, component=None):
        if self._plain:
            return {"app": "metallb", **({"component": component} if component else {})}
        labels = {"app.kubernetes.io/name": "metallb", "app.kubernetes.io/instance": "metallb"}
        return {**labels, "app.kubernetes.io/component": component} if component else labels

    def _metadata(self, name, component=None, namespaced=True):
        return {"name": name, "labels": self._labels(component), **({"namespace": NAMESPACE} if namespaced else {})}

    def kinds(self):
        """The group's CustomResourceDefinitions, without anything that makes them stay, and converted by a webhook."""
        found = []
        for path in sorted(KINDS.glob("*.yaml")):
            kind = yaml.safe_load(path.read_text())
            if kind["metadata"]["name"] == "bgppeers.metallb.io":
                kind["spec"]["conversion"] = {"strategy": "Webhook", "webhook": {
                    "conversionReviewVersions": ["v1beta1", "v1beta2"], "clientConfig": {
                        "caBundle": self._stale_bundle, "service": {"name": "metallb-webhook-service", "namespace": NAMESPACE, "path": "/convert"}}}}
            found.append(kind)
        return found

    def objects(self, failure_policy="Fail"):
        found = [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": self._metadata(name)}
                 for name in (self.controller, self.speaker)]
        for name, rules in {
                self.controller: [{"apiGroups": [""], "resources": ["services", "namespaces"],
                                   "verbs": ["get", "list", "watch"]},
                                  {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]},
                                  {"apiGroups": [""], "resources": ["services/status"], "verbs": ["update"]},
                                  {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
                                  *self._rules("admissionregistration.k8s.io", "validatingwebhookconfigurations",
                                               ["metallb-webhook-configuration"]),
                                  *self._rules("apiextensions.k8s.io", "customresourcedefinitions",
                                               [kind["metadata"]["name"] for kind in self.kinds()]),
                                  {"apiGroups": ["metallb.io"], "resources": ["configurationstates"],
                                   "verbs": EVERYTHING},
                                  {"apiGroups": ["metallb.io"], "resources": ["configurationstates/status"],
                                   "verbs": ["get", "patch", "update"]}],
                self.speaker: [{"apiGroups": [""], "resources": ["services", "endpoints", "nodes", "namespaces"],
                                "verbs": ["get", "list", "watch"]},
                               {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"],
                                "verbs": ["get", "list", "watch"]},
                               {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]}]}.items():
            cluster_name = f"{'metallb-system' if self._plain else 'metallb'}:{name.removeprefix('metallb-')}"
            found += self._role("Cluster", cluster_name, rules, [name])
        found += self._role("", self._prefix + "controller", [
            {"apiGroups": [""], "resources": ["secrets"], "verbs": EVERYTHING},
            {"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": [self.controller], "verbs": ["get"]},
            {"apiGroups": ["metallb.io"], "resources": ["ipaddresspools/status"], "verbs": ["update"]}],
            [self.controller])
        found += self._role("", self._prefix + "pod-lister", [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
            {"apiGroups": ["metallb.io"], "verbs": ["get", "list", "watch"], "resources": [
                "ipaddresspools", "l2advertisements", "bgpadvertisements", "bgppeers", "bfdprofiles", "communities"]}],
            [self.controller, self.speaker])
        found += [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": self._metadata("metallb-excludel2"),
             "data": {"excludel2.yaml": "announcedInterfacesToExclude: " + json.dumps(EXCLUDED) + "\n"}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": self._metadata("metallb-webhook-cert")},
            {"apiVersion": "v1", "kind": "Service", "metadata": self._metadata("metallb-webhook-service"),
             "spec": {"ports": [{"port": 443, "targetPort": 9443}], "selector": self._labels("controller")}},
            {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
             "metadata": self._metadata("metallb-webhook-configuration", namespaced=False),
             "webhooks": [self._webhook(failure_policy, *one) for one in WEBHOOKS]},
            self._workload("Deployment", self.controller, "controller", {}),
            self._workload("DaemonSet", self.speaker, "speaker", {"hostNetwork": True})]
        return found

    def _webhook(self, failure_policy, name, version, singular, plural, operations):
        name = "bgppeers" if self._plain and name == "bgppeer" else name
        return {"name": f"{name}validationwebhook.metallb.io", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                "failurePolicy": failure_policy, "timeoutSeconds": 2, "clientConfig": {
                    "caBundle": self._stale_bundle, "service": {
                        "name": "metallb-webhook-service", "namespace": NAMESPACE,
                        "path": f"/validate-metallb-io-{version}-{singular}"}},
                "rules": [{"apiGroups": ["metallb.io"], "apiVersions": [version], "operations": operations,
                           "resources": [plural]}]}

    @staticmethod
    def _rules(group, resource, names):
        """All of them can be read, and those with the names be changed."""
        return [{"apiGroups": [group], "resources": [resource], "verbs": ["list", "watch"]},
                {"apiGroups": [group], "resources": [resource], "resourceNames": names, "verbs": EVERYTHING}]

    def _role(self, scope, name, rules, accounts):
        metadata = self._metadata(name, namespaced=not scope)
        return [{"apiVersion": f"{RBAC}/v1", "kind": f"{scope}Role", "metadata": metadata, "rules": rules},
                {"apiVersion": f"{RBAC}/v1", "kind": f"{scope}RoleBinding", "metadata": metadata,
                 "roleRef": {"apiGroup": RBAC, "kind": f"{scope}Role", "name": name},
                 "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}
                              for account in accounts]}]

    def _workload(self, kind, name, component, spec):
        def field(path):
            return {"fieldRef": {"fieldPath": path}}
        environment = {"METALLB_POD_NAME": field("metadata.name")}
        if component == "speaker":
            labels = LABELS if self._plain else self._labels("speaker")
            environment |= {"METALLB_NODE_NAME": field("spec.nodeName"), "METALLB_HOST": field("status.hostIP"),
                            "METALLB_ML_BIND_ADDR": field("status.podIP"),
                            "METALLB_ML_LABELS": ",".join(f"{key}={value}" for key, value in labels.items()),
                            "METALLB_ML_SECRET_KEY_PATH": "/etc/ml_secret_key"}
        else:
            environment |= {"METALLB_ML_SECRET_NAME": self.memberlist, "METALLB_DEPLOYMENT": self.controller}
        container = {
            "name": component, "image": images.PAUSE,
            # What MetalLB's manifests say; the pause image does not know them, and ends.
            "args": ["--port=9120", "--log-level=info"],
            "env": [{"name": key, **({"value": value} if isinstance(value, str) else {"valueFrom": value})}
                    for key, value in environment.items()],
            "ports": [{"name": "metricshttps", "containerPort": 9120}],
            "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                "capabilities": {"drop": ["ALL"],
                                                 **({"add": ["NET_RAW"]} if component == "speaker" else {})}}}
        volumes = {}
        if component == "speaker":
            volumes = {"memberlist": ("/etc/ml_secret_key", {"secret": {"secretName": self.memberlist,
                                                                        "defaultMode": 420}}),
                       "metallb-excludel2": ("/etc/metallb", {"configMap": {"name": "metallb-excludel2",
                                                                            "defaultMode": 256}})}
            container["volumeMounts"] = [{"name": volume, "mountPath": path, "readOnly": True}
                                         for volume, (path, _) in volumes.items()]
        return {"apiVersion": "apps/v1", "kind": kind, "metadata": self._metadata(name, component), "spec": {
            "selector": {"matchLabels": self._labels(component)},
            "template": {"metadata": {"labels": self._labels(component)}, "spec": {
                "serviceAccountName": name, "terminationGracePeriodSeconds": 0, **spec, "containers": [container],
                "volumes": [{"name": volume, **source} for volume, (_, source) in volumes.items()]}}}}

    def secret(self, deployment_uid):
        """The speakers' key, as MetalLB's controller makes it."""
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {
            "name": self.memberlist, "namespace": NAMESPACE, "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "Deployment", "name": self.controller, "uid": deployment_uid}]},
            "data": {"secretkey": base64.b64encode(base64.b64encode(bytes(range(128)))).decode()}}

    def chart(self, folder, failure_policy="Fail"):
        """Writes a chart "metallb" without any templating into a folder, and returns the folder."""
        (folder / "templates").mkdir(parents=True, exist_ok=True)
        (folder / "Chart.yaml").write_text("apiVersion: v2\nname: metallb\nversion: 0.15.2\nappVersion: v0.15.2\n")
        (folder / "templates/all.yaml").write_text(self.manifest(failure_policy))
        return folder

    def manifest(self, failure_policy="Fail"):
        return "\n---\n".join(json.dumps(one) for one in [*self.kinds(), *self.objects(failure_policy)])
