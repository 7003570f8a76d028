# SPDX-License-Identifier: Apache-2.0
"""How soon Services get their addresses at a real kube-apiserver, beside a client that does nothing but that.

Four questions, each asked of Stentor's controller and of the yardstick (api-bench assign: list, watch, PUT) in turns:
Services that are created one after the other; N at once; N that were there before the program starts; a new one after
a restart with N that have their addresses. The yardstick keeps no books, sends no events and shares nothing with
Stentor's code: it is about as fast as the API server allows. MetalLB's controller is asked the same.
"""
import argparse
import statistics
import sys
import time

import api_load
import figures
import metallb
from control_plane import Options
from lab import Lab
from processes import wait_for

STENTOR, METALLB, YARDSTICK = "Stentor", metallb.NAME, "bare client"
# The audit log in one piece however long the benchmark is: by default it is rotated at 100 MB.
OPTIONS = Options(apiserver_flags=("--audit-log-maxsize=4000",))
# Longer than the time for which the controller holds back decisions after its first pools: one that has been running
# for days is asked, not one that has just started.
SETTLED = 3.5


class Bench:
    def __init__(self, lab, whom):
        self.lab, self.load, self.whom = lab, api_load.ApiLoad(lab), whom
        self._metallb = metallb.Controller(lab) if METALLB in whom else None
        self._next = 0

    def start(self, who):
        """Starts one of them, and returns its process when it has read everything and is idle."""
        if who == STENTOR:
            process = api_load.start_controller(self.lab)
            time.sleep(SETTLED)
            return process
        if who == METALLB:
            process = self._metallb.start()
            time.sleep(SETTLED)
            return process
        yardstick = self.load.start_yardstick()
        yardstick.wait("watching")
        return yardstick.process

    def stop(self, who, process):
        if who == STENTOR:
            self.lab.stentor.stop_controller()
        else:
            process.kill()

    def names(self):
        self._next += 1
        return f"trial-{self._next}"

    # -- all at once --------------------------------------------------------------------------------------------------

    def burst(self, who, count):
        process, server = self.start(who), self.lab.control_plane.process("kube-apiserver")
        api_load.quiet(self.lab, 0)
        since, cpu, server_cpu = self.lab.control_plane.audited_so_far(), process.cpu_seconds(), server.cpu_seconds()
        times = self.load.create(count, self.names())
        served_cpu = server.cpu_seconds() - server_cpu
        asked = api_load.quiet(self.lab, since)
        cpu = process.cpu_seconds() - cpu
        self.stop(who, process)
        self.load.delete()
        first, last = min(sent for sent, _, _ in times), max(created for _, created, _ in times)
        return {"create_s": last - first, "after_last_s": max(0, max(got for _, _, got in times) - last),
                "latency_median_s": statistics.median(got - created for _, created, got in times),
                "requests_per_service": len(asked) / count, "requests": counted(asked),
                "cpu_ms_per_service": 1000 * cpu / count, "apiserver_cpu_ms_per_service": 1000 * served_cpu / count}

    # -- one after the other ------------------------------------------------------------------------------------------

    def one_by_one(self, who, count):
        process = self.start(who)
        times = self.load.create(count, self.names(), "--one-by-one")
        self.stop(who, process)
        self.load.delete()
        return [got - created for _, created, got in times]

    # -- restart ------------------------------------------------------------------------------------------------------

    def fill(self, count):
        """`count` Services with addresses, given by Stentor."""
        process = self.start(STENTOR)
        self.load.create(count, self.names(), deadline=3600)
        self.stop(STENTOR, process)

    def restart(self, who):
        """Seconds from the start of the program until a Service that was created meanwhile has its address."""
        self.load.create(1, self.names(), "--only-create")
        return self.start_with_work(who)

    # -- all are waiting ----------------------------------------------------------------------------------------------

    def backlog(self, who, count):
        """Seconds from the start of the program until `count` Services that were there before have addresses."""
        self.load.create(count, self.names(), "--only-create")
        since = self.lab.control_plane.audited_so_far()
        result = self.start_with_work(who)
        result["requests_per_service"] = len(self.lab.control_plane.audit(since=since)) / count
        self.load.delete()
        return result

    def start_with_work(self, who):
        with self.load.awaiting() as awaited:
            began = time.monotonic()
            if who == STENTOR:
                process, result = self.lab.start_controller(), {}
            elif who == METALLB:
                process, result = self._metallb.begin(), {}
            else:
                yardstick = self.load.start_yardstick(first=1 << 20)
                process = yardstick.process
                result = {"watching_s": yardstick.wait("watching")["watching"] - began}
            result["served_s"] = awaited.addressed() - began
            result["cpu_s"], result["resident_mib"] = process.cpu_seconds(), process.memory_kib()[0] / 1024
        if who == YARDSTICK:
            result["writes_s"] = yardstick.wait("first_round")["first_round"]["s"]
        else:
            api_load.quiet(self.lab, 0)  # its events come after the addresses
            wait_for(process.alive, 1, "the controller runs")
        self.stop(who, process)
        return result


def counted(asked):
    """How often what was asked for: "update services/status" → 1000."""
    found = {}
    for entry in asked:
        what = f"{entry['verb']} {entry['resource']}" + (f"/{entry['subresource']}" if entry["subresource"] else "")
        found[what] = found.get(what, 0) + 1
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def in_turns(whom, trials, measure):
    """who → results; in turns, so that what else happens on the machine hits all."""
    found = {who: [] for who in whom}
    for trial in range(trials):
        for who in whom if trial % 2 == 0 else reversed(whom):
            found[who].append(measure(who))
            print(f"  {trial + 1} of {trials}, {who}: " + told(found[who][-1]), flush=True)
    return found


def told(result):
    if isinstance(result, list):
        return f"median {1000 * statistics.median(result):.1f} ms of {len(result)}"
    return ", ".join(f"{name} {value:.3f}" for name, value in result.items() if not isinstance(value, dict))


def median(results, name):
    return statistics.median(one[name] for one in results)


def all_together(trials):
    return statistics.median(value for trial in trials for value in trial)


def bench_burst(bench, count, trials, goal):
    print(f"\n{count} Services at once", flush=True)
    found = in_turns(bench.whom, trials, lambda who: bench.burst(who, count))
    print()
    columns = (("create_s", "created in s", 3), ("after_last_s", "last address, s after", 3),
               ("latency_median_s", "median of one, s", 3), ("requests_per_service", "requests each", 2),
               ("cpu_ms_per_service", "CPU ms each", 2), ("apiserver_cpu_ms_per_service", "API server's", 2))
    figures.table([f"{count} at once, medians of {trials}", *(title for _, title, _ in columns)],
                  [[who, *(f"{median(found[who], name):.{digits}f}" for name, _, digits in columns)] for who in found])
    ours = found[STENTOR]
    print("Stentor asked for: " + ", ".join(f"{what} × {number}" for what, number in ours[-1]["requests"].items()))
    return found, [
        figures.figure(f"{count} at once: last address after the last creation", median(ours, "after_last_s"), "s",
                       goal, median(found[YARDSTICK], "after_last_s")),
        figures.figure(f"{count} at once: API requests a Service", median(ours, "requests_per_service"), "", 2.2,
                       median(found[YARDSTICK], "requests_per_service")),
        *metallb.beside(f"{count} at once: last address", found, lambda of: median(of, "after_last_s"))]


