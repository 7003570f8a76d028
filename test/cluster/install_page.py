# SPDX-License-Identifier: Apache-2.0
"""docs/install.md, or another page, as something that can be run: its blocks of commands, each with the name that the
page gives it.

    ```sh              at the administrator's machine, with kubectl and helm
    ```sh node         on each node, with the images in the current folder
    ```sh client       on a host of the segment
    ```sh WORD         at the administrator's machine, instead of the block before, or in another story

What a page calls $ADDRESS, $NODE and so on is given to each of its blocks.
"""
import re
import shlex
import subprocess

import images
from installation import REPOSITORY

PAGE = REPOSITORY / "docs/install.md"
WEB = "stentor.test/web:1"
_LONGEST = 600


class InstallPage:
    def __init__(self, cluster, folder, page=PAGE, names=None):
        self._cluster, self._folder = cluster, folder
        self._blocks = re.findall(r"^```sh *(\S*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
        self._names = "".join(f"{name}={shlex.quote(value)}\n" for name, value in (names or {}).items())
        self.place = folder / "checkout"
        self.place.mkdir()
        for name in ("charts", "deploy", "crds"):
            (self.place / name).symlink_to(REPOSITORY / name)
        self._programs()
        self._import_web()
        self.run_so_far = []

    def _programs(self):
        """kubectl and helm as an administrator has them: on the PATH, and knowing the cluster."""
        folder = self._folder / "bin"
        folder.mkdir()
        (folder / "kubectl").symlink_to(self._cluster.control_plane.tools / "kubectl")
        (folder / "helm").symlink_to(self._cluster.tools("helm") / "helm")
        self._environment = {
            "PATH": f"{folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self._folder), **self._cluster.environment()}

    def _import_web(self):
        """In place of the page's web server: what `kubectl create deployment --image` runs without arguments."""
        archive = images.write_archive(self._folder / "web.tar", (WEB,), self._cluster.control_plane.tools / "agnhost",
                                       {WEB: ("netexec", "--http-port=80")})
        self._cluster.import_image(archive)

    def blocks(self):
        return list(self._blocks)

    def run(self, beginning, kind=""):
        """Runs the only block of a kind that has a line with this beginning, where the page says; returns its output."""
        found = [text for name, text in self._blocks
                 if name == kind and any(line.startswith(beginning) for line in text.splitlines())]
        assert len(found) == 1, f"the page has {len(found)} blocks ({kind}) with {beginning!r}"
        return self.run_block(kind, found[0])

    def run_block(self, kind, text):
        """Runs a block, where the page says; returns its output."""
        self.run_so_far.append((kind, text))
        return {"node": self._on_nodes, "client": self._on_client}.get(kind, self._at_home)(text)

    def _at_home(self, text):
        where = REPOSITORY if text.startswith("./dev") else self.place
        return self._bash(text.replace("--image=nginx", f"--image={WEB}"), self._cluster.network.control, where)

    def _on_client(self, text):
        return self._bash(text, self._cluster.network.clients["client"].namespace, self.place)

    def _on_nodes(self, text):
        return "".join(node.run("bash", "-euc", f"cd '{REPOSITORY / 'build/images'}'\n{self._names}{text}",
                                timeout=_LONGEST)
                       for node in self._cluster.nodes.values())

    def _bash(self, text, namespace, where):
        done = subprocess.run(["ip", "netns", "exec", namespace, "bash", "-euo", "pipefail", "-c",
                               self._names + text], cwd=where,
                              env=self._environment, capture_output=True, text=True,
                              timeout=_LONGEST)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout
