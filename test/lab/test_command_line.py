# SPDX-License-Identifier: Apache-2.0
"""Flags, environment and the first errors of a user: one clear line each, and what can heal is
retried. No lab is needed: nothing here reaches beyond loopback."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("STENTOR_BIN_DIR", ROOT / "build/release/bin"))
PROGRAMS = ["stentor-controller", "stentor-speaker"]

COMMON = ["--port", "--namespace", "--log-level", "--pprof-bind-address", "--health-probe-port",
          "--lb-class", "--pod-name", "--tls-min-version", "--tls-cipher-suites",
          "--tls-curve-preferences", "--metrics-cert-dir", "--kubeconfig", "--config", "--version",
          # of versions between 0.9 and 0.14, no longer MetalLB's
          "--config-ns", "--enable-pprof", "--disable-epslices"]
CONTROLLER = ["--ml-secret-name", "--deployment", "--disable-cert-rotation", "--cert-dir",
              "--cert-service-name", "--webhook-mode", "--webhook-secret", "--webhook-http2"]
SPEAKER = ["--node-name", "--host", "--ml-bindaddr", "--ml-bindport", "--ml-labels",
           "--ml-secret-key-path", "--ml-wan-config", "--ignore-exclude-lb",
           "--bgp-debounce-timeout", "--frrk8s-namespace", "--frrk8s-secret-passthrough",
           "--ml-namespace", "--ml-secret-key"]
FLAGS = {"stentor-controller": COMMON + CONTROLLER, "stentor-speaker": COMMON + SPEAKER}

CONTROLLER_AS_METALLB = [
    "-port=9120", "--health-probe-port=17472", "--log-level=info", "--webhook-mode=enabled",
    "--tls-min-version=VersionTLS13", "--cert-service-name=metallb-webhook-service",
    "--disable-cert-rotation=true", "--lb-class=x"]
SPEAKER_AS_METALLB = [
    "--port=9120", "--health-probe-port=17472", "--log-level=info", "--bgp-debounce-timeout=3000",
    "--ml-wan-config", "--ignore-exclude-lb=true", "--frrk8s-secret-passthrough"]

# Arguments of other versions: 0.9 to 0.12, and 0.13.
OLDER = {
    "stentor-controller": [["--port=7472", "--config=config"],
                           ["--port=7472", "--config-ns=x", "-config", "other"],
                           ["--port=7472", "--enable-pprof=false", "--disable-epslices"]],
    "stentor-speaker": [["--port=7472", "--config=config", "--host=192.0.2.1"],
                        ["--ml-bindaddr=127.0.0.1", "--ml-labels=app=metallb", "--ml-namespace=n",
                         "--ml-secret-key=s"],
                        ["--port=7472", "--enable-pprof", "--disable-epslices=true"]]}

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "{server}"}}}}]
users: [{{name: u, user: {{token: abc}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
"""


def environment(**more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("METALLB", "KUBE"))}
    return {**kept, "METALLB_NODE_NAME": "node-1", **more}


def run(program, *arguments, **more):
    return subprocess.run([BIN / program, *arguments], env=environment(**more), timeout=20,
                          capture_output=True, text=True, check=False)


class Running:
    """A program that is not expected to end; its log lines are collected until it is told to."""

    def __init__(self, program, *arguments, **more):
        self.process = subprocess.Popen(
            [BIN / program, *arguments], env=environment(**more), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        self.text = ""

    def __enter__(self):
        os.set_blocking(self.process.stdout.fileno(), False)
        return self

    def lines_until(self, condition, deadline=30.0):
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            try:
                self.text += os.read(self.process.stdout.fileno(), 65536).decode()
            except BlockingIOError:
                pass
            lines = [json.loads(line) for line in self.text.splitlines(keepends=True)
                     if line.endswith("\n")]
            if condition(lines):
                return lines
            assert self.process.poll() is None, f"it ended: {self.text}"
            time.sleep(0.05)
        raise AssertionError(f"not seen within {deadline} s: {self.text}")

    def __exit__(self, *exc):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_explains_each_flag(program):
    result = run(program, "--help")
    assert result.returncode == 0
    for flag in FLAGS[program]:
        assert re.search(rf"^\s*{flag}\b.*\n?.*\w{{3}}", result.stdout, re.MULTILINE), flag


@pytest.mark.parametrize("program", PROGRAMS)
def test_version(program):
    result = run(program, "--version")
    assert result.returncode == 0 and result.stderr == ""
    assert re.fullmatch(rf"{program} v\d+\.\d+\.\d+\n", result.stdout)


@pytest.mark.parametrize("program, arguments", [
    (program, arguments) for program in PROGRAMS for arguments in OLDER[program]])
def test_arguments_of_older_versions_are_accepted(program, arguments):
    """Which the next error shows: the file that no version of theirs knew."""
    result = run(program, *arguments, "--kubeconfig=/nonexistent")
    assert result.returncode == 1, result.stderr
    assert "cannot read" in result.stdout


def test_the_speakers_namespace_is_also_that_of_its_pods(tmp_path):
    """METALLB_ML_NAMESPACE, as 0.9 had it; METALLB_NAMESPACE comes first."""
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG.format(server="http://127.0.0.1:1"))
    for more, expected in (({"METALLB_ML_NAMESPACE": "pods"}, "pods"),
                           ({"METALLB_ML_NAMESPACE": "pods", "METALLB_NAMESPACE": "own"}, "own")):
        with Running("stentor-speaker", "--port=0", "--health-probe-port=0", KUBECONFIG=str(path), **more) as running:
            lines = running.lines_until(lambda lines: any(line["event"] == "starting" for line in lines))
            assert [line["namespace"] for line in lines if line["event"] == "starting"] == [expected]


