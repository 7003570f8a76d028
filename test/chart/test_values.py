# SPDX-License-Identifier: Apache-2.0
"""Values: those of MetalLB's chart are accepted and none is silently without effect; typing errors are refused."""
import concurrent.futures
import copy
import pathlib

import pytest
import yaml
from chart import CHART, KUBERNETES, Refused, nested

HERE = pathlib.Path(__file__).resolve().parent
DEFAULTS, EVERYTHING, BEFORE_016 = (yaml.safe_load((HERE / f"metallb-{name}.yaml").read_text())
                                    for name in ("defaults", "everything", "before-0.16"))
# Set, and without an effect that could be seen or told: another value speaks for them.
SPOKEN_FOR = {
    "prometheus.serviceMonitor.enabled", "prometheus.podMonitor.enabled",  # test_objects.py
    "prometheus.serviceAccount", "prometheus.namespace",  # refused without: test_refusals
    "crds.enabled",  # test_toggles
}


def leaves(values, above=()):
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key)


def without(values, path):
    made = copy.deepcopy(values)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return made


def reported(rendered):
    """The values of which it is told that they have no effect."""
    return [line.split(":")[0].strip() for line in rendered.notes.partition("have no effect:\n")[2].splitlines()]


def test_the_default_values_of_metallb_are_accepted(chart):
    rendered = chart.render(DEFAULTS)
    # The images that the defaults name are not ours, and ours run nevertheless; that is said.
    for component in ("controller", "speaker"):
        assert rendered.container(component)["image"] == f"stentor.io/{component}:v0.1.0"
        assert f"stentor.io/{component}:v0.1.0 runs in its place" in rendered.notes
    assert reported(rendered) == ["frrk8s.enabled"]


def test_our_own_defaults_report_nothing(chart):
    notes = chart.render().notes
    assert "NOTE" not in notes
    assert "IPAddressPool" in notes and "pod-security.kubernetes.io/enforce=privileged" in notes
    assert "kubectl rollout status deployment/metallb-controller --namespace metallb-system" in notes
    assert "rollout status" not in chart.render(controller__webhookMode="disabled").notes


