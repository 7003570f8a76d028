# SPDX-License-Identifier: Apache-2.0
"""The chart as Helm renders it, without a cluster."""
import contextlib
import json
import pathlib
import shutil
import subprocess

import yaml

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "charts/stentor"
KUBERNETES = "1.34"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same in C, where PyYAML has it
# NOTES.txt is not in the output of `helm template`: in a copy of the chart it is a template like the others.
NOTES_TEMPLATE = 'apiVersion: test\nkind: Notes\nmetadata: {name: notes}\ntext: ' \
    '{{ tpl (.Files.Get "files/NOTES.txt") . | toJson }}\n'


class Refused(Exception):
    """Helm did not render; the text is what it said."""


def nested(values):
    """{"a.b": 1} → {"a": {"b": 1}}. No key of the chart has a dot."""
    made = {}
    for path, value in values.items():
        inner = made
        *above, last = path.split(".")
        for key in above:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return made


class Rendered(list):
    """The objects, each a dict; `notes` is what is printed after an installation."""

    def __init__(self, text):
        documents = [one for one in yaml.load_all(text, LOADER) if one]
        super().__init__(one for one in documents if one["kind"] != "Notes")
        self.notes = next((one["text"] for one in documents if one["kind"] == "Notes"), "")

    def names(self, kind):
        return {one["metadata"]["name"] for one in self if one["kind"] == kind}

    def one(self, kind, name=None):
        [found] = [one for one in self if one["kind"] == kind and name in (None, one["metadata"]["name"])]
        return found

    def pod(self, component):
        """The pod template of a component."""
        return self.one({"controller": "Deployment", "speaker": "DaemonSet"}[component])["spec"]["template"]

    def container(self, component):
        return self.pod(component)["spec"]["containers"][0]

    def arguments(self, component):
        return self.container(component)["args"]

    def environment(self, component):
        """name → value, or the path of the field that it is taken from."""
        return {one["name"]: one["value"] if "value" in one else one["valueFrom"]["fieldRef"]["fieldPath"]
                for one in self.container(component)["env"]}


class Chart:
    def __init__(self, helm, folder):
        self._helm, self._copy = helm, folder / "stentor"
        shutil.copytree(CHART, self._copy)
        (self._copy / "templates/NOTES.txt").rename(self._copy / "files/NOTES.txt")
        (self._copy / "templates/notes.yaml").write_text(NOTES_TEMPLATE)

    @contextlib.contextmanager
    def edited(self, file, old, new):
        """With one of the chart's files changed."""
        path = self._copy / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        try:
            yield
        finally:
            path.write_text(text)

    def run(self, *arguments, values=None):
        """Runs helm, the values on its standard input; returns (exit code, output, errors)."""
        given = [] if values is None else ["--values", "-"]
        done = subprocess.run([self._helm, *map(str, arguments), *given], capture_output=True, text=True, timeout=60,
                              input=json.dumps(values), env={"HOME": str(self._copy.parent)})
        return done.returncode, done.stdout, done.stderr

    def render(self, values=None, release="metallb", namespace="metallb-system", **paths):
        """`values` as in a file, or their paths with "__" between: render(speaker__logLevel="debug")."""
        given = nested({path.replace("__", "."): value for path, value in paths.items()}) if paths else values or {}
        code, output, errors = self.run("template", release, self._copy, "--namespace", namespace,
                                        "--kube-version", KUBERNETES, values=given)
        if code:
            raise Refused(errors)
        return Rendered(output)
