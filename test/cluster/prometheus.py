# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus beside the cluster: it finds pods by the Kubernetes API and scrapes them as an operator would let
it, with a ServiceAccount's token or without."""
import json

from alert_rules import RunningPrometheus

NAMESPACE = "monitoring"
ACCOUNT = "prometheus"

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


class Prometheus(RunningPrometheus):
    """Two jobs for the same pods: "with-token" and "without-token". The latter fails, so it isn't there where the chart's
    alerts are tried (`alerting`)."""

    def __init__(self, cluster, scraped_namespace, folder, alerting=False):
        control_plane = cluster.control_plane
        cluster.apply(json.dumps(RIGHTS))
        token = folder / "token"
        token.write_text(control_plane.token(NAMESPACE, ACCOUNT))
        token.chmod(0o600)
        authorization = {"credentials_file": str(token)}

        def job(name, more):
            return {"job_name": name, "scheme": "https",
                    # The certificate is self-signed unless one is given, as MetalLB's.
                    "tls_config": {"insecure_skip_verify": True}, **more,
                    "kubernetes_sd_configs": [{
                        "role": "pod", "namespaces": {"names": [scraped_namespace]},
                        "api_server": f"https://{control_plane.address}:{control_plane.port}",
                        "tls_config": {"ca_file": str(control_plane.ca)}, "authorization": authorization}],
                    "relabel_configs": [
                        {"source_labels": ["__meta_kubernetes_pod_container_port_name"], "regex": "metricshttps",
                         "action": "keep"},
                        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
                        {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"}]}
        jobs = [job("with-token", {"authorization": authorization})]
        if not alerting:
            jobs.append(job("without-token", {}))
        super().__init__(cluster.network, folder, jobs, alerting)

    def targets(self, job):
        """pod → (health, last error) of what is scraped."""
        return {target["labels"]["pod"]: (target["health"], target["lastError"])
                for target in self.ask("targets", state="active")["activeTargets"] if target["labels"]["job"] == job}

    def names(self, component, job="with-token"):
        """The names of all metrics that pods of a component have."""
        pattern = f'{{job="{job}",pod=~".*{component}.*"}}'
        return set(self.ask("label/__name__/values", **{"match[]": pattern}))

    def value(self, query):
        """The values of a query, by pod."""
        return {one["metric"].get("pod", ""): float(one["value"][1]) for one in self.ask("query", query=query)["result"]}
