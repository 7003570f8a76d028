# SPDX-License-Identifier: Apache-2.0
"""The chart's alerts in a real Prometheus that scrapes the real programs: they fire when it is true, and clear. What the
rules take minutes for takes seconds here. (test/chart judges each rule by promtool, with made-up series.)

One lab; each test goes on where the one before stopped, with nothing firing."""
import json
import subprocess
import sys
import time
import urllib.request

import alert_rules
import netns
import pytest
from alert_rules import FIRES, RunningPrometheus
from lab import HERE
from network import CONTROL_ADDRESS
from prerequisites import need
from processes import wait_for
from story import ADDRESS, SERVICE, SOON, Story, pool

ROOT = HERE.parents[1]
PORT = 7472
EXCLUDE = "node.kubernetes.io/exclude-from-external-load-balancers"


def prometheus_of(lab, folder):
    """One that scrapes the programs where they run, under the names that their pods would have."""
    addresses = {"metallb-controller-0": CONTROL_ADDRESS, **{
        f"metallb-speaker-{node.name}": node.management for node in lab.nodes.values()}}
    targets = [{"targets": [f"{address}:{PORT}"], "labels": {"namespace": "metallb-system", "pod": pod}}
               for pod, address in addresses.items()]
    return RunningPrometheus(lab.network, folder, [{"job_name": "stentor", "static_configs": targets}], alerting=True)


@pytest.fixture(scope="module")
def story(stentor_lab):
    made = Story(stentor_lab)
    made.set_up(f"--port={PORT}")
    made.apply_manifest()
    made.address_of(SERVICE, ADDRESS)
    made.speaker_is(ADDRESS, made.order[0])
    return made


@pytest.fixture(scope="module")
def prometheus(story, tmp_path_factory):
    need(alert_rules.missing())
    with prometheus_of(story.lab, tmp_path_factory.mktemp("prometheus")) as made:
        wait_for(lambda: len(made.ask("query", query="up == 1")["result"]) == 1 + len(story.lab.nodes), SOON,
                 "all are scraped")
        yield made


def test_nothing_fires_when_all_is_well(prometheus):
    prometheus.is_quiet()
    end = time.monotonic() + 6  # longer than the longest "for"
    while time.monotonic() < end:
        assert prometheus.firing() == {}
        time.sleep(0.5)


def test_no_announcer_without_an_advertisement(story, prometheus):
    story.lab.kubectl("delete", "l2advertisement", "--all", "-n", "metallb-system")
    assert prometheus.fires("StentorNoAnnouncer") == ["Services that nobody announces: 1"]
    story.apply_manifest()
    prometheus.is_quiet()


def test_no_announcer_when_every_node_is_excluded(story, prometheus):
    story.lab.kubectl("label", "nodes", "--all", f"{EXCLUDE}=")
    prometheus.fires("StentorNoAnnouncer")
    story.lab.kubectl("label", "nodes", "--all", f"{EXCLUDE}-")
    prometheus.is_quiet()


def test_stale_configuration(story, prometheus):
    story.lab.apply(json.dumps(pool("bad", "2001:db8::9-2001:db8::1")))
    wait_for(lambda: len(prometheus.fires("MetalLBStaleConfig")) == 4, FIRES, "it fires for all speakers and the controller")
    story.lab.kubectl("delete", "ipaddresspool", "bad", "-n", "metallb-system")
    prometheus.is_quiet()


def test_two_announcers_where_speakers_do_not_see_each_other(story, prometheus):
    node = story.lab.nodes[story.order[0]]

    def rules_of(verb):
        for chain in ("INPUT", "OUTPUT"):
            subprocess.run(["ip", "netns", "exec", node.namespace, "iptables", "-w", verb, chain, "-p", "udp", "--dport", "7946",
                            "-j", "DROP"], check=True)
    rules_of("-I")
    try:
        prometheus.fires("StentorTwoAnnouncers", "StentorSpeakerIsolated")
    finally:
        rules_of("-D")
    prometheus.is_quiet()


def test_a_dead_speaker(story, prometheus):
    story.lab.stentor.kill_speaker(story.order[0])
    assert prometheus.fires("StentorSpeakerMissing") == [f"The speaker metallb-speaker-{story.order[0]} is not there"]
    story.lab.stentor.start_speaker(story.order[0], f"--port={PORT}")
    prometheus.is_quiet()


def test_flapping(story, prometheus):
    for _ in range(4):
        for value, winner in (("=", story.order[1]), ("-", story.order[0])):
            story.lab.kubectl("label", "node", story.order[0], f"{EXCLUDE}{value}")
            story.speaker_is(ADDRESS, winner)
            time.sleep(3)  # the rule, as shortened above, looks every two seconds, and two back
    prometheus.fires("StentorAddressFlapping")
    prometheus.is_quiet()


def test_no_leader(story, prometheus):
    story.lab.stentor.stop_controller()
    prometheus.fires("StentorNotOneLeader")
    story.lab.start_controller(f"--port={PORT}")
    prometheus.is_quiet()


def test_the_page_of_metrics_is_what_is_exported(story, prometheus, tmp_path):
    for program, address in (("controller", CONTROL_ADDRESS), ("speaker", story.lab.nodes[story.order[0]].management)):
        with netns.entered(story.lab.network.control):
            with urllib.request.urlopen(f"http://{address}:{PORT}/metrics", timeout=5) as answer:
                (tmp_path / program).write_bytes(answer.read())
        done = subprocess.run([sys.executable, ROOT / "docs/generate-metrics", "--against", program, tmp_path / program],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