@pytest.mark.parametrize("values", [EVERYTHING, BEFORE_016], ids=["everything", "before 0.16"])
def test_no_value_is_silently_without_effect(chart, values):
    """It is told that a value has no effect; or something is rendered differently without it."""
    values = copy.deepcopy(values)
    values.setdefault("crds", {})["enabled"] = False  # they depend on nothing, and are most of what is rendered
    full = chart.render(values)
    told = reported(full)
    paths = [path for path in leaves(values) if ".".join(path) not in SPOKEN_FOR
             and not any(f"{'.'.join(path)}.".startswith(f"{one}.") for one in told)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        rendered = pool.map(lambda path: chart.render(without(values, path)), paths)
    assert [".".join(path) for path, objects in zip(paths, rendered) if list(objects) == list(full)] == []


TOGGLES = {
    # value: (what is different, as a function of the rendering)
    "controller.enabled": (False, lambda it: kinds(it).isdisjoint({
        "Deployment", "ValidatingWebhookConfiguration", "Service", "Secret"})
                           and it.names("ClusterRole") == {"metallb:speaker"}),
    "speaker.enabled": (False, lambda it: "DaemonSet" not in kinds(it)
                        and it.names("ClusterRole") == {"metallb:controller"}
                        and "METALLB_ML_SECRET_NAME" not in it.environment("controller")),
    "rbac.create": (False, lambda it: not {kind for kind in kinds(it) if "Role" in kind}),
    "crds.enabled": (False, lambda it: "CustomResourceDefinition" not in kinds(it)),
    "controller.serviceAccount.create": (False, lambda it: it.names("ServiceAccount") == {"metallb-speaker"}
                                         and it.pod("controller")["spec"]["serviceAccountName"] == "default"),
    "speaker.serviceAccount.create": (False, lambda it: it.names("ServiceAccount") == {"metallb-controller"}),
    "speaker.savedState.enabled": (
        False, lambda it: "state" not in {one["name"] for one in it.pod("speaker")["spec"]["volumes"]}
        and not any("state-dir" in one for one in it.arguments("speaker"))),
    "speaker.healthProbePort": (17999, lambda it: "--health-probe-port=17999" in it.arguments("speaker")),
    "speaker.proxyHealth": ("off", lambda it: "--proxy-health=off" in it.arguments("speaker")),
    "speaker.gratuitousARPInterval": (
        "5m", lambda it: "--gratuitous-arp-interval=5m" in it.arguments("speaker")),
    "speaker.memberlist.profile": (
        "fast", lambda it: it.environment("speaker").get("STENTOR_ML_PROFILE") == "fast"),
    "speaker.memberlist.enabled": (
        False, lambda it: not any("ML" in name for part in ("controller", "speaker") for name in it.environment(part))
        and not {("pods", "list"), ("deployments", "get")} & {
            (resource, verb) for role in it if role["kind"] == "Role" for rule in role["rules"]
            for resource in rule["resources"] for verb in rule["verbs"]}),
    "speaker.excludeInterfaces.enabled": (
        False, lambda it: "ConfigMap" not in kinds(it) and "annotations" not in it.pod("speaker")["metadata"]),
    "speaker.tolerateMaster": (False, lambda it: "tolerations" not in it.pod("speaker")["spec"]),
    "controller.livenessProbe.enabled": (False, lambda it: "livenessProbe" not in it.container("controller")),
    "controller.readinessProbe.enabled": (False, lambda it: "readinessProbe" not in it.container("controller")),
    "speaker.livenessProbe.enabled": (False, lambda it: "livenessProbe" not in it.container("speaker")),
    "speaker.readinessProbe.enabled": (False, lambda it: "readinessProbe" not in it.container("speaker")),
    "speaker.resources": (None, lambda it: "resources" not in it.container("speaker")),
    "prometheus.metricsPort": (7472, lambda it: it.container("speaker")["ports"][0] == {
        "name": "monitoring", "containerPort": 7472} and not any(
            "tokenreviews" in rule.get("resources", []) for role in it if role["kind"] == "ClusterRole"
            for rule in role["rules"])),
    "networkpolicies.enabled": (True, lambda it: it.names("NetworkPolicy") == {"controller"}),
}


def kinds(rendered):
    return {one["kind"] for one in rendered}


@pytest.mark.parametrize("path", TOGGLES)
def test_toggles(chart, path):
    value, holds = TOGGLES[path]
    rendered = chart.render(nested({path: value}))
    assert holds(rendered)
    assert not holds(chart.render())


def test_no_metrics(chart):
    rendered = chart.render(prometheus__metricsPort=0, prometheus__scrapeAnnotations=True,
                            networkpolicies__enabled=True, controller__webhookMode="disabled")
    assert "--port=0" in rendered.arguments("controller")
    assert "ports" not in rendered.container("controller")
    assert "annotations" not in rendered.pod("controller")["metadata"]
    assert rendered.one("NetworkPolicy")["spec"]["ingress"] == []


def test_a_strategy_without_rolling_update_has_none(chart):
    """Helm leaves the default's rollingUpdate beside a type that does not go with it, which the API would refuse."""
    rendered = chart.render(controller__strategy__type="Recreate", speaker__updateStrategy__type="OnDelete")
    assert rendered.one("Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    assert rendered.one("DaemonSet")["spec"]["updateStrategy"] == {"type": "OnDelete"}


@pytest.mark.parametrize("strategy", [{"type": "RollingUpdate"}, {"type": "RollingUpdate", "rollingUpdate": None},
                                      None],
                         ids=["MetalLB's default", "MetalLB's default in the place of ours", "none"])
def test_values_of_metallb_keep_two_controllers_apart(chart, strategy):
    """Helm's --reuse-values puts MetalLB's defaults in the place of ours; null does the same."""
    rendered = chart.render({"controller": {"strategy": strategy}})
    assert rendered.one("Deployment")["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_a_cpu_limit_of_the_speaker_is_warned_of(chart):
    assert "throttled" in chart.render(speaker__resources__limits__cpu="100m").notes


@pytest.mark.parametrize("repository, image", [
    ("quay.io/metallb/speaker", "stentor.io/speaker:v0.1.0"),
    ("metallb/speaker", "stentor.io/speaker:v0.1.0"),
    ("mirror.example.org/metallb/speaker", "mirror.example.org/metallb/speaker:v0.15.2"),
    ("stentor.io/speaker", "stentor.io/speaker:v0.15.2")])
def test_images(chart, repository, image):
    rendered = chart.render(speaker__image__repository=repository, speaker__image__tag="v0.15.2")
    assert rendered.container("speaker")["image"] == image


REFUSALS = {
    # what is refused: (values, words of the message)
    "pools in the values": ({"configInline": {"address-pools": []}}, ["configInline", "IPAddressPool"]),
    "metrics on the port of the webhooks": (nested({"prometheus.metricsPort": 9443}), ["prometheus.metricsPort=9443"]),
    "two kinds of monitors": (nested({"prometheus.podMonitor.enabled": True,
                                      "prometheus.serviceMonitor.enabled": True}), ["prometheus.podMonitor.enabled"]),
    "a monitor for nobody": (nested({"prometheus.podMonitor.enabled": True}), ["prometheus.serviceAccount"]),
    "a monitor without metrics": (nested({
        "prometheus.serviceMonitor.enabled": True, "prometheus.metricsPort": 0}), ["prometheus.metricsPort"]),
    # typing errors: the schema
    "unknown at the top": ({"speakers": {}}, ["speakers"]),
    "unknown in the speaker": (nested({"speaker.tolerateMasters": True}), ["/speaker", "tolerateMasters"]),
    "unknown in the controller": (nested({"controller.tolerateMaster": True}), ["/controller", "tolerateMaster"]),
    "unknown in memberlist": (nested({"speaker.memberlist.port": 1}), ["/speaker/memberlist", "port"]),
    "unknown in a probe": (nested({"speaker.livenessProbe.timeout": 1}), ["/speaker/livenessProbe", "timeout"]),
    "unknown in the alerts": (nested({"prometheus.prometheusRule.stale": {}}), ["/prometheus/prometheusRule", "stale"]),
    "unknown in one of the alerts": (nested({"prometheus.prometheusRule.noAnnouncer.percent": 1}),
                                     ["/prometheus/prometheusRule/noAnnouncer", "percent"]),
    "more than all of a pool": (nested({"prometheus.prometheusRule.poolFamilyUsage.percent": 101}),
                                ["/prometheus/prometheusRule/poolFamilyUsage/percent"]),
    "no such budget": (nested({"controller.podDisruptionBudget.maxUnavailable": "one"}),
                       ["/controller/podDisruptionBudget/maxUnavailable"]),
    "unknown in the image": (nested({"speaker.image.version": "v1"}), ["/speaker/image", "version"]),
    "unknown in the resources": (nested({"speaker.resources.limit": {}}), ["/speaker/resources", "limit"]),
    "text for a switch": (nested({"speaker.enabled": "yes"}), ["/speaker/enabled", "boolean"]),
    "text for a port": (nested({"prometheus.metricsPort": "metrics"}), ["/prometheus/metricsPort", "integer"]),
    "no such port": (nested({"prometheus.metricsPort": 70000}), ["/prometheus/metricsPort"]),
    "no such level": (nested({"controller.logLevel": "verbose"}), ["/controller/logLevel", "debug"]),
    "no such policy": (nested({"speaker.image.pullPolicy": "always"}), ["/speaker/image/pullPolicy", "Always"]),
    "no such mode": (nested({"controller.webhookMode": "on"}), ["/controller/webhookMode", "onlywebhook"]),
    "no such failure policy": (nested({"crds.validationFailurePolicy": "fail"}), ["/crds/validationFailurePolicy"]),
    "no replica": (nested({"controller.replicas": 0}), ["/controller/replicas"]),
    "no such TLS version": (nested({"tls.minVersion": "1.2"}), ["/tls/minVersion", "VersionTLS12"]),
    "a map for a list": (nested({"speaker.tolerations": {"operator": "Exists"}}), ["/speaker/tolerations", "array"]),
    "a list for a map": (nested({"speaker.nodeSelector": ["fast"]}), ["/speaker/nodeSelector", "object"]),
    "no duration": (nested({"prometheus.podMonitor.interval": "often"}), ["/prometheus/podMonitor/interval"]),
    "no such profile": (nested({"speaker.memberlist.profile": "faster"}), ["/speaker/memberlist/profile"]),
    "a relative path": (nested({"speaker.memberlist.mlSecretKeyPath": "key"}), ["/speaker/memberlist/mlSecretKeyPath"]),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_refusals(chart, what):
    values, words = REFUSALS[what]
    with pytest.raises(Refused) as refused:
        chart.render(values)
    assert [word for word in words if word not in str(refused.value)] == [], str(refused.value)


@pytest.mark.parametrize("interval, rendered", [
    ("30s", "30s"), ("1m30s", "1m30s"), (30, "30s"), ("30", "30s"), (None, None)])
def test_intervals(chart, interval, rendered):
    monitors = chart.render(prometheus__podMonitor__enabled=True, prometheus__podMonitor__interval=interval,
                            prometheus__rbacPrometheus=False)
    assert monitors.one("PodMonitor", "metallb-speaker")["spec"]["podMetricsEndpoints"][0].get("interval") == rendered


def test_lint(chart):
    code, output, errors = chart.run("lint", "--strict", CHART, "--kube-version", KUBERNETES)
    assert code == 0, output + errors
