# SPDX-License-Identifier: Apache-2.0
"""docs/install.md, word by word. Its ways out of MetalLB are run by test_replace_metallb.py, and the rest here."""
import os

import pytest
from install_page import InstallPage
from installation import ROLLOUT, Installation
from processes import wait_for

FIRST = "192.168.122.110"


@pytest.fixture(scope="module")
def page(cluster, stentor_cluster, tmp_path_factory):
    installation = Installation(cluster, "helm")
    try:
        yield InstallPage(cluster, tmp_path_factory.mktemp("page"))
    finally:
        installation.remove_everything()
        cluster.kubectl("delete", "service,deployment", "hello", "--ignore-not-found")


def first_address(page, cluster):
    page.run("kubectl apply -f - <<EOF")
    assert FIRST in page.run("kubectl create deployment hello")
    wait_for(lambda: cluster.client.curl(FIRST), ROLLOUT, "the page is there")
    page.run("curl", kind="client")


def test_by_helm(page, cluster):
    # Where others than the release preset's images are under test, those are on the nodes already.
    if not os.environ.get("STENTOR_IMAGES"):
        page.run("./dev images")
        page.run("ctr", kind="node")
    page.run("helm install metallb")
    first_address(page, cluster)
    page.run("helm upgrade metallb")
    assert cluster.service_addresses("hello") == [FIRST]
    page.run("helm uninstall metallb")
    assert cluster.get("ipaddresspools", "-A")["items"]
    assert cluster.service_addresses("hello") == [FIRST]
    page.run("kubectl delete -f crds/")
    cluster.kubectl("delete", "service,deployment", "hello")
    wait_for(lambda: "metallb" not in cluster.kubectl("get", "namespaces,crds", "-o", "name"), ROLLOUT, "all is gone")


def test_by_kubectl(page, cluster):
    page.run("kubectl apply -f deploy/stentor.yaml", kind="alternative")
    first_address(page, cluster)
    page.run("kubectl delete -f deploy/stentor.yaml", kind="alternative")
    assert cluster.get("ipaddresspools", "-A")["items"]
    assert cluster.service_addresses("hello") == [FIRST]


def test_every_other_block_is_a_way_from_metallb(page):
    own_images = ("ctr", "./dev images") if os.environ.get("STENTOR_IMAGES") else ()
    others = [name for name, text in page.blocks()
              if (name, text) not in page.run_so_far and not text.startswith(own_images or "-")]
    assert sorted(others) == ["metallb-helm", "metallb-helm-uninstall", "metallb-images", "metallb-manifests"]
