# SPDX-License-Identifier: Apache-2.0
"""Who may read the metrics, and the objects of the Prometheus Operator; the alerts themselves are in test_alerts.py."""
import json

COMPONENTS = {"controller": "Deployment", "speaker": "DaemonSet"}
READER = {"prometheus__serviceAccount": "prometheus", "prometheus__namespace": "monitoring"}
READER_SUBJECT = {"kind": "ServiceAccount", "name": "prometheus", "namespace": "monitoring"}


def test_scrape_annotations(chart):
    for port, scheme in ((9120, "https"), (7472, "http")):
        rendered = chart.render(prometheus__scrapeAnnotations=True, prometheus__metricsPort=port)
        wanted = {"prometheus.io/scrape": "true", "prometheus.io/port": str(port), "prometheus.io/scheme": scheme}
        for component in COMPONENTS:
            assert wanted.items() <= rendered.pod(component)["metadata"]["annotations"].items()


def test_prometheus_may_read_the_metrics(chart):
    rendered = chart.render(**READER)
    role = rendered.one("ClusterRole", "metallb:metrics-reader")
    assert role["rules"] == [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]
    assert rendered.one("ClusterRoleBinding", "metallb:metrics-reader")["subjects"] == [READER_SUBJECT]
    assert rendered.one("RoleBinding", "metallb-prometheus")["subjects"] == [READER_SUBJECT]


def test_pod_monitors(chart):
    rendered = chart.render(prometheus__podMonitor__enabled=True, **READER)
    for component in COMPONENTS:
        spec = rendered.one("PodMonitor", f"metallb-{component}")["spec"]
        assert spec["selector"] == rendered.one(COMPONENTS[component])["spec"]["selector"]
        [endpoint] = spec["podMetricsEndpoints"]
        assert endpoint["port"] == rendered.container(component)["ports"][0]["name"]
        assert endpoint["scheme"] == "https"
        secret = rendered.one("Secret", endpoint["authorization"]["credentials"]["name"])
        assert secret["type"] == "kubernetes.io/service-account-token"
    account = secret["metadata"]["annotations"]["kubernetes.io/service-account.name"]
    assert account in rendered.names("ServiceAccount")
    assert {"kind": "ServiceAccount", "name": account, "namespace": "metallb-system"} in \
        rendered.one("ClusterRoleBinding", "metallb:metrics-reader")["subjects"]


def test_service_monitors(chart):
    rendered = chart.render(prometheus__serviceMonitor__enabled=True, **READER)
    for component in COMPONENTS:
        spec = rendered.one("ServiceMonitor", f"metallb-{component}-monitor")["spec"]
        service = rendered.one("Service", f"metallb-{component}-monitor-service")
        assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        assert service["spec"]["clusterIP"] == "None"
        assert service["spec"]["selector"] == rendered.one(COMPONENTS[component])["spec"]["selector"]["matchLabels"]
        [endpoint] = spec["endpoints"]
        assert endpoint["port"] == service["spec"]["ports"][0]["name"]
        assert endpoint["scheme"] == "https" and endpoint["bearerTokenFile"] and endpoint["tlsConfig"]


MONITOR = {"jobLabel": "job", "interval": "45s", "relabelings": [{"action": "labeldrop", "regex": "pod"}],
           "metricRelabelings": [{"action": "drop", "regex": "a.*", "sourceLabels": ["__name__"]}]}


def scraped(endpoint):
    return {key: endpoint[key] for key in ("interval", "relabelings", "metricRelabelings")}


def test_pod_monitors_have_what_the_values_say(chart):
    values = {**MONITOR, "enabled": True, "additionalLabels": {"release": "stack"}, "annotations": {"number": 7}}
    rendered = chart.render({"prometheus": {"podMonitor": values, "rbacPrometheus": False}})
    for component in COMPONENTS:
        monitor = rendered.one("PodMonitor", f"metallb-{component}")
        assert monitor["metadata"]["labels"]["release"] == "stack"
        assert monitor["metadata"]["annotations"] == {"number": "7"}
        assert monitor["spec"]["jobLabel"] == "job"
        assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["metallb-system"]}
        [endpoint] = monitor["spec"]["podMetricsEndpoints"]
        assert scraped(endpoint) == {key: MONITOR[key] for key in scraped(MONITOR)}
    assert "ServiceMonitor" not in {one["kind"] for one in rendered} and "metallb-prometheus" not in rendered.names("Role")


