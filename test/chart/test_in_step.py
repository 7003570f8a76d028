# SPDX-License-Identifier: Apache-2.0
"""What was written from other files is what would be written now."""
import subprocess

import pytest
import yaml
from chart import CHART, REPOSITORY, Rendered


@pytest.mark.parametrize("program", ["deploy/render", "charts/document", "docs/generate-metrics"])
def test_is_in_step(helm, program):
    done = subprocess.run([REPOSITORY / program, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_manifests_say_what_the_chart_says(chart):
    """deploy/render takes lines away from what Helm wrote, and no meaning; only the Secret has another place."""
    values = yaml.safe_load((REPOSITORY / "deploy/values.yaml").read_text())
    manifests = Rendered((REPOSITORY / "deploy/stentor.yaml").read_text())

    def in_order(objects):
        return [one for one in objects if one["kind"] != "Secret"] + [one for one in objects if one["kind"] == "Secret"]
    assert in_order(manifests) == in_order(chart.render(values))
    kinds = [one["kind"] for one in manifests]
    assert kinds.index("RoleBinding") < kinds.index("Secret") < kinds.index("Deployment")


def test_the_version_is_that_of_the_programs():
    """The tag of the images is CMake's version; the chart's own follows the chart."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    cmake = (REPOSITORY / "CMakeLists.txt").read_text()
    assert f"VERSION {chart['appVersion'].removeprefix('v')}" in cmake
