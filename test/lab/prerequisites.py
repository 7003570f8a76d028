# SPDX-License-Identifier: Apache-2.0
"""What a lab needs of the machine, and what of it is missing, each in one line that says what to do."""
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "kubernetes")]

from control_plane import tools_folder  # noqa: E402
from stentor import missing_programs  # noqa: E402

TOOLS = ("ip", "iptables", "openssl", "arping", "ndisc6", "tcpdump", "curl", "setpriv", "conntrack", "bash")


def need(missing):
    """Skips the test that asks, by name; with CI=true nothing is skipped: a missing prerequisite is a failure there."""
    if missing:
        import pytest  # only tests ask; the demo and the benchmarks do without
        reason = "; ".join(missing)
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"in CI nothing is skipped: {reason}", pytrace=False)
        pytest.skip(reason)


def of_the_lab():
    """Reasons why no lab can run here; empty: it can."""
    if os.geteuid() != 0:
        return ["not root: network namespaces need it"]
    missing = [f"the program {tool} is not installed (./dev setup)" for tool in TOOLS if not shutil.which(tool)]
    if not missing and subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True).returncode:
        missing.append("this machine does not allow network and mount namespaces")
    if not tools_folder():
        missing.append("the Kubernetes programs are not built (./dev setup, or test/kubernetes/build-tools)")
    return missing


def of_stentor():
    """The lab's, and Stentor's own programs."""
    return of_the_lab() + [f"{name} is not built (./dev build)" for name in missing_programs()]