@pytest.mark.parametrize("program", PROGRAMS)
def test_unknown_flag_is_one_clear_line(program):
    result = run(program, "--no-such-flag=1")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.strip().splitlines() == [
        f"{program}: unknown flag --no-such-flag=1; --help lists all flags"]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("content, word", [
    (None, "cannot read"), ("clusters: [", "line 1"), ("{}", "current-context")])
def test_bad_kubeconfig_is_one_clear_line(program, content, word, tmp_path):
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    result = run(program, f"--kubeconfig={path}")
    assert result.returncode == 1
    lines = [line for line in result.stdout.splitlines() if '"level":"error"' in line]
    assert len(lines) == 1, result.stdout + result.stderr
    message = json.loads(lines[0])["msg"]
    assert str(path) in message and word in message


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("flag", [
    "--port=70000", "--port=http", "--health-probe-port=-1", "--tls-min-version=1.3",
    "--tls-curve-preferences=P-256"])
def test_a_flag_that_cannot_be_meant_is_one_clear_line(program, flag):
    result = run(program, flag)
    assert result.returncode == 2
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and flag.split("=")[0] in lines[0], result.stderr


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("arguments, words", [
    (["--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"], ["--tls-cipher-suites", "--tls-min-version"]),
    (["--tls-min-version=VersionTLS12", "--tls-cipher-suites=ROT13"], ["--tls-cipher-suites", "ROT13"]),
    (["--metrics-cert-dir=/nonexistent"], ["--metrics-cert-dir", "/nonexistent/tls.crt"])])
def test_tls_settings_that_cannot_be_used_are_one_clear_line(program, arguments, words, tmp_path):
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG.format(server="http://127.0.0.1:1"))
    result = run(program, f"--kubeconfig={path}", *arguments)
    assert result.returncode == 1
    lines = [json.loads(line) for line in result.stdout.splitlines() if '"level":"error"' in line]
    assert [line["event"] for line in lines] == ["startFailed"], result.stdout + result.stderr
    assert all(word in lines[0]["msg"] for word in words), lines[0]["msg"]


def test_speaker_without_node_name_says_so():
    result = run("stentor-speaker", METALLB_NODE_NAME="")
    assert result.returncode == 2
    assert "--node-name" in result.stderr and "METALLB_NODE_NAME" in result.stderr


class ClosingServer(threading.Thread):
    """Accepts connections and closes them at once, and counts them: nobody's API server."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.attempts = 0
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def run(self):
        while True:
            try:
                self.socket.accept()[0].close()
            except OSError:
                return
            self.attempts += 1

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.mark.parametrize("program, arguments", [
    ("stentor-controller", CONTROLLER_AS_METALLB), ("stentor-speaker", SPEAKER_AS_METALLB)])
def test_unreachable_api_server_is_told_once_and_retried(program, arguments, tmp_path):
    def troubles(lines):
        return [line for line in lines if line["event"] == "apiTrouble"]

    path = tmp_path / "kubeconfig"
    with ClosingServer() as server:
        path.write_text(KUBECONFIG.format(server=server.url))
        with Running(program, *arguments, KUBECONFIG=str(path)) as running:
            seen = troubles(running.lines_until(lambda lines: troubles(lines)))
            assert server.url in seen[0]["msg"]
            # It goes on trying, and does not repeat the line for each attempt.
            before = server.attempts
            lines = running.lines_until(lambda _: server.attempts >= before + 10)
            resources = [line["resource"] for line in troubles(lines)]
            assert len(resources) == len(set(resources))
