# SPDX-License-Identifier: Apache-2.0
"""Container images out of single programs, made without a container engine: `ctr images import` takes them.

An image is a tar of three things: a manifest, a config that names the uncompressed digests of its layers, and one tar
for each layer. Equal programs give equal archives. The tags are not `latest`, so that nobody tries to pull.
"""
import hashlib
import io
import json
import pathlib
import platform
import tarfile

AGNHOST, PAUSE = "stentor.test/agnhost:v1.34.1", "stentor.test/pause:v1.34.1"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def _member(archive, name, content, mode=0o644):
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    archive.addfile(info, io.BytesIO(content))


def write_archive(path, names, program, command):
    """Writes an image with one statically linked program at its root, under each of `names`; `command` is how each
    starts: {name: [arguments…]}. The layer is shared by all of them."""
    program = pathlib.Path(program)
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        _member(archive, program.name, program.read_bytes(), 0o755)
    layer = layer.getvalue()
    digest = hashlib.sha256(layer).hexdigest()
    machine = platform.machine()
    with tarfile.open(path, mode="w") as archive:
        _member(archive, f"{digest}.tar", layer)
        manifest = []
        for name in names:
            config = json.dumps({
                "architecture": _ARCHITECTURES.get(machine, machine), "os": "linux",
                "config": {"Entrypoint": ["/" + program.name, *command[name]], "Env": ["PATH=/"], "WorkingDir": "/"},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
                "history": [{"created_by": "test/cluster/images.py"}]}).encode()
            config_name = hashlib.sha256(config).hexdigest() + ".json"
            _member(archive, config_name, config)
            manifest.append({"Config": config_name, "RepoTags": [name], "Layers": [f"{digest}.tar"]})
        _member(archive, "manifest.json", json.dumps(manifest).encode())
    return path


def write_agnhost(program, path):
    """The image that test pods run (`netexec --http-port=80` answers /hostname with the pod's name), and the one that
    holds a pod's namespaces."""
    return write_archive(path, (AGNHOST, PAUSE), program, {AGNHOST: (), PAUSE: ("pause",)})