def test_service_monitors_have_what_the_values_say(chart):
    of = {one: {"additionalLabels": {"release": one}, "annotations": {"a": one}, "tlsConfig": {"serverName": one}}
          for one in COMPONENTS}
    rendered = chart.render({"prometheus": {"serviceMonitor": {**MONITOR, **of, "enabled": True}, "rbacPrometheus": False}})
    for component in COMPONENTS:
        monitor = rendered.one("ServiceMonitor", f"metallb-{component}-monitor")
        service = rendered.one("Service", f"metallb-{component}-monitor-service")
        assert monitor["metadata"]["labels"]["release"] == component and "release" not in service["metadata"]["labels"]
        assert monitor["metadata"]["annotations"] == service["metadata"]["annotations"] == {"a": component}
        assert monitor["spec"]["jobLabel"] == "job"
        [endpoint] = monitor["spec"]["endpoints"]
        assert scraped(endpoint) == {key: MONITOR[key] for key in scraped(MONITOR)}
        assert endpoint["tlsConfig"]["serverName"] == component
        # The Service that a series is about must not become the Service that it is scraped by.
        assert endpoint["honorLabels"] is True


def test_monitors_of_plain_metrics_need_no_token(chart):
    for kind, endpoints in (("podMonitor", "podMetricsEndpoints"), ("serviceMonitor", "endpoints")):
        rendered = chart.render({"prometheus": {kind: {"enabled": True}, "metricsPort": 7472, "rbacPrometheus": False}})
        monitors = [one for one in rendered if one["kind"].lower() == kind.lower()]
        assert len(monitors) == 2
        for monitor in monitors:
            [endpoint] = monitor["spec"][endpoints]
            assert endpoint.pop("honorLabels", True) and endpoint == {"port": "monitoring"} | (
                {"path": "/metrics"} if kind == "podMonitor" else {})
        assert "metallb-metrics-reader-token" not in rendered.names("Secret")


def test_monitors_are_of_what_is_installed(chart):
    for absent, present in (("controller", "speaker"), ("speaker", "controller")):
        for kind, suffix in (("podMonitor", ""), ("serviceMonitor", "-monitor")):
            rendered = chart.render({"prometheus": {kind: {"enabled": True}, "rbacPrometheus": False},
                                     absent: {"enabled": False}})
            assert rendered.names(kind[0].upper() + kind[1:]) == {f"metallb-{present}{suffix}"}


def test_the_rule_has_its_labels_and_annotations(chart):
    rendered = chart.render({"prometheus": {"prometheusRule": {
        "enabled": True, "additionalLabels": {"release": "stack", "number": 7}, "annotations": {"a": True},
        "extraAlerts": [{"alert": "Mine", "expr": "vector(1)"}]}}})
    rule = rendered.one("PrometheusRule", "metallb")
    assert {"release": "stack", "number": "7", "app.kubernetes.io/name": "metallb"}.items() <= \
        rule["metadata"]["labels"].items()
    assert rule["metadata"]["annotations"] == {"a": "true"} and rule["metadata"]["namespace"] == "metallb-system"
    [group] = rule["spec"]["groups"]
    assert group["name"] == "metallb.rules" and group["rules"][-1] == {"alert": "Mine", "expr": "vector(1)"}
    assert "PrometheusRule" not in {one["kind"] for one in chart.render()}


def test_alerts_of_bgp_are_accepted_and_told_of(chart):
    rendered = chart.render(prometheus__prometheusRule__enabled=True,
                            prometheus__prometheusRule__bgpSessionDown__enabled=True)
    assert "prometheus.prometheusRule.bgpSessionDown.enabled" in rendered.notes
    assert "BGP" not in json.dumps(rendered.one("PrometheusRule"))
