# SPDX-License-Identifier: Apache-2.0
"""The chart's alerts in a real Prometheus, where what the rules take minutes for takes seconds: it runs beside the API
server of a lab or of a test cluster, and tells what fires."""
import json
import pathlib
import subprocess
import urllib.parse
import urllib.request

import netns
import yaml
from control_plane import tools_folder
from processes import Process, wait_for

CHART = pathlib.Path(__file__).resolve().parents[2] / "charts/stentor"
PORT = 9090
FIRES, CLEARS = 40, 90


def missing():
    """Reasons why no alert can be tried here; empty: they can."""
    return [f"{program} is not built (./dev setup, or test/kubernetes/build-tools)"
            for program in ("prometheus", "helm") if not tools_folder(program)]


def rules():
    """The PrometheusRule of the chart, with seconds in the place of minutes."""
    done = subprocess.run(
        [tools_folder("helm") / "helm", "template", "metallb", CHART, "--namespace=metallb-system",
         "--kube-version=1.34", "--set=prometheus.prometheusRule.enabled=true", "--show-only=templates/alerts.yaml"],
        capture_output=True, text=True, check=True)
    spec = yaml.safe_load(done.stdout)["spec"]
    for rule in spec["groups"][0]["rules"]:
        if "for" in rule:
            rule["for"] = rule["for"].replace("m", "s")
        # Not less than two scrapes.
        rule["expr"] = rule["expr"].replace("offset 1m", "offset 2s").replace("[30m:1m]", "[60s:2s]")
    return spec


class RunningPrometheus:
    """Asks its targets once a second, in the API server's namespace. `alerting`: under the rules, too."""

    def __init__(self, network, folder, scrape_configs, alerting):
        self._namespace = network.control
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                  "scrape_configs": scrape_configs}
        if alerting:
            (folder / "rules.yaml").write_text(json.dumps(rules()))
            config["rule_files"] = ["rules.yaml"]
        (folder / "prometheus.yaml").write_text(json.dumps(config))
        self._process = Process(
            "prometheus", self._namespace,
            [tools_folder("prometheus") / "prometheus", f"--config.file={folder / 'prometheus.yaml'}",
             f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{PORT}"], folder / "prometheus.log")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()

    def ask(self, path, **query):
        with netns.entered(self._namespace):
            address = f"http://127.0.0.1:{PORT}/api/v1/{path}?{urllib.parse.urlencode(query)}"
            with urllib.request.urlopen(address, timeout=5) as answer:
                return json.load(answer)["data"]

    def firing(self):
        """{alert: the summaries of all that fire}"""
        found = {}
        for one in self.ask("alerts")["alerts"]:
            if one["state"] == "firing":
                found.setdefault(one["labels"]["alertname"], []).append(one["annotations"]["summary"])
        return found

    def fires(self, *alerts, deadline=FIRES):
        """All of them do, and no other; returns the summaries of the first."""
        def so():
            seen = self.firing()
            return seen if seen.keys() == set(alerts) else None
        return wait_for(so, deadline, lambda: f"{alerts} fire; these do: {self.firing()}")[alerts[0]]

    def is_quiet(self, deadline=CLEARS):
        wait_for(lambda: self.firing() == {}, deadline, lambda: f"nothing fires; these do: {self.firing()}")
