# SPDX-License-Identifier: Apache-2.0
"""Network namespaces: a few verbs around the `ip` program, and entering one from Python."""
import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess

FOLDER = pathlib.Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def ip(*arguments, namespace=None):
    """Runs `ip`, in a namespace if given; returns what it printed."""
    command = ["ip"] + (["-n", namespace] if namespace else []) + [str(word) for word in arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def batch(lines, namespace=None):
    """Many `ip` commands in one process: a lab is some hundred of them."""
    command = ["ip"] + (["-n", namespace] if namespace else []) + ["-batch", "-"]
    done = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}\n" + "\n".join(lines))
    return done.stdout


@contextlib.contextmanager
def entered(namespace):
    """Inside, this thread is in the namespace: its new sockets and its view of /proc/sys/net are the namespace's.
    setns() is per thread, so other threads notice nothing."""
    with open("/proc/thread-self/ns/net") as before, open(FOLDER / namespace) as wanted:
        _setns(wanted.fileno())
        try:
            yield
        finally:
            _setns(before.fileno())


def _setns(descriptor):
    if _libc.setns(descriptor, _CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, f"setns: {os.strerror(error)}")


def sysctl(namespace, settings):
    """Sets `net.…` values; a key that this kernel lacks is left alone (a kernel without IPv6)."""
    with entered(namespace):
        for key, value in settings.items():
            with contextlib.suppress(FileNotFoundError):
                pathlib.Path("/proc/sys", key.replace(".", "/")).write_text(str(value))


def existing(prefix):
    """Names of the namespaces that begin with `prefix`."""
    return sorted(path.name for path in FOLDER.glob(prefix + "*")) if FOLDER.is_dir() else []


def processes(namespace):
    """Ids of the processes that live in a namespace."""
    done = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True)
    return [int(word) for word in done.stdout.split()]


def kill_processes(namespace):
    """SIGKILL to all that live there, until nobody does: one could have forked meanwhile."""
    for _ in range(20):
        found = processes(namespace)
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def remove(namespace):
    """Ends what lives in a namespace and takes the namespace away; its interfaces go with it."""
    kill_processes(namespace)
    subprocess.run(["ip", "netns", "delete", namespace], capture_output=True)
