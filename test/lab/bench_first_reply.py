# SPDX-License-Identifier: Apache-2.0
"""How soon somebody answers for an address: from the creation of its Service to the first ARP or NDP reply; for a
thousand Services, from their last endpoints until all are answered; and from the start of a speaker.

The yardstick shares nothing with Stentor's code and does nothing but what is asked: `api-bench assign` watches Services
and PUTs addresses, bare_announcer.py watches Services and EndpointSlices, and answers ARP for the addresses of Services
that have one. Both are asked by the same host, every millisecond, in turns. Endpoints are made by hand, not by
Kubernetes' controllers, and kube-proxy is kept out: what they do is not asked here. MetalLB's programs are asked the same,
in the same lab: they are what users have.
"""
import argparse
import concurrent.futures
import contextlib
import pathlib
import select
import statistics
import sys
import threading
import time

import api_load
import figures
import metallb
import netns
from asking import FirstAnswers
from bench_allocation import OPTIONS as ONE_LOG
from control_plane import Options
from lab import Lab
from layer2 import OPTIONS as DUAL_STACK
from layer2 import advertisement
from processes import Process, wait_for
from story import pool
from watching import BALANCERS, Watch, addresses_of

HERE = pathlib.Path(__file__).resolve().parent
STENTOR, METALLB, YARDSTICK = "Stentor", metallb.NAME, "bare clients"
OPTIONS = Options(service_range=DUAL_STACK.service_range, apiserver_flags=ONE_LOG.apiserver_flags)
POOL6 = "2001:db8:122:1::/112"
IPV4, IPV6 = "IPv4", "IPv6"
# When a Service gets its endpoints. Kubernetes' controller makes them a moment after the Service; by hand or with
# Service and slices in one manifest they may be there before, and a speaker has to look for them.
AFTER, BEFORE = "endpoints at once", "endpoints before"
PERIOD, PERIOD_OF_MANY = 0.001, 0.01
SETTLED = 3.5  # seconds: the controller holds back decisions for a while after its first pools
SERVICES, SLICES = "/api/v1/namespaces/bench/services", "/apis/discovery.k8s.io/v1/namespaces/bench/endpointslices"
AT_ONCE = 8  # connections by which many objects are made


