# SPDX-License-Identifier: Apache-2.0
"""./dev demo: the main job, told as it happens in a lab of three nodes with a real control plane.

Each step is verified by somebody who is not Stentor (kubectl, curl, arping, the client's kernel); exit status 0 means
that every step was. `--keep` leaves the lab running and says how to look around, `--down` takes such labs down.
"""
import argparse
import contextlib
import json
import sys
import threading
import time

import prerequisites
import workspace
from lab import Lab
from processes import Timeout
from story import ADDRESS, ANNOTATION, FIRST_FREE, MANIFEST, SERVICE, Story, service

COLOURS = ("\033[1m", "\033[32m", "\033[31m", "\033[2m", "\033[0m")
BOLD, GREEN, RED, DIM, PLAIN = COLOURS if sys.stdout.isatty() else [""] * 5


@contextlib.contextmanager
def progress(text):
    """Shows that time passes: a counting line on a terminal, a line every few seconds elsewhere."""
    done, started = threading.Event(), time.monotonic()

    def tick():
        while not done.wait(0.5 if sys.stdout.isatty() else 5):
            seconds = time.monotonic() - started
            if sys.stdout.isatty():
                print(f"\r   {DIM}… {text}, {seconds:.0f} s{PLAIN}", end="", flush=True)
            else:
                print(f"   … {text}, {seconds:.0f} s", flush=True)
    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        if sys.stdout.isatty():
            print("\r\033[K", end="", flush=True)


class Teller:
    """Runs the steps, tells what each showed, keeps the score."""

    def __init__(self):
        self.rows = []

    @contextlib.contextmanager
    def step(self, title):
        """One step of the story. It fails by an exception; then nothing after it would mean anything."""
        print(f"\n{BOLD}{len(self.rows) + 1}. {title}{PLAIN}", flush=True)
        row = {"title": title, "ok": False, "seen": "", "short": "", "seconds": 0.0}
        self.rows.append(row)
        started = time.monotonic()
        try:
            with progress("waiting"):
                yield row
            row["ok"] = True
        finally:
            row["seconds"] = time.monotonic() - started
            if row["seen"]:
                for line in row.pop("told", []):
                    print(f"   {line}")
                print(f"   {GREEN if row['ok'] else RED}{row['seen']}{PLAIN}", flush=True)

    def table(self):
        width = max(len(row["title"]) for row in self.rows)
        print(f"\n{BOLD}{'step':<{width + 4}} {'':4} {'took':>7}  {'seen'}{PLAIN}")
        for number, row in enumerate(self.rows, 1):
            mark = f"{GREEN}ok  {PLAIN}" if row["ok"] else f"{RED}FAIL{PLAIN}"
            print(f"{number:>2}. {row['title']:<{width}} {mark} {row['seconds']:>6.1f}s  {row['short']}")


def who(lab, address, node):
    return f"{address} is at {lab.nodes[node].mac}, which is {node}"


