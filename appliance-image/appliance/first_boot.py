# SPDX-License-Identifier: BSD-3-Clause
"""
lichgate-appliance first-boot: before the network and SSH start, this appliance's own name, iSCSI name and SSH key are made,
once, and what appliance.json or a seed says of the system is written. systemd itself makes /etc/machine-id.
"""
import os
import socket

from . import Refused, apply, network, paths, seed, settings, tools, users

HOSTNAME = paths.at("/etc/hostname")
HOSTS = paths.at("/etc/hosts")


def add_arguments(parser):
    parser.set_defaults()


def identity():
    """Names that no other appliance has. 48 random bits in the iSCSI name, the first 16 of them in the host's."""
    own = os.urandom(6).hex()
    return {"hostname": f"lichgate-{own[:4]}", "iqn_base": f"iqn.2026-11.org.lichgate:{own}"}


def set_hostname(name):
    changed = tools.write(HOSTNAME, name + "\n")
    short = name.partition(".")[0]
    names = name if short == name else f"{name} {short}"
    changed |= tools.write(HOSTS, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n"
                                  f"127.0.1.1\t{names}\n")
    if not paths.ROOT:
        socket.sethostname(name)
    return changed


def run(_args):
    network.recover()
    now = settings.kept()
    if "iqn_base" not in now:
        try:
            seed.take_from_disk()
        except Refused as why:
            # It has names and a network all the same.
            print(f"no seed is taken from a disk: {why}")
        now = {**identity(), **now}
        settings.keep(now)
        print(f"this appliance is {now['hostname']}, {now['iqn_base']}")
    set_hostname(now["hostname"])
    users.host_key()
    return apply.at_boot("system")