class Bench:
    def __init__(self, lab):
        self.lab, self.api, self._next = lab, lab.api, 0
        self.load = api_load.ApiLoad(lab)
        self.pod = lab.add_pods("web", ["node-1"])[0]
        kinds = "/apis/metallb.io/v1beta1/namespaces/metallb-system"
        self.api.create(f"{kinds}/ipaddresspools", pool("ipv6", POOL6))  # beside 198.19.0.0/16 of ApiLoad
        self.api.create(f"{kinds}/l2advertisements", advertisement("bench", ["bench", "ipv6"]))

    # -- who answers --------------------------------------------------------------------------------------------------

    def start(self, who):
        """The programs of one of them; they have read everything when this returns."""
        if who == STENTOR:
            api_load.start_controller(self.lab)
            self.lab.start_speakers()
            time.sleep(SETTLED)
        elif who == METALLB:
            self._controller, self._speakers = metallb.Controller(self.lab).start(), metallb.Speakers(self.lab)
            for node in self.lab.nodes:
                self._speakers.start(node, announces=False)
            time.sleep(SETTLED)
        else:
            # The next addresses of its own: 10.0.x.y.
            self._assign = self.load.start_yardstick(first=self._first_of_yardstick())
            self._assign.wait("watching")
            self._answer = self._start_announcer()

    def stop(self, who):
        if who == STENTOR:
            for node in list(self.lab.stentor.speakers):
                self.lab.stentor.stop_speaker(node)
            self.lab.stentor.stop_controller()
        elif who == METALLB:
            self._speakers.end()
            self._controller.kill()
        else:
            self._assign.process.kill()
            self._answer.kill()

    def _first_of_yardstick(self):
        return (self._next + 1) << 8

    def _start_announcer(self):
        plane, node = self.lab.control_plane, self.lab.nodes["node-1"]
        log = self.lab.logs / "bare-announcer.log"
        log.unlink(missing_ok=True)
        process = Process("bare-announcer", node.namespace, [sys.executable, HERE / "bare_announcer.py", "eth0",
                                                             plane.address, plane.port, *plane.admin_files], log)
        wait_for(lambda: "watching" in process.log_text(), 30, "the bare announcer watches")
        return process

    # -- objects ------------------------------------------------------------------------------------------------------

    def name(self):
        self._next += 1
        return f"first-{self._next}"

    def service(self, name, address, family=IPV4):
        """The address is asked for: whoever asks by ARP must know it before it is given."""
        return {"apiVersion": "v1", "kind": "Service",
                "metadata": {"name": name, "annotations": {"metallb.io/loadBalancerIPs": address},
                             "labels": {"service.kubernetes.io/service-proxy-name": "nobody"}},
                "spec": {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, "ipFamilies": [family],
                         "ports": [{"name": "http", "port": 80}]}}

    def slice(self, name, family=IPV4):
        address = self.pod.address if family == IPV4 else "2001:db8:244::9"
        return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family,
                "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
                "endpoints": [{"addresses": [address], "nodeName": self.pod.node, "conditions": {"ready": True}}],
                "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}

    def watch(self):
        plane = self.lab.control_plane
        with netns.entered(self.lab.network.control):
            return Heard(Watch(plane.address, plane.port, *plane.admin_files, BALANCERS))

    def delete(self):
        self.load.delete()
        self.api.request("DELETE", SLICES)

    def create_all(self, path, bodies):
        """Many objects, by a few connections; returns when the last one was there."""
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as threads:
            return max(threads.map(lambda body: (self.api.create(path, body), time.monotonic())[1], bodies))

    # -- the questions ------------------------------------------------------------------------------------------------

    def created(self, who, count, order, family=IPV4):
        """[(created → address in the status, created → first reply)] of Services made one after the other."""
        first, found = self._first_of_yardstick(), []
        self.start(who)
        with self.watch() as heard, concurrent.futures.ThreadPoolExecutor(1) as beside:
            for number in range(count):
                name = self.name()
                address = (f"2001:db8:122:1::{self._next:x}" if family == IPV6 else
                           f"198.19.{self._next >> 8}.{self._next & 255}" if who != YARDSTICK else
                           f"10.{(first + number) >> 16}.{(first + number) >> 8 & 255}.{(first + number) & 255}")
                endpoints = (self.api.create, SLICES, self.slice(name, family))
                if order == BEFORE:
                    beside.submit(*endpoints).result()
                with FirstAnswers(self.lab.clients["client-2"], [address], PERIOD) as asking:
                    asking.begin()
                    self.api.create(SERVICES, self.service(name, address, family))
                    created = time.monotonic()
                    made = beside.submit(*endpoints) if order == AFTER else None
                    replied = asking.wait()[address]
                    created, addressed = min(created, heard.first(name)), heard.addressed(name)
                if made:
                    made.result()
                found.append((max(0.0, addressed - created), replied - created))
        self.stop(who)
        self.delete()
        return found

    def get_endpoints(self, who, count, trials):
        """Seconds from the last slice until all of `count` Services are answered; a list."""
        self.start(who)
        names = [self.name() for _ in range(count)]
        addresses = [f"198.19.{number >> 8}.{number & 255}" for number in range(256, 256 + count)]
        self.create_all(SERVICES, [self.service(*pair) for pair in zip(names, addresses)])
        api_load.quiet(self.lab, 0)
        found = []
        for _ in range(trials):
            with FirstAnswers(self.lab.clients["client-2"], addresses, PERIOD_OF_MANY) as asking:
                last = self.create_all(SLICES, [self.slice(name) for name in names])
                asking.begin()
                found.append(max(0.0, max(asking.wait().values()) - last))
            api_load.quiet(self.lab, 0)
            self.api.request("DELETE", SLICES)
            self._nobody_answers(addresses)
        self.stop(who)
        self.delete()
        return found

    def _nobody_answers(self, addresses):
        for address in (addresses[0], addresses[-1]):
            wait_for(lambda address=address: self.lab.poller.arping(address) == [], 60, f"nobody answers for {address}")
        api_load.quiet(self.lab, 0)

    def speaker_starts(self, whom, trials):
        """who → seconds from the start of the only speaker to its first reply, or of a bare client until it watches."""
        name, address = self.name(), "198.19.200.1"
        node = next(iter(self.lab.nodes))
        api_load.start_controller(self.lab)
        self.api.create(SLICES, self.slice(name))
        self.api.create(SERVICES, self.service(name, address))
        speakers = metallb.Speakers(self.lab) if METALLB in whom else None
        found = {who: [] for who in whom}
        for who in list(whom) * trials:
            if who == YARDSTICK:
                yardstick = self.load.start_yardstick()
                began = started(yardstick.process, api_load.PROGRAM)
                found[who].append(yardstick.wait("watching")["watching"] - began)
                yardstick.process.kill()
                continue
            with FirstAnswers(self.lab.clients["client-2"], [address], PERIOD) as asking:
                asking.begin()
                began = (started(self.lab.start_speaker(node), "stentor-speaker") if who == STENTOR else
                         started(speakers.begin(node), "metallb-speaker"))
                found[who].append(asking.wait()[address] - began)
            if who == STENTOR:
                self.lab.stentor.stop_speaker(node)
            else:
                speakers.end()
        self.lab.stentor.stop_controller()
        self.delete()
        return found


