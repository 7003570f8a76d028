# SPDX-License-Identifier: Apache-2.0
"""The web server of a pod: answers every GET with the name of the pod and of its node. Run as: pod.py POD NODE PORT."""
import http.server
import sys


class Page(http.server.BaseHTTPRequestHandler):
    text = b""

    def do_GET(self):  # the name is the library's
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(self.text)))
        self.end_headers()
        self.wfile.write(self.text)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    pod, node, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    Page.text = f"pod={pod} node={node}\n".encode()
    Server(("0.0.0.0", port), Page).serve_forever()
