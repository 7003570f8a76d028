# SPDX-License-Identifier: Apache-2.0
"""The two images: what is in them, that they run without anything else, and that they can be built again."""
import hashlib
import io
import json
import os
import pathlib
import re
import subprocess
import tarfile

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("STENTOR_BIN_DIR") or REPOSITORY / "build/release/bin")
COMPONENTS = ["controller", "speaker"]
# Compressed; the goal of the design for each.
LARGEST = 12_000_000


class Image:
    """An OCI archive, read as the image specification says, with every digest checked."""

    def __init__(self, path):
        with tarfile.open(path) as tar:
            self._files = {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isfile()}
        assert json.loads(self._files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
        [self.descriptor] = json.loads(self._files["index.json"])["manifests"]
        self.manifest = json.loads(self._blob(self.descriptor))
        self.config = json.loads(self._blob(self.manifest["config"]))
        [self.layer_descriptor] = self.manifest["layers"]
        layer = self._blob(self.layer_descriptor)
        self.layer = tarfile.open(fileobj=io.BytesIO(layer), mode="r:gz")
        unpacked = subprocess.run(["gzip", "-dc"], input=layer, capture_output=True, check=True).stdout
        assert self.config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(unpacked).hexdigest()]
        self.docker = json.loads(self._files["manifest.json"])

    def _blob(self, descriptor):
        content = self._files["blobs/" + descriptor["digest"].replace(":", "/")]
        assert descriptor["size"] == len(content)
        assert descriptor["digest"] == "sha256:" + hashlib.sha256(content).hexdigest()
        return content


def build(folder):
    subprocess.run([REPOSITORY / "images/build", "--bin", BIN, "--out", folder], check=True, capture_output=True)


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    build(folder)
    return folder


@pytest.fixture(params=COMPONENTS)
def image(request, built):
    return request.param, Image(built / f"stentor-{request.param}.tar")


def test_the_image_names_itself_and_its_user(image):
    component, image = image
    version = re.search(r"project.stentor VERSION ([0-9.]+)", (REPOSITORY / "CMakeLists.txt").read_text()).group(1)
    assert image.descriptor["annotations"]["io.containerd.image.name"] == f"stentor.io/{component}:v{version}"
    assert image.docker[0]["RepoTags"] == [f"stentor.io/{component}:v{version}"]
    config = image.config["config"]
    # A number: a name could not be checked by runAsNonRoot.
    assert config["User"] == {"controller": "65534:65534", "speaker": "0:0"}[component]
    assert config["Entrypoint"] == [f"/{component}"]
    assert config["Labels"]["org.opencontainers.image.version"] == f"v{version}"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_nothing_is_in_it_but_the_program_and_its_libraries(image):
    component, image = image
    for entry in image.layer:
        assert entry.isfile() or entry.isdir(), f"{entry.name} is neither file nor folder"
        assert (entry.uid, entry.gid) == (0, 0)
        assert not entry.mode & 0o7022, f"{entry.name} can be written, or changes its user: {entry.mode:o}"
        if entry.isfile():
            assert re.fullmatch(rf"{component}|etc/(passwd|group)|lib(64)?/\S+\.so[.0-9]*|usr/share/doc/\S+", entry.name)


def test_the_size_is_within_the_goal(image):
    assert image[1].layer_descriptor["size"] <= LARGEST


def test_the_libraries_come_with_their_licences(image):
    documents = [entry.name for entry in image[1].layer if entry.isfile() and entry.name.startswith("usr/share/doc/")]
    for package in ("stentor/LICENSE", "libc6/copyright", "libcpprest2.10/copyright", "libssl3/copyright"):
        assert f"usr/share/doc/{package}" in documents


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_the_program_runs_with_nothing_but_the_image(image, tmp_path):
    component, image = image
    image.layer.extractall(tmp_path)
    tmp_path.chmod(0o755)
    done = subprocess.run(["/usr/sbin/chroot", "--userspec=65534:65534", tmp_path, f"/{component}", "--help"],
                          capture_output=True, text=True, timeout=30, env={})
    assert done.returncode == 0, done.stderr
    assert f"stentor-{component}" in done.stdout and "--log-level" in done.stdout


def test_the_same_programs_give_the_same_bytes(built, tmp_path):
    build(tmp_path)
    for component in COMPONENTS:
        name = f"stentor-{component}.tar"
        assert (tmp_path / name).read_bytes() == (built / name).read_bytes()
