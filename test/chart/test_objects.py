# SPDX-License-Identifier: Apache-2.0
"""What is rendered: names, labels and selectors as MetalLB's, so that it is replaced in place; the least rights; the
programs started as they want to be."""
import json
import re

import pytest
import yaml
from chart import REPOSITORY

COMPONENTS = {"controller": "Deployment", "speaker": "DaemonSet"}
PLAIN = {"plainManifests": True}


@pytest.fixture(scope="module")
def default(chart):
    return chart.render()


@pytest.fixture(scope="module")
def plain(chart):
    return chart.render(PLAIN)


@pytest.mark.parametrize("release, values, fullname, name", [
    ("metallb", {}, "metallb", "metallb"),
    ("my-metallb", {}, "my-metallb", "metallb"),
    ("lb", {}, "lb-metallb", "metallb"),
    ("lb", {"nameOverride": "balancer"}, "lb-balancer", "balancer"),
    ("lb", {"fullnameOverride": "all"}, "all", "metallb")])
def test_names_and_selectors_are_those_of_metallbs_chart(chart, release, values, fullname, name):
    rendered = chart.render(values, release=release)
    for component, kind in COMPONENTS.items():
        workload = rendered.one(kind, f"{fullname}-{component}")
        labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": release,
                  "app.kubernetes.io/component": component}
        assert workload["spec"]["selector"] == {"matchLabels": labels}
        assert workload["spec"]["template"]["metadata"]["labels"] == labels
        assert labels.items() <= workload["metadata"]["labels"].items()
        assert workload["spec"]["template"]["spec"]["serviceAccountName"] == f"{fullname}-{component}"
    assert rendered.names("ServiceAccount") == {f"{fullname}-controller", f"{fullname}-speaker"}
    assert rendered.names("ConfigMap") == {"metallb-excludel2"}
    assert rendered.names("ClusterRole") == rendered.names("ClusterRoleBinding") == \
        {f"{fullname}:controller", f"{fullname}:speaker"}
    assert rendered.names("Role") == rendered.names("RoleBinding") == \
        {f"{fullname}-controller", f"{fullname}-pod-lister"}
    assert rendered.environment("controller")["METALLB_ML_SECRET_NAME"] == f"{fullname}-memberlist"
    assert rendered.environment("controller")["METALLB_DEPLOYMENT"] == f"{fullname}-controller"
    assert rendered.environment("speaker")["METALLB_ML_LABELS"] == \
        f"app.kubernetes.io/name={name},app.kubernetes.io/component=speaker"


def test_names_and_selectors_are_those_of_metallbs_manifests(plain):
    for component, kind in COMPONENTS.items():
        labels = {"app": "metallb", "component": component}
        workload = plain.one(kind, component)
        assert workload["spec"]["selector"] == {"matchLabels": labels}
        assert workload["spec"]["template"]["metadata"]["labels"] == workload["metadata"]["labels"] == labels
    assert plain.names("ServiceAccount") == {"controller", "speaker"}
    assert plain.names("ClusterRole") == {"metallb-system:controller", "metallb-system:speaker"}
    assert plain.names("Role") == {"controller", "pod-lister"}
    assert plain.environment("controller")["METALLB_ML_SECRET_NAME"] == "memberlist"
    assert plain.environment("speaker")["METALLB_ML_LABELS"] == "app=metallb,component=speaker"
    assert "helm" not in json.dumps(list(plain)).lower()
    namespace = plain.one("Namespace")
    assert namespace["metadata"]["name"] == "metallb-system"
    assert set(namespace["metadata"]["labels"].values()) == {"privileged"}
    # By this label all but the kinds and the namespace can be deleted.
    unlabelled = {one["kind"] for one in plain if one["metadata"].get("labels", {}).get("app") != "metallb"}
    assert unlabelled == {"Namespace", "CustomResourceDefinition"}


def test_further_labels_do_not_touch_the_selector(chart):
    labels = {"team": "net", "app.kubernetes.io/component": "other", "number": 7}
    rendered = chart.render({"speaker": {"labels": labels}})
    found = rendered.pod("speaker")["metadata"]["labels"]
    assert found["app.kubernetes.io/component"] == "speaker" and found["team"] == "net" and found["number"] == "7"
    assert "team" not in rendered.one("DaemonSet")["spec"]["selector"]["matchLabels"]


