# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus beside the cluster: it finds pods by the Kubernetes API and scrapes them as an operator would let
it, with a ServiceAccount's token or without."""
import json
import urllib.parse
import urllib.request

import netns
from control_plane import tools_folder
from processes import Process

NAMESPACE = "monitoring"
ACCOUNT = "prometheus"
PORT = 9090

RIGHTS = {"apiVersion": "v1", "kind": "List", "items": [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": NAMESPACE}},
    {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "prometheus-for-tests"},
     "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
               {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]},
    {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
     "metadata": {"name": "prometheus-for-tests"},
     "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "prometheus-for-tests"},
     "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}]}]}


class Prometheus:
    """Two jobs for the same pods: "with-token" and "without-token"."""

    def __init__(self, cluster, scraped_namespace, folder):
        self._cluster, self._scraped, self._folder = cluster, scraped_namespace, folder
        self._process = None

    def __enter__(self):
        control_plane = self._cluster.control_plane
        self._cluster.apply(json.dumps(RIGHTS))
        folder = self._folder
        token = folder / "token"
        token.write_text(control_plane.token(NAMESPACE, ACCOUNT))
        token.chmod(0o600)
        authorization = {"credentials_file": str(token)}

        def job(name, more):
            return {"job_name": name, "scheme": "https", "scrape_interval": "1s", "scrape_timeout": "1s",
                    # The certificate is self-signed unless one is given, as MetalLB's.
                    "tls_config": {"insecure_skip_verify": True}, **more,
                    "kubernetes_sd_configs": [{
                        "role": "pod", "namespaces": {"names": [self._scraped]},
                        "api_server": f"https://{control_plane.address}:{control_plane.port}",
                        "tls_config": {"ca_file": str(control_plane.ca)}, "authorization": authorization}],
                    "relabel_configs": [
                        {"source_labels": ["__meta_kubernetes_pod_container_port_name"], "regex": "metricshttps",
                         "action": "keep"},
                        {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"}]}
        config = folder / "prometheus.yaml"
        config.write_text(json.dumps({"scrape_configs": [job("with-token", {"authorization": authorization}),
                                                         job("without-token", {})]}))
        self._process = Process(
            "prometheus", self._cluster.network.control,
            [tools_folder("prometheus") / "prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
             f"--web.listen-address=127.0.0.1:{PORT}"], folder / "prometheus.log")
        return self

    def __exit__(self, *_):
        self._process.kill()

    def _ask(self, path, **query):
        with netns.entered(self._cluster.network.control):
            address = f"http://127.0.0.1:{PORT}/api/v1/{path}?{urllib.parse.urlencode(query)}"
            with urllib.request.urlopen(address, timeout=5) as answer:
                return json.load(answer)["data"]

    def targets(self, job):
        """pod → (health, last error) of what is scraped."""
        return {target["labels"]["pod"]: (target["health"], target["lastError"])
                for target in self._ask("targets", state="active")["activeTargets"] if target["labels"]["job"] == job}

    def names(self, component, job="with-token"):
        """The names of all metrics that pods of a component have."""
        pattern = f'{{job="{job}",pod=~".*{component}.*"}}'
        return set(self._ask("label/__name__/values", **{"match[]": pattern}))

    def value(self, query):
        """The values of a query, by pod."""
        return {one["metric"].get("pod", ""): float(one["value"][1]) for one in self._ask("query", query=query)["result"]}
