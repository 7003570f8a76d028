# SPDX-License-Identifier: Apache-2.0
"""What an installation costs: the size of the images, the time from a container's start until its pod is ready, and
the memory of each program in its pod, on a real cluster."""
import argparse
import datetime
import json
import pathlib
import statistics
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lab"), str(HERE.parent / "kubernetes")]

import figures  # noqa: E402
from cluster import Cluster  # noqa: E402
from installation import REPOSITORY, ClusterStory, ContainerProcess, Installation  # noqa: E402
from story import ADDRESS, SERVICE  # noqa: E402

IMAGES = REPOSITORY / "build/images"
COMPONENTS = ("controller", "speaker")


def image_sizes(component):
    """Compressed, as registries keep it, and unpacked; in bytes."""
    path = IMAGES / f"stentor-{component}.tar"
    with tarfile.open(path) as archive:
        compressed = max((entry for entry in archive if entry.name.startswith("blobs/")), key=lambda entry: entry.size)
        layer = archive.extractfile(compressed).read()
    unpacked = subprocess.run(["gzip", "-dc"], input=layer, capture_output=True, check=True).stdout
    return compressed.size, len(unpacked)


def starts(installation, component):
    """Seconds from the program's start to the first answer of its readiness probe that was good, of each pod. The API
    keeps whole seconds, so the kernel is asked when the process began, and the log when it was ready."""
    found = []
    for pod in installation.pods(component):
        began = ContainerProcess(pod, f"/{component}").started()
        log = installation.cluster.kubectl("logs", pod["metadata"]["name"], "-n", pod["metadata"]["namespace"])
        ready = next(json.loads(line)["ts"] for line in log.splitlines() if json.loads(line).get("event") == "ready")
        found.append(datetime.datetime.fromisoformat(ready.replace("Z", "+00:00")).timestamp() - began)
    return found


def working_set(pod):
    """What the kubelet counts against the pod's memory limit, in bytes."""
    name = pod["metadata"]["uid"]
    for path in pathlib.Path("/sys/fs/cgroup").glob(f"**/*{name}*/"):
        for usage, statistic in (("memory.current", "memory.stat"), ("memory.usage_in_bytes", "memory.stat")):
            if (path / usage).exists():
                counts = dict(line.split() for line in (path / statistic).read_text().splitlines())
                inactive = int(counts.get("total_inactive_file", counts.get("inactive_file", 0)))
                return int((path / usage).read_text()) - inactive
    return None


def measure(installation, trials):
    ready = {component: [] for component in COMPONENTS}
    for trial in range(trials):
        if trial:
            installation.restart(*COMPONENTS)
        for component in COMPONENTS:
            ready[component] += starts(installation, component)
    result = {}
    for component in COMPONENTS:
        pods = installation.pods(component)
        memory = [ContainerProcess(pod, f"/{component}").memory_kib() for pod in pods]
        counted = [size for size in map(working_set, pods) if size is not None]
        compressed, unpacked = image_sizes(component)
        result[component] = {
            "image_compressed_bytes": compressed, "image_unpacked_bytes": unpacked,
            "start_to_ready_s": ready[component], "resident_kib": max(all_of_it for all_of_it, _ in memory),
            "anonymous_kib": max(own for _, own in memory), "working_set_bytes": max(counted, default=None)}
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=3, metavar="N", help="starts of every pod")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    figures.require()
    with Cluster(say=lambda text: print(text, flush=True)) as cluster:
        for component in COMPONENTS:
            cluster.import_image(IMAGES / f"stentor-{component}.tar")
        installation = Installation(cluster, "helm")
        story = ClusterStory(cluster, installation)
        story.set_up()
        story.apply_manifest()
        story.address_of(SERVICE, ADDRESS)
        story.speaker_is(ADDRESS, story.order[0])
        result = measure(installation, options.trials)
    print()
    figures.table(
        ["", "image MB", "unpacked MB", "start to ready s (median)", "resident MiB", "anonymous MiB", "working set MiB"],
        [[component, f"{one['image_compressed_bytes'] / 1e6:.1f}", f"{one['image_unpacked_bytes'] / 1e6:.1f}",
          f"{statistics.median(one['start_to_ready_s']):.2f} (n = {len(one['start_to_ready_s'])})",
          f"{one['resident_kib'] / 1024:.1f}", f"{one['anonymous_kib'] / 1024:.1f}",
          "?" if one["working_set_bytes"] is None else f"{one['working_set_bytes'] / 2**20:.1f}"]
         for component, one in result.items()])
    figures.save(options.json, {"benchmark": "install", "result": result})
    return 0


if __name__ == "__main__":
    sys.exit(main())
