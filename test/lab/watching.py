# SPDX-License-Identifier: Apache-2.0
"""A bare watch of the API server: a list, then the lines of a watch as they come, over one TLS connection."""
import json
import socket
import ssl

# HTTP/1.0: the answer comes as it is, without chunks, until the server closes.
_REQUEST = "GET {} HTTP/1.0\r\nHost: {}\r\nAccept: application/json\r\n\r\n"


class Watch:
    """`path` names a collection, with a query: "/api/v1/services?fieldSelector=…". `items` is what the list held."""

    def __init__(self, address, port, authority, certificate, key, path):
        self._context = ssl.create_default_context(cafile=str(authority))
        self._context.load_cert_chain(str(certificate), str(key))
        self._address = (address, port)
        listed = self._open(path)
        text = b""
        while part := listed.recv(1 << 16):
            text += part
        body = json.loads(text.partition(b"\r\n\r\n")[2])
        self.items = body["items"]
        self._rest, self._in_body = b"", False
        self._socket = self._open(f"{path}&watch=1&resourceVersion={body['metadata']['resourceVersion']}")
        # Until the head of the answer is there the watch may not be.
        while b"\r\n\r\n" not in self._rest:
            self._rest += self._socket.recv(1 << 16)
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise RuntimeError(f"watch of {path}: {head.decode()}")
        self._socket.setblocking(False)

    def _open(self, path):
        plain = socket.create_connection(self._address)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        secure = self._context.wrap_socket(plain, server_hostname=self._address[0])
        secure.sendall(_REQUEST.format(path, self._address[0]).encode())
        return secure

    def fileno(self):
        return self._socket.fileno()

    def close(self):
        self._socket.close()

    def events(self):
        """The events that have come, without waiting: dicts {type, object}."""
        try:
            while True:
                part = self._socket.recv(1 << 16)
                if not part:
                    raise RuntimeError("the watch ended")
                self._rest += part
        except ssl.SSLWantReadError:
            pass
        *lines, self._rest = self._rest.split(b"\n")
        return [json.loads(line) for line in lines]


BALANCERS = "/api/v1/services?fieldSelector=spec.type%3DLoadBalancer"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices?labelSelector=%21service.kubernetes.io/headless"


def addresses_of(service):
    return [entry["ip"] for entry in service.get("status", {}).get("loadBalancer", {}).get("ingress", ())
            if "ip" in entry]


def service_of(slice_):
    """Namespace and name of the Service whose endpoints these are."""
    return slice_["metadata"]["namespace"], slice_["metadata"].get("labels", {}).get("kubernetes.io/service-name", "")
