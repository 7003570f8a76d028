# SPDX-License-Identifier: Apache-2.0
"""MetalLB's election, written down once more from its description: the judge of who has to speak for an address."""
import hashlib


def candidates(nodes, address):
    """The nodes in the order in which they speak for an address: SHA-256 of `node#address`, smallest bytes first."""
    return sorted(nodes, key=lambda node: hashlib.sha256(f"{node}#{address}".encode()).digest())