def bench_backlog(bench, count, trials):
    print(f"\n{count} Services wait for the program", flush=True)
    found = in_turns(bench.whom, trials, lambda who: bench.backlog(who, count))
    print()
    figures.table([f"{count} wait, medians of {trials}", "start → all served s", "CPU s", "bare writes s"],
                  [[who, f"{median(found[who], 'served_s'):.3f}", f"{median(found[who], 'cpu_s'):.2f}",
                    f"{median(found[who], 'writes_s'):.3f}" if who == YARDSTICK else ""] for who in found])
    print(f"(bare writes: the loop of {count} status writes alone, {api_load.CONNECTIONS} at a time)")
    return found, [figures.comparison(f"{count} wait: start → all served", median(found[STENTOR], "served_s"), "s",
                                      median(found[YARDSTICK], "served_s")),
                   *metallb.beside(f"{count} wait", found, lambda of: median(of, "served_s"))]


def bench_one_by_one(bench, count, trials):
    print(f"\n{count} Services, one after the other", flush=True)
    found = in_turns(bench.whom, trials, lambda who: bench.one_by_one(who, count))
    medians = {who: all_together(of) for who, of in found.items()}
    print()
    figures.table(["created → address in the status, ms", "n", "median", "min", "max"],
                  [[who, sum(map(len, found[who])), *(f"{1000 * value:.1f}" for value in (
                      medians[who], min(map(min, found[who])), max(map(max, found[who]))))] for who in found])
    return found, [figures.figure("created → address in the status", medians[STENTOR], "s", 1.3 * medians[YARDSTICK],
                                  medians[YARDSTICK]),
                   *metallb.beside("created → address in the status", found, all_together)]


def bench_restart(bench, count, trials, goal):
    print(f"\nRestart with {count} Services", flush=True)
    bench.fill(count)
    found = in_turns(bench.whom, trials, bench.restart)
    bench.load.delete()
    bare = found[YARDSTICK]
    print()
    figures.table([f"with {count} Services, medians of {trials}", "watching after s", "new one served after s", "CPU s",
                   "resident MiB"],
                  [[who, f"{median(bare, 'watching_s'):.3f}" if who == YARDSTICK else "", *(
                      f"{median(found[who], name):.{digits}f}" for name, digits in (
                          ("served_s", 3), ("cpu_s", 2), ("resident_mib", 1)))] for who in found])
    return found, [figures.figure(f"restart with {count}: start → new one served", median(found[STENTOR], "served_s"),
                                  "s", goal, median(bare, "served_s")),
                   *metallb.beside(f"restart with {count}", found, lambda of: median(of, "served_s"))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, nargs="+", default=[1000], metavar="N")
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--one-by-one", type=int, default=50, metavar="N")
    parser.add_argument("--only", choices=("one-by-one", "burst", "backlog", "restart"), help="one of the questions")
    parser.add_argument("--metallb", action=argparse.BooleanOptionalAction, default=True, help="ask MetalLB's controller, too")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    figures.require([*api_load.missing(), *(metallb.missing() if options.metallb else ())])
    result, limits = {}, []
    with Lab(nodes=1, options=OPTIONS, say=lambda text: print(text, flush=True)) as lab:
        lab.install()
        bench = Bench(lab, (STENTOR, METALLB, YARDSTICK) if options.metallb else (STENTOR, YARDSTICK))

        def ask(question, name, function, *arguments):
            if options.only in (None, question):
                result[name], more = function(bench, *arguments)
                limits.extend(more)
        ask("one-by-one", "one_by_one_s", bench_one_by_one, options.one_by_one, options.trials)
        for count in options.services:
            # The goal is for 1,000; more are for comparison, and may take longer in proportion.
            scale = max(1, count / 1000)
            ask("burst", f"burst_{count}", bench_burst, count, options.trials, 0.5 * scale)
            ask("backlog", f"backlog_{count}", bench_backlog, count, options.trials)
            ask("restart", f"restart_{count}", bench_restart, count, options.trials, 0.5 if count <= 1000 else 2)
    print()
    figures.print_figures(limits)
    figures.save(options.json, {"benchmark": "allocation", "results": result, "figures": limits})
    return 0


if __name__ == "__main__":
    sys.exit(main())