class Heard:
    """When a watch first told of a Service, and of its address; a thread of its own listens."""

    def __init__(self, watch):
        self._watch, self._first, self._addressed, self._ended = watch, {}, {}, False
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended = True
        self._thread.join()
        self._watch.close()

    def _listen(self):
        while not self._ended:
            ready, _, _ = select.select([self._watch], [], [], 0.1)
            now = time.monotonic()
            for event in self._watch.events() if ready else ():
                name = event["object"]["metadata"]["name"]
                self._first.setdefault(name, now)
                if addresses_of(event["object"]):
                    self._addressed.setdefault(name, now)

    def first(self, name):
        return wait_for(lambda: self._first.get(name), 30, f"the watch tells of {name}", every=0.001)

    def addressed(self, name):
        return wait_for(lambda: self._addressed.get(name), 30, f"the watch tells of an address of {name}", every=0.001)


def started(process, program):
    """When a process became the program: before, it was a shell that made its container."""
    name, end = program[:15], time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if pathlib.Path(f"/proc/{process.pid}/comm").read_text().strip() == name:
                return time.monotonic()
        time.sleep(0.0002)
    raise RuntimeError(f"{program} did not start: {process.log_end()}")


def milliseconds(values):
    three = statistics.median(values), figures.percentile(values, 0.99), max(values)
    return [f"{1000 * value:.1f}" for value in three]


HEAD = ("n", "median", "99 %", "worst")


