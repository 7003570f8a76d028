# SPDX-License-Identifier: Apache-2.0
"""What is left of a cluster whose owner ends without an end: nothing, at the latest when the next one is made."""
import os
import pathlib
import signal
import subprocess
import sys

import cgroups
import netns
import pytest
import workspace
from cluster import Cluster
from processes import start_time, wait_for

HERE = pathlib.Path(__file__).resolve().parent

# What kubelets and kube-proxies would set for the whole machine.
KERNEL_SETTINGS = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
                   "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes", "net/netfilter/nf_conntrack_max",
                   "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")


def kernel_settings():
    paths = [pathlib.Path("/proc/sys", name) for name in KERNEL_SETTINGS]
    return {str(path): path.read_text() for path in paths if path.exists()}


def what_is_left(cluster_id):
    control_group = workspace.control_group(cluster_id)
    return [*netns.existing(workspace.prefix(cluster_id)), *(one for one in workspace.ids() if one == cluster_id),
            *(root for root in cgroups.hierarchies() if (root / control_group).exists()),
            *(line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines() if cluster_id in line)]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_a_cluster_whose_owner_is_gone_leaves_nothing(one_more_cluster, cluster_machine, how):
    settings = kernel_settings()
    program = ("import cluster, time\nwith cluster.Cluster() as c:\n c.add_web('web', 3)\n print(c.id, flush=True)\n"
               " time.sleep(600)\n")
    owner = subprocess.Popen([sys.executable, "-c", program], cwd=HERE, stdout=subprocess.PIPE, text=True)
    cluster_id = owner.stdout.readline().strip()
    try:
        assert workspace.state(cluster_id) == "running"
        assert cluster_id not in Cluster.clean_stale(), "a cluster whose owner lives is left alone"
        living = {pid for name in netns.existing(workspace.prefix(cluster_id)) for pid in netns.processes(name)}
        living |= cgroups.processes(workspace.control_group(cluster_id))
        living = {pid: start_time(pid) for pid in living}
        assert len(living) > 20
        os.kill(owner.pid, how)
        owner.wait(60)
        if how == signal.SIGKILL:
            Cluster.clean_stale()
        wait_for(lambda: not what_is_left(cluster_id), 60,
                 "nothing is left, whoever took it down: clusters of other tests may start just now")
        assert kernel_settings() == settings
        wait_for(lambda: not any(start and start_time(pid) == start for pid, start in living.items()), 5,
                 "all processes ended")
    finally:
        owner.kill()
        workspace.remove(cluster_id)
