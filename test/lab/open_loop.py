# SPDX-License-Identifier: Apache-2.0
"""Asks a host by HTTP, IPv4 or IPv6, N times a second, open loop: the next request leaves on time whatever became of the
last one.

Each request has a connection of its own, as new users would. One line each on stdout: START END OK TEXT, times on the
monotonic clock, which all namespaces share. Run as: open_loop.py ADDRESS PORT PER_SECOND TIMEOUT.
"""
import selectors
import socket
import sys
import time


class Request:
    """One connection: connecting, asking, reading until the server has said all."""

    def __init__(self, address, now):
        self.started, self.answer, self.asked = now, b"", False
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.connect_ex(address)

    def step(self, host):
        """Goes on; True when it ended, one way or the other."""
        try:
            if not self.asked:
                error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    return True
                self.socket.send(f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
                self.asked = True
                return False
            part = self.socket.recv(4096)
            self.answer += part
            return not part
        except BlockingIOError:
            return False
        except OSError:
            return True

    def line(self, now):
        head, _, body = self.answer.partition(b"\r\n\r\n")
        ok = b" 200 " in head.split(b"\r\n")[0] and body
        return f"{self.started:.6f} {now:.6f} {int(bool(ok))} {body.decode(errors='replace').strip() if ok else '-'}"


def main():
    address, port, rate, timeout = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    selector, waiting, period = selectors.DefaultSelector(), {}, 1 / rate
    due, host = time.monotonic(), f"[{address}]" if ":" in address else address

    def finish(request):
        selector.unregister(request.socket)
        request.socket.close()
        del waiting[request]
        print(request.line(time.monotonic()), flush=True)

    while True:
        now = time.monotonic()
        while due <= now:
            due += period
            try:
                request = Request((address, port), now)
            except OSError:  # no route at this moment: an answer that is not good
                print(f"{now:.6f} {now:.6f} 0 -", flush=True)
                continue
            waiting[request] = None
            selector.register(request.socket, selectors.EVENT_WRITE, request)
        for key, _ in selector.select(max(0.0, due - time.monotonic())):
            request, asked = key.data, key.data.asked
            if request.step(host):
                finish(request)
            elif request.asked and not asked:
                selector.modify(request.socket, selectors.EVENT_READ, request)
        now = time.monotonic()
        for request in [one for one in waiting if now - one.started > timeout]:
            finish(request)


if __name__ == "__main__":
    main()
