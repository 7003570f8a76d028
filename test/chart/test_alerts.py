# SPDX-License-Identifier: Apache-2.0
"""The alerts, judged by promtool: each fires when it is true, clears, and does not fire otherwise; its texts name labels
that it has, and its section in docs/runbooks.md is there."""
import copy
import json
import re
import subprocess

import pytest
import yaml
from alert_cases import CASES
from chart import CHART, REPOSITORY, nested

ON = {"prometheus.prometheusRule.enabled": True}


def rules_of(rendered):
    [group] = rendered.one("PrometheusRule")["spec"]["groups"]
    return group["rules"]


@pytest.fixture(scope="module")
def rules(chart):
    return rules_of(chart.render(nested(ON)))


def names(rules):
    return list(dict.fromkeys(rule["alert"] for rule in rules))


def bare(rules):
    """The rules without their texts, which promtool would compare as well."""
    return [{key: value for key, value in rule.items() if key != "annotations"} for rule in rules]


def check(promtool, folder, rules, tests):
    """Runs promtool's unit tests; returns what it says about those that fail."""
    (folder / "rules.yaml").write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))
    (folder / "tests.yaml").write_text(json.dumps({
        "rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run([promtool, "test", "rules", folder / "tests.yaml"], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr if done.returncode else ""


def unit_test(rules, alert, title):
    series, moments = CASES[alert][title]
    [labels] = {json.dumps(rule.get("labels", {})) for rule in rules if rule["alert"] == alert}
    return {"name": f"{alert} {title}", "interval": "1m", "input_series": series, "alert_rule_test": [
        {"eval_time": f"{minute}m", "alertname": alert,
         "exp_alerts": [{"exp_labels": {**json.loads(labels), **one}} for one in firing]}
        for minute, firing in moments.items()]}


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_when_it_is_true_and_clears(rules, promtool, tmp_path, alert):
    tests = [unit_test(rules, alert, title) for title in CASES[alert]]
    assert check(promtool, tmp_path, bare(rules), tests) == ""
    # Each shows once that it fires, and once that it does not.
    moments = [firing for _, moments in CASES[alert].values() for firing in moments.values()]
    assert any(moments) and not all(moments)


def test_every_alert_has_tests(rules):
    assert names(rules) == list(CASES)


def test_the_tests_can_fail(rules, promtool, tmp_path):
    """promtool is really asked: with other thresholds the same cases are wrong."""
    wrong = copy.deepcopy(bare(rules))
    for rule in wrong:
        rule["expr"] = f"({rule['expr']}) and on () vector(1) == 2"
    alert, title = "StentorTwoAnnouncers", "fires when two nodes go on announcing, and clears"
    assert "exp" in check(promtool, tmp_path, wrong, [unit_test(wrong, alert, title)])


def test_alerts_are_valid_to_prometheus(chart, promtool, tmp_path):
    """With texts, which promtool expands, and with a filter that wants quoting."""
    paths = {f"prometheus.prometheusRule.{one}.excludePools": 'te"st-.*\\d'
             for one in ("addressPoolExhausted", "addressPoolUsage", "poolFamilyUsage")}
    file = tmp_path / "rules.yaml"
    for values in (ON, {**ON, **paths}, {**ON, "plainManifests": True}):
        spec = chart.render(nested(values)).one("PrometheusRule")["spec"]
        file.write_text(json.dumps(spec))
        done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, timeout=60)
        found = f"{len(spec['groups'][0]['rules'])} rules found"
        assert done.returncode == 0 and found in done.stdout, done.stdout + done.stderr


def test_the_texts_name_labels_that_the_alert_has(rules):
    for alert in names(rules):
        fired = {label for _, moments in CASES[alert].values() for firing in moments.values() for one in firing
                 for label in one}
        texts = [text for rule in rules if rule["alert"] == alert for text in rule["annotations"].values()]
        used = set(re.findall(r"\$labels\.(\w+)", " ".join(texts)))
        assert used <= fired, alert


def test_alerts_ask_for_metrics_that_exist(rules):
    """Of the programs' sources, of Prometheus itself, or of kube-state-metrics."""
    sources = "".join(path.read_text() for side in ("common", "controller", "speaker")
                      for path in (REPOSITORY / side).rglob("*.cc"))
    for rule in rules:
        asked = re.findall(r"\b(?:metallb|stentor|leader)_\w+|\bkube_\w+|\bup\b", rule["expr"])
        assert asked
        missing = [name for name in asked if not name.startswith("kube_daemonset_") and name != "up"
                   and f'"{name}"' not in sources]
        assert missing == [], rule["alert"]


def test_reasons_that_are_counted_exist(rules):
    """What stentor_speaker_services is filtered by are words of the speaker."""
    [rule] = [rule for rule in rules if rule["alert"] == "StentorNoAnnouncer"]
    sources = "".join((REPOSITORY / file).read_text() for file in
                      ("speaker/reconcile/report.cc", "speaker/election/election.cc"))
    [reasons] = re.findall(r'reason=~"([^"]+)"', rule["expr"])
    assert [reason for reason in reasons.split("|") if f'"{reason}"' not in sources] == []


def anchors(page):
    return {re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
            for line in page.splitlines() if line.startswith("#")}


def test_every_alert_has_a_runbook(rules):
    page = (REPOSITORY / "docs/runbooks.md").read_text()
    for rule in rules:
        file, _, section = rule["annotations"]["runbook"].partition("#")
        assert file == "docs/runbooks.md" and section in anchors(page), rule["alert"]


def test_the_runbooks_can_be_elsewhere(chart):
    url = "https://runbooks.example.org/stentor"
    for rule in rules_of(chart.render(nested({**ON, "prometheus.prometheusRule.runbooks": url}))):
        assert rule["annotations"]["runbook_url"].startswith(f"{url}#") and "runbook" not in rule["annotations"]
    for rule in rules_of(chart.render(nested({**ON, "prometheus.prometheusRule.runbooks": ""}))):
        assert not {"runbook", "runbook_url"} & rule["annotations"].keys()


KEYS = {}  # value: the alerts that it is about
for one in yaml.safe_load((CHART / "files/alerts.yaml").read_text()):
    KEYS.setdefault(one["values"], []).append(one["alert"].partition("<")[0])


@pytest.mark.parametrize("key", KEYS)
def test_every_alert_can_be_turned_off(chart, rules, key):
    left = names(rules_of(chart.render(nested({**ON, f"prometheus.prometheusRule.{key}.enabled": False}))))
    assert left == [name for name in names(rules) if not name.startswith(tuple(KEYS[key]))] != names(rules)


@pytest.mark.parametrize("key", sorted(set(KEYS) - {"addressPoolUsage"}))  # there each threshold has its own
def test_every_alert_has_its_labels(chart, key):
    for labels, found in (({"severity": "page", "tier": 1}, {"severity": "page", "tier": "1"}), (None, None)):
        rendered = chart.render(nested({**ON, f"prometheus.prometheusRule.{key}.labels": labels}))
        assert [rule.get("labels") for rule in rules_of(rendered) if rule["alert"] in KEYS[key]] == \
            [found] * len(KEYS[key])


@pytest.mark.parametrize("path, value, alert, words", [
    ("addressPoolUsage.thresholds", [{"percent": 50, "labels": {"severity": "info"}}],
     "MetalLBAddressPoolUsage50Percent", "> 50"),
    ("poolFamilyUsage.percent", 60, "StentorPoolFamilyNearlyFull", "> 60"),
    ("noAnnouncer.allowed", 3, "StentorNoAnnouncer", "> 3"),
    ("addressFlapping.moves", 9, "StentorAddressFlapping", "> 9")])
def test_thresholds(chart, path, value, alert, words):
    found = rules_of(chart.render(nested({**ON, f"prometheus.prometheusRule.{path}": value})))
    assert [words in rule["expr"] for rule in found if rule["alert"] == alert] == [True]


@pytest.mark.parametrize("thresholds", [[], None])
def test_no_thresholds(chart, rules, thresholds):
    found = rules_of(chart.render(nested({**ON, "prometheus.prometheusRule.addressPoolUsage.thresholds": thresholds})))
    assert names(found) == [name for name in names(rules) if "PoolUsage" not in name]


def test_alerts_follow_the_names_of_the_installation(chart):
    for values, release, daemonset in (({}, "lb", "lb-metallb-speaker"), ({"plainManifests": True}, "lb", "speaker")):
        found = rules_of(chart.render({**nested(ON), **values}, release=release, namespace="lb-system"))
        expressions = {rule["alert"]: rule["expr"] for rule in found}
        assert f'namespace="lb-system",pod=~"{daemonset}-.+"' in expressions["StentorSpeakerMissing"]
        assert f'namespace="lb-system",daemonset="{daemonset}"' in expressions["StentorNodeWithoutSpeaker"]


@pytest.mark.parametrize("path, value, gone", [
    ("controller.enabled", False, {"StentorNotOneLeader"}),
    ("controller.webhookMode", "onlywebhook", {"StentorNotOneLeader"}),
    ("speaker.memberlist.enabled", False, {"StentorSpeakerIsolated"}),
    ("speaker.enabled", False, {
        "StentorNoAnnouncer", "StentorTwoAnnouncers", "StentorAddressConflict", "StentorAddressFlapping",
        "StentorSpeakerMissing", "StentorNodeWithoutSpeaker", "StentorSpeakerIsolated", "StentorNodeTrap"})])
def test_nothing_is_said_of_what_is_not_installed(chart, rules, path, value, gone):
    left = names(rules_of(chart.render(nested({**ON, path: value}))))
    assert set(names(rules)) - set(left) == gone
