# SPDX-License-Identifier: Apache-2.0
"""Where a lab keeps its files, whose it is, and cleaning up after those whose owner is gone.

Each lab has an id of four hex digits; its namespaces are called `stl<id>-…` and its files are in a folder of that id.
The file `owner` there names the process that made it, or says "kept". A lab whose owner is gone (a run that got
SIGKILL) is taken down by the next one. Labs of living owners, and everything else on the machine, are left alone.

A test cluster (../cluster) is a lab in that sense; its nodes have control groups too.
"""
import os
import pathlib
import re
import secrets
import shutil
import time

import cgroups
import netns
from processes import start_time

ROOT = pathlib.Path("/tmp/stentor-lab")  # not TMPDIR: whoever cleans up must look where the other one wrote
MEMORY = pathlib.Path("/dev/shm")
KEPT, KEPT_CLUSTER = "kept", "kept-cluster"
_FRESH = 120  # seconds in which a lab without an owner may be one that is just being made


def prefix(lab_id):
    return f"stl{lab_id}-"


def control_group(lab_id):
    """The group that the groups of the nodes of a test cluster are in."""
    return prefix(lab_id) + "nodes"


def memory_folder(lab_id):
    """A folder for etcd's data: on memory where there is some."""
    parent = MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else ROOT
    return parent / f"stentor-lab-{lab_id}"


def create():
    """Claims an id; returns (id, folder). Readable for all: the controller in it runs as nobody."""
    ROOT.mkdir(mode=0o755, exist_ok=True)
    if ROOT.is_symlink() or ROOT.stat().st_uid != os.geteuid():
        raise RuntimeError(f"{ROOT} belongs to somebody else")
    while True:
        lab_id = secrets.token_hex(2)
        try:
            (ROOT / lab_id).mkdir(mode=0o755)
        except FileExistsError:
            continue
        own(lab_id)
        return lab_id, ROOT / lab_id


def own(lab_id, owner=None):
    """Writes who owns a lab: this process, or KEPT, or KEPT_CLUSTER."""
    path = ROOT / lab_id / "owner"
    path.with_suffix(".new").write_text(owner or f"{os.getpid()} {start_time(os.getpid())}")
    path.with_suffix(".new").rename(path)


def ids():
    """All labs that left a trace: a folder, a namespace or data in memory."""
    names = [path.name for path in ROOT.glob("*")] if ROOT.is_dir() else []
    names += [match[1] for name in netns.existing("stl") if (match := re.match(r"stl([0-9a-f]{4})-", name))]
    names += [path.name.rpartition("-")[2] for path in MEMORY.glob("stentor-lab-*")]
    return sorted({name for name in names if re.fullmatch("[0-9a-f]{4}", name)})


def state(lab_id):
    """KEPT, KEPT_CLUSTER, "running" (its owner lives) or "stale"."""
    try:
        owner = (ROOT / lab_id / "owner").read_text()
    except OSError:
        traces = [ROOT / lab_id, memory_folder(lab_id)]
        traces += [netns.FOLDER / name for name in netns.existing(prefix(lab_id))]
        ages = [time.time() - path.stat().st_mtime for path in traces if path.exists()]
        return "running" if ages and min(ages) < _FRESH else "stale"
    if owner in (KEPT, KEPT_CLUSTER):
        return owner
    pid, started = owner.split()
    return "running" if start_time(int(pid)) == started else "stale"


def remove(lab_id):
    """Takes a lab away: processes, namespaces, files. Done again it does nothing."""
    namespaces = netns.existing(prefix(lab_id))
    for name in namespaces:  # first all that could write files or keep interfaces busy
        netns.kill_processes(name)
    cgroups.remove(control_group(lab_id))
    for name in namespaces:
        netns.remove(name)
    shutil.rmtree(memory_folder(lab_id), ignore_errors=True)
    shutil.rmtree(ROOT / lab_id, ignore_errors=True)


def clean_stale():
    """Takes down labs whose owner is gone; returns their ids."""
    cleaned = [lab_id for lab_id in ids() if state(lab_id) == "stale"]
    for lab_id in cleaned:
        remove(lab_id)
    return cleaned
