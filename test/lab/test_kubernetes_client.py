# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes client's component test against a real API server, beside the in-memory one that ctest runs it on."""
import os
import pathlib
import subprocess
import xml.etree.ElementTree as tree

import pytest
from testbed import REPOSITORY

# The unoptimized one, with its checks, where there is one: `./dev test` builds it first.
FOLDERS = [REPOSITORY / f"build/{preset}/bin" for preset in ("dev", "release")]


@pytest.fixture(scope="module")
def component_io():
    folders = [pathlib.Path(os.environ["STENTOR_BIN_DIR"])] if "STENTOR_BIN_DIR" in os.environ else FOLDERS
    built = next((folder / "component_io" for folder in folders if (folder / "component_io").exists()), None)
    if built is None:
        reason = "component_io is not built: ./dev build dev"
        pytest.fail(reason, pytrace=False) if os.environ.get("CI", "").lower() == "true" else pytest.skip(reason)
    return built


def test_the_client_lists_watches_and_writes_at_a_real_api_server(lab, component_io, tmp_path):
    report = tmp_path / "report.xml"
    done = subprocess.run(
        ["ip", "netns", "exec", lab.network.control, component_io, "[real-server]", "-r", "junit", "-o", report],
        env={**os.environ, "STENTOR_TEST_KUBECONFIG": str(lab.control_plane.admin_kubeconfig)},
        capture_output=True, text=True, timeout=120)
    said = report.read_text() if report.exists() else done.stdout + done.stderr
    assert done.returncode == 0, said
    # It ran, rather than that nothing bore the tag.
    cases = [case.get("name") for case in tree.parse(report).getroot().iter("testcase")]
    assert [name.partition(":")[0] for name in cases] == ["The real API server"], said
    left = lab.kubectl("get", "configmaps", "-o", "name")
    assert "stentor-test-" not in left, left