def tell(lab, story, teller):
    with teller.step("A Service from a plain MetalLB manifest gets its address") as row:
        row["told"] = [f"kubectl apply -f {MANIFEST.name}"]
        story.apply_manifest()
        story.address_of(SERVICE, ADDRESS)
        pool = lab.get("service", SERVICE)["metadata"]["annotations"][ANNOTATION]
        event = story.allocation_event(SERVICE, ADDRESS)[0]
        row["told"] += [f"event from {event['source']}: {event['message']}"]
        row["seen"] = f"{SERVICE} has {ADDRESS}, from pool {pool}"
        row["short"] = ADDRESS

    with teller.step("The segment finds it: one node answers ARP") as row:
        story.speaker_is(ADDRESS, story.order[0])
        row["told"] = [f"MetalLB's election says: {' before '.join(story.order)}"]
        row["seen"] = who(lab, ADDRESS, story.order[0])
        row["short"] = story.order[0]

    with teller.step("A client on the segment opens the page") as row:
        page = story.page(ADDRESS)
        assert lab.client.neighbour(ADDRESS) == lab.nodes[story.order[0]].mac, "the client's kernel asked another node"
        row["told"] = [f"curl http://{ADDRESS}   (from {lab.client.host.address}, which is no node)"]
        row["seen"] = page
        row["short"] = f"a pod on {page.rpartition('=')[2]}"

    with teller.step("A second Service asks for nothing and gets a free address") as row:
        lab.apply(json.dumps(service("second")))
        story.address_of("second", FIRST_FREE)
        row["told"] = [story.page(FIRST_FREE)]
        row["seen"] = f"second has {FIRST_FREE}"
        row["short"] = FIRST_FREE

    first, second = story.order[:2]
    with teller.step(f"The power of {first}, which answers, is cut") as row, lab.open_loop(ADDRESS) as client:
        client.wait_steady()
        moment = lab.kill_node(first)
        outage, gap, text = client.gap(moment)
        story.speaker_is(ADDRESS, second)
        page = story.page(ADDRESS)
        assert lab.client.neighbour(ADDRESS) == lab.nodes[second].mac, "the client's kernel still asks the dead node"
        row["told"] = [f"a client asks 50 times a second; the pods are on {second} and {story.order[2]}",
                       who(lab, ADDRESS, second), page]
        row["seen"] = f"the client waited {outage:.2f} s for its next page ({gap:.2f} s between two good answers)"
        row["short"] = f"the client waited {outage:.2f} s"

    with teller.step(f"{first} comes back, and speaks again as the election says") as row:
        lab.revive_node(first)
        story.speaker_is(ADDRESS, first)
        story.page(ADDRESS)
        row["seen"] = who(lab, ADDRESS, first)
        row["short"] = first

    with teller.step("The controller is killed and started again") as row:
        before = story.versions()
        story.restart_controller()
        lab.apply(json.dumps(service("third")))
        address = story.address_of("third")
        after = story.versions()
        after.pop("third")
        assert after == before, f"Services changed: {before} became {after}"
        row["told"] = [f"it works again: third has {address}"]
        row["seen"] = "no Service changed: same addresses, same resourceVersions"
        row["short"] = "nothing changed"

    with teller.step("The Service is deleted") as row:
        story.delete(SERVICE)
        story.silence(ADDRESS)
        lab.apply(json.dumps(service("heir", ADDRESS)))
        story.address_of("heir", ADDRESS)
        story.page(ADDRESS)
        row["told"] = [f"arping {ADDRESS}: no answer"]
        row["seen"] = f"{ADDRESS} fell silent and was free: the next one that asks for it, heir, has it"
        row["short"] = "silent, and free again"

    with teller.step("The API server's audit log") as row:
        names = [SERVICE, "second", "third", "heir"]
        writes = {name: len(story.status_writes(name)) for name in names}
        assert set(writes.values()) == {1}, f"writes: {writes}"
        row["seen"] = f"{len(names)} Services, {sum(writes.values())} status writes"
        row["short"] = f"{sum(writes.values())} writes for {len(names)} Services"


def look_around(lab):
    folder = lab.folder / "look-around"
    folder.mkdir()
    client = lab.clients["client"].namespace
    kubectl = folder / "kubectl"
    kubectl.write_text("#!/bin/sh\nexec " + " ".join(lab.kubectl_command()) + ' "$@"\n')
    kubectl.chmod(0o755)
    on_client = f"ip netns exec {client}"
    print(f"\n{BOLD}The lab stays up.{PLAIN} Look around:\n\n"
          f"  {kubectl} get services,pods -A -o wide\n"
          f"  {on_client} curl http://{ADDRESS}\n"
          f"  {on_client} arping -c 3 -I eth0 {ADDRESS}\n"
          f"  {on_client} ip neighbour\n"
          f"  ip netns exec {lab.nodes['node-1'].namespace} bash        a shell on node-1\n"
          f"  tail -f {lab.logs}/speaker-*.log {lab.logs}/controller.log\n\n"
          f"Take it down with: ./dev demo --down")


def down():
    labs = [lab_id for lab_id in workspace.ids() if workspace.state(lab_id) in (workspace.KEPT, "stale")]
    for lab_id in labs:
        workspace.remove(lab_id)
        print(f"lab {lab_id} is down")
    if not labs:
        print("no lab is kept")
    return 0


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="leave the lab running and say how to look around")
    parser.add_argument("--down", action="store_true", help="take down the labs that --keep left")
    options = parser.parse_args()
    if options.down:
        return down()
    missing = prerequisites.of_stentor()
    if missing:
        print("the demo cannot run here:\n  " + "\n  ".join(missing), file=sys.stderr)
        return 2

    started, teller = time.monotonic(), Teller()
    try:
        return told(options, started, teller)
    except KeyboardInterrupt:
        print("\ninterrupted: the lab is down", file=sys.stderr)
        return 130


def told(options, started, teller):
    failure = None
    with Lab(say=lambda text: print(f"   {text}", flush=True)) as lab:
        try:
            with teller.step("A cluster: three nodes, a real control plane, Stentor"):
                lab.install()
                story = Story(lab)
                story.set_up()
                teller.rows[-1]["short"] = "all running"
                teller.rows[-1]["seen"] = "controller, three speakers and two pods run; kube-proxy is on each node"
            tell(lab, story, teller)
        except (AssertionError, Timeout, RuntimeError, OSError, KeyError) as error:
            failure = error
        teller.table()
        took = time.monotonic() - started
        if failure:
            print(f"\n{RED}FAILED: {failure}{PLAIN}\nThe logs are in {lab.logs} while the lab is up, "
                  f"then in build/lab-logs/{lab.id}.", file=sys.stderr)
        else:
            print(f"\n{GREEN}Every step was verified{PLAIN}, in {took:.0f} s.")
        if options.keep:
            look_around(lab)
            lab.keep()
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main())
