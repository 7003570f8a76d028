# SPDX-License-Identifier: Apache-2.0
"""A few lines of Kubernetes client for the lab itself: JSON in, JSON out, over one TLS connection a thread.

Judges of what Stentor does use kubectl; this is for what the lab does as a stand-in of somebody else (kubelets).
"""
import contextlib
import http.client
import json
import ssl
import threading

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class ApiError(Exception):
    def __init__(self, status, message):
        super().__init__(f"{status}: {message}")
        self.status = status


class ApiClient:
    """`entering` is a context manager factory: inside it, new sockets belong to the namespace of the API server.
    A socket stays where it was made, so only connecting needs it."""

    def __init__(self, host, port, authority, certificate, key, entering=contextlib.nullcontext):
        self._address, self._entering = (host, port), entering
        self._context = ssl.create_default_context(cafile=str(authority))
        self._context.load_cert_chain(str(certificate), str(key))
        self._local = threading.local()

    def _connection(self):
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = http.client.HTTPSConnection(*self._address, timeout=10, context=self._context)
            with self._entering():
                connection.connect()
            self._local.connection = connection
        return connection

    def _drop(self):
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def request(self, method, path, body=None, content_type="application/json"):
        """Returns the parsed answer. Raises ApiError for what the API server refuses, OSError when it is not there.
        A kept connection may have been closed meanwhile: then, and only then, it is tried once more."""
        data = None if body is None else json.dumps(body)
        headers = {"Accept": "application/json"} | ({"Content-Type": content_type} if body is not None else {})
        for last in (False, True):
            fresh = getattr(self._local, "connection", None) is None
            try:
                connection = self._connection()
                connection.request(method, path, data, headers)
                answer = connection.getresponse()
                text = answer.read().decode()
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                if last or fresh:
                    raise OSError(f"{method} {path}: {error}") from error
                continue
            try:
                parsed = json.loads(text)
            except ValueError:
                parsed = text  # /readyz and the like answer in plain text
            if answer.status >= 300:
                raise ApiError(answer.status, parsed.get("message", text) if isinstance(parsed, dict) else text)
            return parsed
        raise AssertionError("unreachable")

    def get(self, path):
        return self.request("GET", path)

    def patch(self, path, body, content_type=STRATEGIC):
        return self.request("PATCH", path, body, content_type)

    def create(self, path, body):
        """POST that is content when the object exists: a lost answer and a second try look the same to a user."""
        try:
            return self.request("POST", path, body)
        except ApiError as error:
            if error.status != 409:
                raise
            return self.get(f"{path}/{body['metadata']['name']}")
