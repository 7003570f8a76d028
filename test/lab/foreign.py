# SPDX-License-Identifier: Apache-2.0
"""A host on the segment that has addresses which are not meant for it: they are on its interface, and its kernel answers."""
import contextlib

import netns


class ForeignHost:
    def __init__(self, client):
        self._client, self.host, self.mac = client, client.host, client.host.mac

    def take(self, *wanted):
        self._change("add", wanted)

    def leave(self, *wanted):
        self._change("del", wanted)

    def _change(self, verb, addresses):
        for address in addresses:
            netns.ip("address", verb, f"{address}/{128 if ':' in address else 32}", "dev", "eth0",
                     namespace=self.host.namespace)

    @contextlib.contextmanager
    def holding(self, *wanted):
        """It has these addresses for a while."""
        with contextlib.ExitStack() as stack:
            for address in wanted:
                self.take(address)
                stack.callback(self.leave, address)
            yield

    def claim(self, address):
        """It says, unasked, that it has the address (which it must have)."""
        if ":" in address:  # its kernel does, when it gets one
            netns.sysctl(self.host.namespace, {"net.ipv6.conf.eth0.ndisc_notify": 1})
            self.leave(address)
            self.take(address)
        else:
            done = self._client._run("arping", "-U", "-c", 1, "-w", 2, "-I", "eth0", "-s", address, address)
            assert "Sent 1" in done.stdout, done.stderr
