# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes client's component test against a real API server, beside the in-memory one that ctest runs it on."""
import json
import os
import pathlib
import subprocess
import xml.etree.ElementTree as tree

import pytest
from testbed import REPOSITORY

# The one with all checks, where there is one: `./dev test` builds it first.
FOLDERS = [REPOSITORY / f"build/{preset}/bin" for preset in ("asan", "dev", "release")]
# What libcpprest has not done yet at the end of a program is no leak of ours.
LEAKS = {"LSAN_OPTIONS": f"suppressions={REPOSITORY / 'test/component/leaks.supp'}"}


@pytest.fixture(scope="module")
def component_io():
    folders = [pathlib.Path(os.environ["STENTOR_BIN_DIR"])] if "STENTOR_BIN_DIR" in os.environ else FOLDERS
    built = next((folder / "component_io" for folder in folders if (folder / "component_io").exists()), None)
    if built is None:
        reason = "component_io is not built: ./dev build asan"
        pytest.fail(reason, pytrace=False) if os.environ.get("CI", "").lower() == "true" else pytest.skip(reason)
    return built


def run(component_io, namespace, folder, tag, kubeconfig, **environment):
    """Runs the test of `tag` in `namespace`; it must pass."""
    report = folder / "report.xml"
    done = subprocess.run(
        ["ip", "netns", "exec", namespace, component_io, f"[{tag}]", "-r", "junit", "-o", report],
        env={**os.environ, **LEAKS, "STENTOR_TEST_KUBECONFIG": str(kubeconfig), **environment},
        capture_output=True, text=True, timeout=180)
    said = report.read_text() if report.exists() else done.stdout + done.stderr
    assert done.returncode == 0, said
    # It ran, rather than that nothing bore the tag.
    assert len(list(tree.parse(report).getroot().iter("testcase"))) == 1, said


def kubeconfig(lab, folder, **cluster):
    """The administrator's, with other fields of the cluster."""
    content = json.loads(lab.control_plane.admin_kubeconfig.read_text())
    content["clusters"][0]["cluster"].update(cluster)
    path = folder / "kubeconfig"
    path.write_text(json.dumps(content))
    return path


def test_the_client_lists_watches_and_writes_at_a_real_api_server(lab, component_io, tmp_path):
    run(component_io, lab.network.control, tmp_path, "real-server", lab.control_plane.admin_kubeconfig)
    left = lab.kubectl("get", "configmaps", "-o", "name")
    assert "stentor-test-" not in left, left


def test_the_api_server_has_an_ipv6_literal_as_address(lab, component_io, tmp_path):
    if not pathlib.Path("/proc/sys/net/ipv6").exists():
        pytest.skip("this machine has no IPv6")
    config = kubeconfig(lab, tmp_path, server=f"https://[::1]:{lab.control_plane.port}")
    run(component_io, lab.network.control, tmp_path, "real-server", config)


def test_a_name_of_the_certificate_is_checked_instead_of_the_address(lab, component_io, tmp_path):
    # No address of 127.0.0.0/8 but 127.0.0.1 is in the certificate.
    server = f"https://127.0.0.2:{lab.control_plane.port}"
    config = kubeconfig(lab, tmp_path, **{"server": server, "tls-server-name": "kubernetes.default.svc"})
    run(component_io, lab.network.control, tmp_path, "real-server", config)
    config = kubeconfig(lab, tmp_path, **{"server": server, "tls-server-name": "another.example"})
    with pytest.raises(AssertionError):
        run(component_io, lab.network.control, tmp_path, "real-server", config)


def test_a_way_that_swallows_everything_is_noticed(lab, component_io, tmp_path):
    node = lab.network.nodes["node-1"]
    route = f"blackhole {node.management}/32"
    run(component_io, node.namespace, tmp_path, "silent-way", lab.control_plane.admin_kubeconfig,
        STENTOR_TEST_CUT=f"ip -n {lab.network.control} route add {route}",
        STENTOR_TEST_MEND=f"ip -n {lab.network.control} route del {route}")
