# SPDX-License-Identifier: BSD-3-Clause
"""The kinds of LUN that the suite runs on, and how to make one."""
import re

from lab import STANDIN, free_port

SIZE = "1G"
# The tests of SANITIZE overwrite the whole LUN several times: they have a LUN of their own.
SMALL = "64M"
HUGE = "64T"

# By name: arguments of the new LUN, its parameters, and which tests make sense there.
KINDS = {
    # It keeps nothing, but promises atomic writes, which a file system does not, and may be as large as it takes for
    # a sanitize operation to be seen at work. First, because that takes the suite two minutes.
    "null": (["--bstype", "null"], "", r"^WriteAtomic16\.|^Sanitize\.Reset$"),
    "file": ([], "", ""),
    "thin": ([], "thin_provisioning=1", ""),
    "thin4k": (["--blocksize", 4096], "thin_provisioning=1", ""),
    "removable": ([], "removable=1", ""),
    "readonly": ([], "readonly=1", ""),
    "mem": (["--bstype", "mem"], "", ""),
    "mem-thin": (["--bstype", "mem"], "thin_provisioning=1", ""),
    "mem-thin4k": (["--bstype", "mem", "--blocksize", 4096], "thin_provisioning=1", ""),
    "mem-removable": (["--bstype", "mem"], "thin_provisioning=1,removable=1", ""),
    "mem-readonly": (["--bstype", "mem"], "thin_provisioning=1,readonly=1", ""),
}
ALL = [kind for kind in KINDS if not STANDIN or KINDS[kind][0][:1] != ["--bstype"]]


# It zeroes 256 blocks and then compares 257 with zeroes: it needs a LUN that nobody has written to.
FRESH = "MultipathIO.CompareAndWrite"


def is_sanitize(name):
    return name.startswith("Sanitize.")


def lun_of(name):
    return 2 if is_sanitize(name) else 3 if name == FRESH else 1


def suits(kind, name):
    return re.search(KINDS[kind][2], name) is not None


def one_lun(lab, kind, n, size):
    args, params, _ = KINDS[kind]
    if "--bstype" in args:
        path, args = f"{kind}{n}", [*args, "--bsopts", f"size={size.lower()}"]
    else:
        path = lab.file(f"disk{n}", size)
    lab.lun(1, n, path, None, *args)
    if params:
        lab.op("logicalunit", "update", "--tid", 1, "--lun", n, "--params", params)


def luns(lab, kind, wanted=()):
    lab.target(1)
    for n in sorted({1, *map(lun_of, wanted)}):
        one_lun(lab, kind, n, SIZE if n == 1 else HUGE if kind == "null" else SMALL)


def second_portal(lab):
    """For the tests that take two paths."""
    portal = f"127.0.0.1:{free_port()}"
    lab.op("portal", "new", "--param", f"portal={portal}")
    return portal
