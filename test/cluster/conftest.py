# SPDX-License-Identifier: Apache-2.0
"""pytest's side of the test cluster: one that is made when the first test asks for it and shared by all, and where a file
asks for another mode of kube-proxy one for that file. What cannot run here is skipped by name with its reason; with
CI=true a missing prerequisite is a failure."""
import contextlib
import fcntl
import os
import pathlib
import signal
import sys
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lab"), str(HERE.parent / "kubernetes")]

import cluster_prerequisites  # noqa: E402
from cluster import PROXY_MODES, Cluster  # noqa: E402
from prerequisites import need  # noqa: E402

# STENTOR_IMAGES: where others than the release preset's are under test.
IMAGES = pathlib.Path(os.environ.get("STENTOR_IMAGES") or HERE.parents[1] / "build/images")

PATIENCE = 120  # seconds: for workers that end


def pytest_configure(config):
    """SIGTERM ends the whole run, with the clusters in order: a SystemExit would only fail the test that runs, and who waits
    for a condition takes an Exception, such as pytest.exit() raises, for "not yet"."""
    shared_out = getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput")

    def leave(number, _):
        config.left = True
        if shared_out:
            end_workers()
        raise KeyboardInterrupt(f"signal {number}")
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, leave)


def pytest_unconfigure(config):
    """A worker would wait here for the process that began it, which waits for its end."""
    if hasattr(config, "workerinput") and getattr(config, "left", False):
        os._exit(1)


def end_workers():
    """Has the processes among which pytest-xdist shares out the files take their clusters down. By itself it gives them ten
    seconds, in which no release is uninstalled."""
    workers = [int(pid) for path in pathlib.Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()]
    for pid in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and any(is_running(pid) for pid in workers):
        time.sleep(0.1)


def is_running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="session")
def cluster_machine():
    """The machine can run a cluster."""
    need(cluster_prerequisites.of_the_cluster())


def _running(proxy_mode):
    need(cluster_prerequisites.of_the_cluster(proxy_mode))
    with Cluster(proxy_mode) as made:
        yield made


@pytest.fixture(scope="session")
def iptables_cluster():
    yield from _running("iptables")


@pytest.fixture(scope="module")
def one_more_cluster():
    """Leave to make a cluster beside the shared one. Of several workers (pytest -n) only one has it at a time: kubelets take
    inotify instances, of which Linux grants a user 128 by default."""
    with open(__file__) as this:
        fcntl.flock(this, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def nftables_cluster(one_more_cluster):
    yield from _running("nftables")


@pytest.fixture(scope="session")
def cluster(iptables_cluster):
    """For tests to which the mode of kube-proxy makes no difference."""
    return iptables_cluster


def _with_images(made):
    archives = {component: IMAGES / f"stentor-{component}.tar" for component in ("controller", "speaker")}
    need([f"the image of the {component} is not built (./dev images)"
          for component, path in archives.items() if not path.exists()])
    for path in archives.values():
        made.import_image(path)
    return made


@pytest.fixture(scope="session")
def stentor_cluster(cluster):
    """The same, with Stentor's images on every node."""
    return _with_images(cluster)


@pytest.fixture(scope="module")
def stentor_nftables_cluster(nftables_cluster):
    return _with_images(nftables_cluster)


@pytest.fixture(scope="module", params=PROXY_MODES)
def any_cluster(request):
    """One test in each mode."""
    return request.getfixturevalue(f"{request.param}_cluster")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the pods and the latest events of its cluster."""
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    for made in {id(one): one for one in getattr(item, "funcargs", {}).values() if isinstance(one, Cluster)}.values():
        if made.id:
            pods = made.kubectl("get", "pods", "-A", "-o", "wide", check=False)
            events = made.kubectl("get", "events", "-A", "--sort-by=.lastTimestamp", check=False)
            report.sections.append((f"pods of cluster {made.id}", pods))
            report.sections.append(("latest events", "\n".join(events.splitlines()[-25:])))
