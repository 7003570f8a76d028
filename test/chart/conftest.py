# SPDX-License-Identifier: Apache-2.0
"""pytest's side of the chart's tests. They need the helm program (one also promtool) and no cluster; without it each is
skipped by name with the reason, and fails where CI=true."""
import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "kubernetes")]

from chart import Chart  # noqa: E402
from control_plane import tools_folder  # noqa: E402


def program(tools, name):
    folder = tools_folder(tools)
    if not folder:
        reason = f"{name} is not built (./dev setup, or test/kubernetes/build-tools)"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"in CI nothing is skipped: {reason}", pytrace=False)
        pytest.skip(reason)
    return folder / name


@pytest.fixture(scope="session")
def helm():
    """The path of the program."""
    return program("helm", "helm")


@pytest.fixture(scope="session")
def promtool():
    """The path of the program."""
    return program("prometheus", "promtool")


@pytest.fixture(scope="session")
def chart(helm, tmp_path_factory):
    return Chart(helm, tmp_path_factory.mktemp("chart"))