def bench_created(bench, whom, count, rounds):
    each, found = max(1, count // rounds), {}
    trials = [(who, order, IPV4) for order in (AFTER, BEFORE) for who in whom]
    trials += [(who, AFTER, IPV6) for who in whom if who != YARDSTICK]
    for number in range(rounds):
        for who, order, family in trials if number % 2 == 0 else trials[::-1]:
            times = bench.created(who, each, order, family)
            found.setdefault((who, order, family), []).extend(times)
            print(f"  {number + 1} of {rounds}, {who}, {order}, {family}: first reply after "
                  f"{milliseconds([replied for _, replied in times])} ms", flush=True)
    print()
    figures.table(["ms from a Service's creation", *HEAD],
                  [[f"{who}, {order}, {family}: {what}", len(times), *milliseconds([one[column] for one in times])]
                   for (who, order, family), times in found.items()
                   for column, what in enumerate(("address in its status", "first reply"))])
    replied = {key: statistics.median(one[1] for one in times) for key, times in found.items()}
    bare = {order: replied[(YARDSTICK, order, IPV4)] for order in (AFTER, BEFORE)}
    return ({", ".join(key): times for key, times in found.items()},
            [figures.figure("created, endpoints at once → first ARP reply", replied[(STENTOR, AFTER, IPV4)], "s",
                            1.3 * bare[AFTER], bare[AFTER]),
             figures.comparison("created, endpoints before → first ARP reply", replied[(STENTOR, BEFORE, IPV4)], "s",
                                bare[BEFORE]),
             figures.comparison("created, endpoints at once → first NDP reply", replied[(STENTOR, AFTER, IPV6)], "s",
                                bare[AFTER])] +
            [figures.comparison(f"created, {order} → first reply by {family}, beside MetalLB",
                                replied[(STENTOR, order, family)], "s", value)
             for (who, order, family), value in replied.items() if who == METALLB])


def bench_endpoints(bench, whom, count, trials):
    times = {who: bench.get_endpoints(who, count, trials) for who in whom if who != YARDSTICK}
    print()
    figures.table([f"ms from the last of {count} slices until all are answered", *HEAD],
                  [[who, len(values), *milliseconds(values)] for who, values in times.items()])
    return times, [figures.figure(f"{count} Services get endpoints: last slice → all answered",
                                  statistics.median(times[STENTOR]), "s", 0.1 * max(1, count / 1000)),
                   *metallb.beside(f"{count} Services get endpoints", times)]


def bench_start(bench, whom, trials):
    times = bench.speaker_starts(whom, trials)
    print()
    figures.table(["ms from the start of a program", *HEAD],
                  [[f"{who}: a speaker answers" if who != YARDSTICK else "a bare client has listed and watches", len(values),
                    *milliseconds(values)] for who, values in times.items()])
    return times, [figures.figure("speaker starts → answers", statistics.median(times[STENTOR]), "s", 0.1,
                                  statistics.median(times[YARDSTICK])), *metallb.beside("speaker starts", times)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=50, help="Services of each, one after the other")
    parser.add_argument("--rounds", type=int, default=2, help="in which they are made, in turns with the others'")
    parser.add_argument("--services", type=int, default=1000, metavar="N", help="that get endpoints at once")
    parser.add_argument("--trials", type=int, default=5, help="of the endpoints, and of the start")
    parser.add_argument("--only", choices=("created", "endpoints", "start"), help="one of the questions")
    parser.add_argument("--metallb", action=argparse.BooleanOptionalAction, default=True, help="ask MetalLB's programs, too")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    figures.require([*api_load.missing(), *(metallb.missing() if options.metallb else ())])
    whom = (STENTOR, METALLB, YARDSTICK) if options.metallb else (STENTOR, YARDSTICK)
    result, limits = {}, []

    def ask(question, nodes, function, *arguments):
        if options.only in (None, question):
            print(f"\n{question}", flush=True)
            with Lab(nodes=nodes, options=OPTIONS, say=lambda text: print(text, flush=True)) as lab:
                lab.install()
                result[question], more = function(Bench(lab), whom, *arguments)
                limits.extend(more)
    ask("created", 3, bench_created, options.count, options.rounds)
    ask("endpoints", 3, bench_endpoints, options.services, options.trials)
    ask("start", 1, bench_start, options.trials)  # of several, one that starts waits for the others
    print()
    figures.print_figures(limits)
    figures.save(options.json, {"benchmark": "first reply", "results": result, "figures": limits})
    return 0


if __name__ == "__main__":
    sys.exit(main())
