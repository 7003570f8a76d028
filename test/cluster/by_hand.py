# SPDX-License-Identifier: Apache-2.0
"""A test cluster to look around in: `./dev cluster up`, `./dev cluster kubectl …`, `./dev cluster down`."""
import argparse
import os
import pathlib
import shlex
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "lab"), str(HERE.parent / "kubernetes")]

import cluster_prerequisites  # noqa: E402
import workspace  # noqa: E402
from cluster import AGNHOST, PROXY_MODES, Cluster  # noqa: E402
from processes import Timeout  # noqa: E402

NAMESPACE, CHART = "metallb-system", REPOSITORY / "charts/stentor"


def kept():
    return [one for one in workspace.ids() if workspace.state(one) == workspace.KEPT_CLUSTER]


def script(cluster_id, name):
    return workspace.ROOT / cluster_id / "by-hand" / name


def write_scripts(cluster):
    """kubectl and helm for this cluster, for whoever comes later."""
    environment = [f"{key}={value}" for key, value in cluster.environment().items()]
    programs = {"kubectl": cluster.kubectl_words()}
    if cluster.tools("helm"):
        programs["helm"] = [str(cluster.tools("helm") / "helm")]
    for name, words in programs.items():
        path = script(cluster.id, name)
        path.parent.mkdir(exist_ok=True)
        words = ["ip", "netns", "exec", cluster.network.control, "env", *environment, *words]
        path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        path.chmod(0o755)


def install(cluster):
    for path in sorted((REPOSITORY / "build/images").glob("*.tar")):
        print(f"   import {path.name}", flush=True)
        cluster.import_image(path)
    print(f"   helm install metallb {CHART.relative_to(REPOSITORY)}", flush=True)
    cluster.helm("install", "metallb", CHART, "--namespace", NAMESPACE, "--create-namespace", "--wait",
                 "--timeout=120s", timeout=150)
    for workload in ("deployment/metallb-controller", "daemonset/metallb-speaker"):
        cluster.rolled_out(workload, NAMESPACE)  # to Helm, one that is missing is none too many


def up(options):
    if kept():
        print("a cluster is up already: ./dev cluster down takes it down", file=sys.stderr)
        return 2
    missing = cluster_prerequisites.of_the_cluster(options.proxy_mode)
    if options.install and not (CHART.is_dir() and list((REPOSITORY / "build/images").glob("*.tar"))):
        missing.append("there is no chart or no image to install (./dev images)")
    if options.install and not Cluster.tools("helm"):
        missing.append("helm is not built (./dev setup)")
    if missing:
        print("no cluster can run here:\n  " + "\n  ".join(missing), file=sys.stderr)
        return 2
    started = time.monotonic()
    try:
        with Cluster(options.proxy_mode, say=lambda text: print(f"   {text}", flush=True)) as cluster:
            if options.install:
                install(cluster)
            write_scripts(cluster)
            print(f"\nThe cluster is up, after {time.monotonic() - started:.0f} s, in {cluster.memory_mib()} MiB.")
            tell(cluster)
            cluster.keep()
    except (Timeout, RuntimeError, OSError) as error:
        print(f"\nFAILED: {error}\nThe logs are in {Cluster.SAVED_LOGS}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: the cluster is down", file=sys.stderr)
        return 130
    return 0


def tell(cluster):
    client = f"ip netns exec {cluster.clients['client'].namespace}"
    node = cluster.nodes["node-1"]
    print(f"Look around:\n\n"
          f"  ./dev cluster kubectl get nodes,pods -A -o wide\n"
          f"  ./dev cluster kubectl create deployment web --image={AGNHOST} -- /agnhost netexec --http-port=80\n"
          f"  ./dev cluster helm list -A\n"
          f"  {client} curl http://{node.host.address}:30080      a client outside, on {cluster.network.segment}\n"
          f"  {shlex.join(node.inside())} bash      a shell on {node.name}\n"
          f"  tail -f {cluster.logs}/kubelet-*.log\n\n"
          f"Take it down with: ./dev cluster down")


def down(_):
    found = kept()
    for cluster_id in found:
        started = time.monotonic()
        workspace.remove(cluster_id)
        print(f"cluster {cluster_id} is down, after {time.monotonic() - started:.1f} s")
    for lab_id in workspace.clean_stale():
        print(f"{lab_id}, which a killed run left behind, is down")
    if not found:
        print("no cluster is up")
    return 0


def program(options):
    found = kept()
    if not found:
        print("no cluster is up: ./dev cluster up", file=sys.stderr)
        return 2
    path = script(found[0], options.command)
    if not path.exists():
        print(f"{options.command} is not built (./dev setup)", file=sys.stderr)
        return 2
    os.execv(path, [str(path), *options.arguments])
    raise AssertionError("unreachable")


def main():
    # argparse would take kubectl's own options for its own.
    if sys.argv[1:2] and sys.argv[1] in ("kubectl", "helm"):
        return program(argparse.Namespace(command=sys.argv[1], arguments=sys.argv[2:]))
    parser = argparse.ArgumentParser(prog="./dev cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    upper = commands.add_parser("up", help="start a cluster and leave it running")
    upper.add_argument("--proxy-mode", choices=PROXY_MODES, default="iptables", help="kube-proxy's (default: iptables)")
    upper.add_argument("--install", choices=("helm",), help="install Stentor from build/images and charts/stentor")
    upper.set_defaults(act=up)
    commands.add_parser("down", help="take it down").set_defaults(act=down)
    commands.add_parser("kubectl", help="run kubectl, with whatever follows", add_help=False)
    commands.add_parser("helm", help="run helm, with whatever follows", add_help=False)
    options = parser.parse_args()
    return options.act(options)


if __name__ == "__main__":
    sys.exit(main())
