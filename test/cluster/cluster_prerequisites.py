# SPDX-License-Identifier: Apache-2.0
"""What a test cluster needs of the machine, and what of it is missing, each in one line that says what to do."""
import ctypes
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lab"), str(HERE.parent / "kubernetes")]

import cgroups  # noqa: E402
from control_plane import tools_folder  # noqa: E402
from node import CNI_PLUGINS  # noqa: E402

TOOLS = ("ip", "iptables", "ip6tables", "conntrack", "openssl", "curl", "arping", "ping", "nsenter", "unshare", "containerd",
         "ctr", "runc")
NEEDED_GROUPS = ("cpu", "cpuset", "memory", "pids")
_WATCHES = 60  # inotify instances: kubelets have six each, and a kubelet that gets none ends; 30 a cluster were seen


def _watches_left():
    """Whether that many inotify instances can be opened now. The limit is one for all processes of a user."""
    inotify_init = ctypes.CDLL(None).inotify_init
    opened = []
    try:
        while len(opened) < _WATCHES and (descriptor := inotify_init()) >= 0:
            opened.append(descriptor)
        return len(opened) == _WATCHES
    finally:
        for descriptor in opened:
            os.close(descriptor)


def of_the_cluster(proxy_mode="iptables"):
    """Reasons why no cluster can run here; empty: it can."""
    if os.geteuid() != 0:
        return ["not root: network namespaces and containers need it"]
    tools = TOOLS + (("nft",) if proxy_mode == "nftables" else ())
    missing = [f"the program {tool} is not installed (./dev setup)" for tool in tools if not shutil.which(tool)]
    missing += [f"the CNI plugin {name} is not installed (./dev setup)"
                for name in ("ptp", "host-local", "portmap", "loopback") if not (CNI_PLUGINS / name).exists()]
    if not missing and subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"],
                                      capture_output=True).returncode:
        missing.append("this machine does not allow network, mount and process namespaces")
    groups = cgroups.controllers()
    missing += [f"the control group controller {name} is not there" for name in NEEDED_GROUPS if name not in groups]
    if "overlay" not in pathlib.Path("/proc/filesystems").read_text():
        missing.append("this kernel has no overlay file system")
    if not _watches_left():
        missing.append("too few inotify instances are left for kubelets: end other clusters (./dev cluster down), or "
                       "sysctl -w fs.inotify.max_user_instances=512")
    if not tools_folder():
        missing.append("the Kubernetes programs are not built (./dev setup, or test/kubernetes/build-tools)")
    return missing
