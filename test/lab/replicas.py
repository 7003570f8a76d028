# SPDX-License-Identifier: Apache-2.0
"""Several controllers beside each other, as a Deployment with replicas would run them."""
import json
import os
import signal
import time

from processes import wait_for
from stentor import NAMESPACE
from story import service

LEASE = "stentor-controller"
# client-go's: how long a Lease is valid, and how often others look. A leader that dies silently is missed for about
# their sum.
LEASE_SECONDS, RETRY_SECONDS = 15, 2
WITHIN_THE_LEASE = 3 * LEASE_SECONDS  # a busy machine is slower; what is asserted is that it happens


class Replicas:
    """Three controllers by the names of their pods. A replica is told by the token that it got at its start."""
    NAMES = ("replica-a", "replica-b", "replica-c")

    def __init__(self, lab):
        self.lab, self.running, self._tokens = lab, {}, {}
        self.api_started = 0.0  # for the last time, in seconds since the epoch, where a test has done that
        for name in self.NAMES:
            self.start(name)

    def start(self, name):
        # They share the API server's namespace, so each needs a port of its own for the webhooks.
        port = 9443 + self.NAMES.index(name)
        self.running[name] = self.lab.stentor.start_replica(name, f"--webhook-port={port}")
        self._tokens[self.lab.stentor.token_of(name)] = name

    def kill(self, name):
        self.running.pop(name).kill()

    def terminate(self, name):
        """SIGTERM; returns the exit code."""
        return self.running.pop(name).terminate()

    def pause(self, name):
        """Stopped as a virtual machine is that moves to another host: it is told nothing."""
        os.kill(self.running[name].pid, signal.SIGSTOP)

    def resume(self, name):
        os.kill(self.running[name].pid, signal.SIGCONT)

    def stop(self):
        for name in list(self.running):
            self.kill(name)

    def alive(self):
        ended = {name: process.log_end() for name, process in self.running.items() if not process.alive()}
        assert not ended, "not running any more: " + "; ".join(f"{name}:\n{end}" for name, end in ended.items())
        return True

    # -- who leads ----------------------------------------------------------------------------------------------------

    def lease(self):
        return self.lab.get("lease", LEASE, "-n", NAMESPACE)["spec"]

    def holder(self):
        """The pod that the Lease names; None when nobody holds it."""
        return self.lease().get("holderIdentity", "").partition("_")[0] or None

    def leader(self, other_than=None, deadline=WITHIN_THE_LEASE):
        """Waits until the Lease names a replica that runs."""
        def found():
            self.alive()
            holder = self.holder()
            return holder if holder in self.running and holder != other_than else None
        return wait_for(found, deadline, f"a replica leads, and not {other_than}" if other_than else "a replica leads")

    def events(self, name, event):
        """Lines of a replica's log, over all its starts, in the order of time."""
        return [line for line in self.lab.stentor.log(name).lines() if line.get("event") == event]

    def wait_for_event(self, name, event, number, deadline=WITHIN_THE_LEASE):
        """The replica's log has so many of them at least."""
        return wait_for(lambda: len(self.events(name, event)) >= number, deadline, f"{name} logs {event} × {number}")

    # -- what they do ------------------------------------------------------------------------------------------------

    def create(self, name):
        self.lab.apply(json.dumps(service(name)))

    def served(self, name, deadline=WITHIN_THE_LEASE):
        """Waits until the Service has its address; returns the moment (monotonic)."""
        def there():
            self.alive()
            return self.lab.service_addresses(name)
        wait_for(there, deadline, f"Service {name} has an address")
        return time.monotonic()

    def writes(self, since=0):
        """[(replica, name of the Service, when)] of all status writes, in the order in which they came in."""
        asked = self.lab.control_plane.audit(since=since, resource="services", subresource="status", verb="update")
        return [(self._tokens.get(entry["token"], entry["token"]), entry["name"], entry["at"])
                for entry in sorted(asked, key=lambda entry: entry["at"])]