def test_every_binding_binds_what_is_there(default, plain):
    for rendered in (default, plain):
        accounts, bound = rendered.names("ServiceAccount"), set()
        for binding in rendered:
            if binding["kind"] in ("RoleBinding", "ClusterRoleBinding"):
                assert binding["roleRef"]["name"] in rendered.names(binding["roleRef"]["kind"])
                assert {subject["namespace"] for subject in binding["subjects"]} == {"metallb-system"}
                bound |= {subject["name"] for subject in binding["subjects"]}
        assert bound == accounts


READS = {"get", "list", "watch"}


def rights(rendered, kinds=("Role", "ClusterRole")):
    """(resource, the only names, verbs) of every rule."""
    return {(resource, ",".join(rule.get("resourceNames", [])), " ".join(sorted(rule["verbs"])))
            for role in rendered if role["kind"] in kinds for rule in role["rules"] for resource in rule["resources"]}


def test_rights_are_few(default):
    """Nothing is granted by wildcard; what is written is named here, and one Secret can be read."""
    found = rights(default)
    assert not [one for one in found if "*" in "".join(one)]
    assert {(resource, names) for resource, names, verbs in found if set(verbs.split()) - READS} == {
        ("services/status", ""), ("events", ""), ("tokenreviews", ""), ("subjectaccessreviews", ""),
        ("ipaddresspools/status", ""), ("configurationstates", ""), ("configurationstates/status", ""),
        ("servicel2statuses", ""), ("servicel2statuses/status", ""),
        ("secrets", ""), ("secrets", "metallb-webhook-cert"), ("leases", ""), ("leases", "stentor-controller"),
        ("validatingwebhookconfigurations", "metallb-webhook-configuration"),
        ("customresourcedefinitions", "bgppeers.metallb.io")}
    assert {one for one in found if one[0] in ("secrets", "leases")} == {
        ("secrets", "", "create"), ("secrets", "metallb-webhook-cert", "list patch watch"),
        ("leases", "", "create"), ("leases", "stentor-controller", "get list update watch")}
    assert {resource for resource, _, _ in rights(default, ("ClusterRole",))} == {
        "services", "services/status", "namespaces", "nodes", "endpointslices", "events", "tokenreviews",
        "subjectaccessreviews", "validatingwebhookconfigurations", "customresourcedefinitions"}


def test_rights_follow_what_is_done(chart):
    """Who serves no webhooks can't change them or read their keys; who does nothing else has no right to Services."""
    webhooks = {"nodes", "secrets", "validatingwebhookconfigurations", "customresourcedefinitions", "bfdprofiles"}
    services = {"services", "services/status", "leases", "ipaddresspools/status", "configurationstates"}
    base = {"speaker__enabled": False}
    for mode, granted, not_granted in (("disabled", services, webhooks), ("onlywebhook", webhooks, services)):
        found = {resource for resource, _, _ in rights(chart.render(controller__webhookMode=mode, **base))}
        assert granted <= found and not found & not_granted


def test_containers_have_the_least_privileges(default):
    for component in COMPONENTS:
        pod, container = default.pod(component)["spec"], default.container(component)
        added = {"add": ["NET_RAW"]} if component == "speaker" else {}
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                "capabilities": {"drop": ["ALL"], **added}}
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod.get("hostNetwork", False) == (component == "speaker")
        assert not {"hostPID", "hostIPC"} & pod.keys()
        assert not any("hostPath" in volume for volume in pod.get("volumes", []))
    assert default.pod("controller")["spec"]["securityContext"]["runAsNonRoot"] is True
    assert default.pod("controller")["spec"]["securityContext"]["runAsUser"] == 65534


