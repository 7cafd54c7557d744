# SPDX-License-Identifier: BSD-3-Clause
"""A soft RoCE device inside the guest, and what the kernel counts of its resources."""
import json
import os

import _initiator as ini
from lab import SCALE, wait_for

ADDRESS = "10.0.0.1"
DEVICE = "rxe0"


def link(net=None, address=ADDRESS):
    """
    Makes DEVICE on the network device net, or on one end of a pair of virtual ones: both ends of a connection may then
    be in this guest. Returns the network device's name.
    """
    for module in ("veth", "rdma_rxe", "rdma_ucm", "ib_uverbs"):
        ini.sh("modprobe", module)
    if not net:
        net = "d0"
        ini.sh("ip", "link", "add", net, "type", "veth", "peer", "name", "d1")
        ini.sh("ip", "link", "set", "d1", "up")
    ini.sh("ip", "addr", "add", f"{address}/24", "dev", net)
    ini.sh("ip", "link", "set", net, "up")
    ini.sh("rdma", "link", "add", DEVICE, "type", "rxe", "netdev", net)
    wait_for(lambda: "state ACTIVE" in ini.sh("rdma", "link"), 10 * SCALE, "the soft RoCE device is active")
    wait_for(lambda: os.path.exists("/dev/infiniband/rdma_cm"), 10 * SCALE, "the connection manager's device is there")
    return net


def resources():
    """How many of each the kernel holds: pd, cq, qp, mr, cm_id, ctx, srq."""
    row, = [r for r in json.loads(ini.sh("rdma", "-j", "resource", "show")) if r["ifname"] == DEVICE]
    return {name: n for name, n in row.items() if name not in ("ifindex", "ifname")}
