# SPDX-License-Identifier: Apache-2.0
"""Control groups of whole machines: version 1 with its hierarchies, or version 2.

A group's name is the same path in every hierarchy: `stl<id>-nodes/node-1`. What a process starts is in its group, so
ending a machine is ending what is in its groups, whatever namespaces its processes made for themselves.
"""
import contextlib
import os
import pathlib
import signal
import time

ROOT = pathlib.Path("/sys/fs/cgroup")
_WANTED = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")  # version 2: what a kubelet and runc look for


def unified():
    return (ROOT / "cgroup.controllers").exists()


def hierarchies():
    """The roots below which groups are made: one with version 2."""
    if unified():
        return [ROOT]
    return sorted(path for path in ROOT.glob("*") if path.is_dir() and not path.is_symlink()
                  and (path / "cgroup.procs").exists())


def controllers():
    """Names of the controllers that groups can use here."""
    if unified():
        return set((ROOT / "cgroup.controllers").read_text().split())
    return {name for root in hierarchies() for name in root.name.split(",")}


def create(path):
    """Makes a group (and its parents) in every hierarchy; what is needed for processes to be put into it is set."""
    for root in hierarchies():
        group = root
        for part in pathlib.PurePath(path).parts:
            if unified():
                _delegate(group)
            parent, group = group, group / part
            with contextlib.suppress(FileExistsError):
                group.mkdir()
            for name in ("cpuset.cpus", "cpuset.mems"):  # version 1: empty ones take no process
                if not unified() and (group / name).exists() and not (group / name).read_text().strip():
                    (group / name).write_text((parent / name).read_text())


def _delegate(group):
    """Version 2: lets children of a group be limited. Each by itself, for one that the kernel lacks fails them all."""
    for name in _WANTED:
        with contextlib.suppress(OSError):
            (group / "cgroup.subtree_control").write_text(f"+{name}")


def _groups(path):
    """All groups of that name and below it, children first."""
    return [pathlib.Path(folder) for root in hierarchies() for folder, _, _ in os.walk(root / path, topdown=False)]


def processes(path):
    """Ids of all processes in a group or below it, in any hierarchy."""
    found = set()
    for group in _groups(path):
        with contextlib.suppress(OSError):  # it may go while it is read
            found.update(int(line) for line in (group / "cgroup.procs").read_text().split())
    return found


def remove(path, timeout=20):
    """Ends what is in a group and takes the group away. Done again it does nothing."""
    deadline = time.monotonic() + timeout
    while found := processes(path):
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise TimeoutError(f"control group {path}: processes {sorted(found)} do not end")
        time.sleep(0.02)
    for group in _groups(path):
        while True:  # the kernel lets go of a group a moment after its last process
            try:
                group.rmdir()
                break
            except FileNotFoundError:
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