def test_the_pods_own_security_context_can_be_changed(chart):
    rendered = chart.render(speaker__securityContext__seccompProfile__type="Unconfined",
                            controller__securityContext__runAsUser=1000)
    assert rendered.pod("speaker")["spec"]["securityContext"] == {"seccompProfile": {"type": "Unconfined"}}
    assert rendered.pod("controller")["spec"]["securityContext"] == {
        "runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 65534, "seccompProfile": {"type": "RuntimeDefault"}}


def test_resources(default):
    for component in COMPONENTS:
        resources = default.container(component)["resources"]
        assert "cpu" not in resources["limits"], "a speaker that is throttled looks dead"
        assert resources["limits"]["memory"] and resources["requests"].keys() == {"cpu", "memory"}


def test_there_is_time_to_say_goodbye(default):
    source = (REPOSITORY / "controller/leader/leader_options.h").read_text()
    [release] = re.findall(r"release_limit = std::chrono::seconds\((\d+)\)", source)
    assert default.pod("controller")["spec"]["terminationGracePeriodSeconds"] > int(release)
    assert default.pod("speaker")["spec"]["terminationGracePeriodSeconds"] >= 10
    assert default.one("DaemonSet")["spec"]["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": 1}


def test_no_controller_starts_beside_one_of_metallb(default):
    spec = default.one("Deployment")["spec"]
    assert spec["replicas"] == 1 and spec["strategy"]["rollingUpdate"]["maxSurge"] == 0
    assert "affinity" not in default.pod("controller")["spec"]


def test_replicas(chart):
    rendered = chart.render(controller__replicas=3)
    spec = rendered.one("Deployment")["spec"]
    assert spec["replicas"] == 3
    [term] = spec["template"]["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert term["podAffinityTerm"] == {"topologyKey": "kubernetes.io/hostname", "labelSelector": spec["selector"]}
    own = {"nodeAffinity": {}}
    rendered = chart.render(controller__replicas=3, controller__affinity=own)
    assert rendered.pod("controller")["spec"]["affinity"] == own


def test_several_replicas_have_a_disruption_budget(chart):
    assert not chart.render().names("PodDisruptionBudget"), "with one replica it would hold up every drain"
    budget = {"controller__replicas": 3}
    rendered = chart.render(**budget)
    spec = rendered.one("PodDisruptionBudget", "metallb-controller")["spec"]
    assert spec == {"maxUnavailable": 1, "selector": rendered.one("Deployment")["spec"]["selector"]}
    assert chart.render(**budget, controller__podDisruptionBudget__maxUnavailable="50%").one(
        "PodDisruptionBudget")["spec"]["maxUnavailable"] == "50%"
    for off in ({"controller__podDisruptionBudget__enabled": False}, {"controller__enabled": False},
                {"controller__podDisruptionBudget": None}):
        assert not chart.render(**budget, **off).names("PodDisruptionBudget")
    plain = chart.render({**PLAIN, "controller": {"replicas": 2}})
    assert plain.one("PodDisruptionBudget", "controller")["spec"]["selector"] == plain.one("Deployment")["spec"]["selector"]


@pytest.mark.parametrize("component", COMPONENTS)
def test_where_the_pods_run(chart, component):
    """Priority, runtime, node selector, affinity and tolerations go to the pods of the component, and to no others."""
    toleration, affinity = {"key": "net", "operator": "Exists"}, {"nodeAffinity": {}}
    rendered = chart.render({component: {
        "priorityClassName": "system-node-critical", "runtimeClassName": "own", "nodeSelector": {"net": True},
        "affinity": affinity, "tolerations": [toleration], "podAnnotations": {"a": 1}}})
    pod = rendered.pod(component)
    spec = pod["spec"]
    assert spec["priorityClassName"] == "system-node-critical" and spec["runtimeClassName"] == "own"
    assert spec["nodeSelector"] == {"kubernetes.io/os": "linux", "net": "true"}
    assert spec["affinity"] == affinity and spec["tolerations"][-1] == toleration
    assert pod["metadata"]["annotations"]["a"] == "1"
    [other] = COMPONENTS.keys() - {component}
    assert rendered.pod(other) == chart.render().pod(other)
    assert "priorityClassName" not in chart.render().pod(component)["spec"]


def test_how_the_programs_are_started(default):
    own = {"controller": ["--webhook-mode=enabled"], "speaker": ["--state-dir=/var/lib/stentor"]}
    for component in COMPONENTS:
        assert default.arguments(component) == ["--port=9120", "--health-probe-port=17472", "--log-level=info",
                                                *own[component]]
        container = default.container(component)
        host = {"host": "127.0.0.1"} if component == "speaker" else {}
        assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": 17472, **host}
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": 17472, **host}
    assert default.environment("controller") == {
        "METALLB_POD_NAME": "metadata.name", "METALLB_ML_SECRET_NAME": "metallb-memberlist",
        "METALLB_DEPLOYMENT": "metallb-controller"}
    assert default.environment("speaker") == {
        "METALLB_NODE_NAME": "spec.nodeName", "METALLB_HOST": "status.hostIP", "METALLB_POD_NAME": "metadata.name",
        "STENTOR_POD_UID": "metadata.uid", "METALLB_ML_BIND_ADDR": "status.podIP", "METALLB_ML_BIND_PORT": "7946",
        "METALLB_ML_LABELS": "app.kubernetes.io/name=metallb,app.kubernetes.io/component=speaker",
        "METALLB_ML_SECRET_KEY_PATH": "/etc/ml_secret_key",
        "STENTOR_ML_CONFIG_FILE": "/etc/metallb-memberlist/config.json"}
    assert default.pod("speaker")["spec"]["volumes"] == [
        {"name": "state", "emptyDir": {"sizeLimit": "64Mi"}},
        {"name": "memberlist", "secret": {"secretName": "metallb-memberlist", "defaultMode": 0o400}},
        {"name": "memberlist-config", "configMap": {"name": "metallb-memberlist-config", "optional": True,
                                                    "defaultMode": 0o400}},
        {"name": "metallb-excludel2", "configMap": {"name": "metallb-excludel2", "defaultMode": 0o400}}]
    assert {mount["mountPath"] for mount in default.container("speaker")["volumeMounts"]} == \
        {"/etc/ml_secret_key", "/etc/metallb-memberlist", "/etc/metallb", "/var/lib/stentor"}


ARGUMENTS = {
    # value: (component, argument)
    "loadBalancerClass=example.org/class": ("controller speaker", "--lb-class=example.org/class"),
    "existingConfigMap=pools": ("controller speaker", "--config=pools"),
    "tls.minVersion=VersionTLS12": ("controller speaker", "--tls-min-version=VersionTLS12"),
    "tls.cipherSuites=A": ("controller speaker", "--tls-cipher-suites=A"),
    "tls.curvePreferences=29": ("controller speaker", "--tls-curve-preferences=29"),
    "tls.controllerMetricsTLSSecret=own": ("controller", "--metrics-cert-dir=/etc/metrics"),
    "tls.speakerMetricsTLSSecret=own": ("speaker", "--metrics-cert-dir=/etc/metrics"),
    "prometheus.speakerMetricsTLSSecret=own": ("speaker", "--metrics-cert-dir=/etc/metrics"),
    "speaker.ignoreExcludeLB=true": ("speaker", "--ignore-exclude-lb"),
    "speaker.wanConfig=true": ("speaker", "--ml-wan-config"),
    "controller.logLevel=debug": ("controller", "--log-level=debug"),
    "controller.webhookMode=disabled": ("controller", "--webhook-mode=disabled"),
    "controller.webhookMode=onlywebhook": ("controller", "--webhook-mode=onlywebhook"),
    "controller.webhookMode=": ("controller", "--webhook-mode=enabled"),
}


@pytest.mark.parametrize("setting", ARGUMENTS)
def test_arguments(chart, setting):
    path, _, value = setting.partition("=")
    components, argument = ARGUMENTS[setting]
    rendered = chart.render(**{path.replace(".", "__"): yaml.safe_load(value)})
    assert [one for one in COMPONENTS if argument in rendered.arguments(one)] == components.split()


def test_a_certificate_is_mounted_where_the_program_looks(chart):
    pod = chart.render(tls__speakerMetricsTLSSecret="own").pod("speaker")["spec"]
    assert {"name": "metrics-certs", "secret": {"secretName": "own", "defaultMode": 0o400}} in pod["volumes"]
    mounted = {"name": "metrics-certs", "mountPath": "/etc/metrics", "readOnly": True}
    assert mounted in pod["containers"][0]["volumeMounts"]


def test_only_the_named_legacy_config_map_is_readable(chart):
    for values, name in (({}, "config"), ({"existingConfigMap": "pools"}, "pools")):
        rules = [rule for role in chart.render(values) if role["kind"] == "Role" for rule in role["rules"]
                 if "configmaps" in rule["resources"]]
        assert [rule["resourceNames"] for rule in rules] == [[name], [name]]


def test_the_excluded_interfaces_are_those_of_the_speaker(default):
    """Without the ConfigMap the speaker has the same list built in."""
    source = (REPOSITORY / "speaker/announce/name_filter.cc").read_text()
    built_in = re.search(r"DefaultExcludedInterfaces\(\) \{.*?patterns = \{(.*?)\};", source, re.S).group(1)
    listed = yaml.safe_load(default.one("ConfigMap")["data"]["excludel2.yaml"])
    assert listed == {"announcedInterfacesToExclude": re.findall(r'"([^"]+)"', built_in)}


def test_an_edit_of_the_excluded_interfaces_makes_new_pods(chart, default):
    with chart.edited("templates/excluded-interfaces.yaml", "^docker.*", "^podman.*"):
        assert chart.render().pod("speaker") != default.pod("speaker")


NO_CONVERSION = {"strategy": "None", "webhook": None}  # null, not absent: it takes the webhook of a MetalLB away


def conversion(namespace):
    return {"strategy": "Webhook", "webhook": {
        "conversionReviewVersions": ["v1", "v1beta1"],
        "clientConfig": {"service": {"name": "metallb-webhook-service", "namespace": namespace, "path": "/convert"}}}}


def test_kinds_are_complete_and_stay(default, plain):
    canonical = {}
    for path in (REPOSITORY / "crds").glob("*.yaml"):
        kind = yaml.safe_load(path.read_text())
        canonical[kind["metadata"]["name"]] = kind
    assert len(canonical) == 10
    assert canonical["bgppeers.metallb.io"]["spec"]["conversion"] == NO_CONVERSION
    canonical["bgppeers.metallb.io"]["spec"]["conversion"] = conversion("metallb-system")
    for rendered, annotations in ((default, {"helm.sh/resource-policy": "keep"}), (plain, None)):
        for name, kind in canonical.items():
            found = rendered.one("CustomResourceDefinition", name)
            assert found["metadata"].pop("annotations", None) == annotations
            assert found == kind


# -- webhooks -----------------------------------------------------------------------------------------------------

def webhook_kinds(rendered):
    return {(one["kind"], one["metadata"]["name"]) for one in rendered
            if one["kind"] in ("Service", "Secret", "ValidatingWebhookConfiguration")}


WEBHOOK_OBJECTS = {("Service", "metallb-webhook-service"), ("Secret", "metallb-webhook-cert"),
                   ("ValidatingWebhookConfiguration", "metallb-webhook-configuration")}
# name (without "validationwebhook.metallb.io"): (version and singular of the path, plural, operations)
WEBHOOKS = {
    "ipaddresspool": ("v1beta1-ipaddresspool", "ipaddresspools", "CREATE UPDATE"),
    "addresspool": ("v1beta1-addresspool", "addresspools", "CREATE UPDATE"),
    "l2advertisement": ("v1beta1-l2advertisement", "l2advertisements", "CREATE UPDATE"),
    "bgpadvertisement": ("v1beta1-bgpadvertisement", "bgpadvertisements", "CREATE UPDATE"),
    "bgppeer": ("v1beta2-bgppeer", "bgppeers", "CREATE UPDATE"),
    "community": ("v1beta1-community", "communities", "CREATE UPDATE"),
    "bfdprofile": ("v1beta1-bfdprofile", "bfdprofiles", "CREATE DELETE"),
}


@pytest.mark.parametrize("plain_manifests", [False, True], ids=["chart", "manifests"])
def test_webhooks(chart, plain_manifests):
    """As MetalLB registers them, from its chart and from its manifests."""
    rendered = chart.render(PLAIN if plain_manifests else {}, namespace="lb")
    assert webhook_kinds(rendered) == WEBHOOK_OBJECTS
    found = {}
    for webhook in rendered.one("ValidatingWebhookConfiguration")["webhooks"]:
        [rule] = webhook.pop("rules")
        path = webhook["clientConfig"]["service"].pop("path")
        # No caBundle: whoever brings an empty one takes away what the controller wrote.
        assert webhook == {"name": webhook["name"], "admissionReviewVersions": ["v1"], "sideEffects": "None",
                           "failurePolicy": "Fail",
                           "clientConfig": {"service": {"name": "metallb-webhook-service", "namespace": "lb"}}}
        assert rule["apiGroups"] == ["metallb.io"]
        [version], [resource] = rule["apiVersions"], rule["resources"]
        assert path.startswith(f"/validate-metallb-io-{version}-")
        found[webhook["name"]] = (path.removeprefix("/validate-metallb-io-"), resource, " ".join(rule["operations"]))
    wanted = {("bgppeers" if plain_manifests and name == "bgppeer" else name) + "validationwebhook.metallb.io": its
              for name, its in WEBHOOKS.items()}
    assert found == wanted
    assert rendered.one("CustomResourceDefinition", "bgppeers.metallb.io")["spec"]["conversion"] == conversion("lb")


def test_every_webhook_has_a_path_that_the_program_serves(default):
    source = (REPOSITORY / "controller/webhook/router.cc").read_text()
    served = set(re.findall(r'"(/(?:validate-|convert)[^"]*)"', source))
    called = {one["clientConfig"]["service"]["path"]
              for one in default.one("ValidatingWebhookConfiguration")["webhooks"]} | {"/convert"}
    assert called == served


def test_the_webhooks_lead_to_the_controller(default):
    spec = default.one("Service")["spec"]
    assert spec["selector"] == default.one("Deployment")["spec"]["selector"]["matchLabels"]
    [port] = spec["ports"]
    assert port == {"port": 443, "targetPort": "webhook-server"}
    assert {"name": "webhook-server", "containerPort": 9443} in default.container("controller")["ports"]
    # Without data: an upgrade must not take away what the controllers wrote.
    assert default.one("Secret").keys() == {"apiVersion", "kind", "metadata"}


@pytest.mark.parametrize("policy, rendered", [("Ignore", "Ignore"), ("Fail", "Fail"), ("", "Fail"), (None, "Fail")])
def test_the_failure_policy(chart, policy, rendered):
    webhooks = chart.render(crds__validationFailurePolicy=policy).one("ValidatingWebhookConfiguration")["webhooks"]
    assert {webhook["failurePolicy"] for webhook in webhooks} == {rendered}


def test_without_webhooks(chart):
    for values in ({}, PLAIN):
        rendered = chart.render({**values, "controller": {"webhookMode": "disabled"}})
        # From manifests, an empty list: it takes away what a MetalLB registered, which would refuse every pool.
        assert webhook_kinds(rendered) == {one for one in WEBHOOK_OBJECTS if values and "Configuration" in one[0]}
        if values:
            assert rendered.one("ValidatingWebhookConfiguration")["webhooks"] == []
        assert [port["name"] for port in rendered.container("controller")["ports"]] == ["metricshttps"]
        assert rendered.one("CustomResourceDefinition", "bgppeers.metallb.io")["spec"]["conversion"] == NO_CONVERSION


def test_webhooks_alone(chart):
    rendered = chart.render(controller__webhookMode="onlywebhook")
    assert webhook_kinds(rendered) == WEBHOOK_OBJECTS
    assert rendered.environment("controller") == {"METALLB_POD_NAME": "metadata.name"}


@pytest.mark.parametrize("mode, port, open_ports", [
    ("enabled", 9120, ["metricshttps", "webhook-server"]), ("enabled", 0, ["webhook-server"]),
    ("disabled", 9120, ["metricshttps"]), ("disabled", 0, [])])
def test_the_network_policy_lets_in_who_calls(chart, mode, port, open_ports):
    rendered = chart.render(networkpolicies__enabled=True, controller__webhookMode=mode, prometheus__metricsPort=port)
    ingress = rendered.one("NetworkPolicy")["spec"]["ingress"]
    assert [one["ports"][0]["port"] for one in ingress] == open_ports
    assert not any("from" in one for one in ingress)
    assert set(open_ports) <= {one["name"] for one in rendered.container("controller").get("ports", [])}


def test_network_policies(chart):
    rendered = chart.render(networkpolicies__enabled=True, networkpolicies__apiPort=443)
    policy = rendered.one("NetworkPolicy", "controller")["spec"]
    assert policy["podSelector"] == rendered.one("Deployment")["spec"]["selector"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == [{"ports": [{"protocol": "TCP", "port": 443}]}]
    rendered = chart.render(networkpolicies__enabled=True, networkpolicies__defaultDeny=True)
    assert rendered.one("NetworkPolicy", "default-deny")["spec"] == {
        "podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert rendered.names("NetworkPolicy") == {"default-deny", "controller"}
    assert not chart.render(networkpolicies__defaultDeny=True).names("NetworkPolicy")
