#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""make run: a gateway with a file LUN, tried as an initiator would, then left serving until Ctrl-C or RUN_SECS.

LGT_PORTAL (default 0.0.0.0:3260, or the next free port) is where it listens; LGT_SIZE (1G) is the LUN's size.
"""
import os
import signal
import socket
import sys
import time

from lab import STANDIN, Lab, built

PROOF = 4 << 20


def portal():
    if os.environ.get("LGT_PORTAL"):
        return os.environ["LGT_PORTAL"]
    for port in range(3260, 3300):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("0.0.0.0", port))
                return f"0.0.0.0:{port}"
            except OSError:
                continue
    sys.exit("run: no free port from 3260 to 3299; name one with LGT_PORTAL=ADDRESS:PORT.")


def address():
    """The address that other hosts would use; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
            return s.getsockname()[0]
        except OSError:
            return "127.0.0.1"


def attach(lab, url):
    print(lab.run("iscsi-ls", "-s", url.rsplit("/", 2)[0]).stdout.rstrip())
    inq = lab.run("iscsi-inq", url).stdout
    print("\n".join(line for line in inq.splitlines() if line.startswith(("Vendor", "Product"))))
    source, back = lab.path("source"), lab.path("back")
    with open(source, "wb") as f:
        f.write(os.urandom(PROOF))
    lab.run("qemu-io", "-f", "raw", "-c", f"write -s {source} 1M 4M", "-c", "flush", url)
    lab.run("qemu-img", "dd", "-f", "raw", "-O", "raw", "bs=1M", "count=5", f"if={url}", f"of={back}")
    with open(source, "rb") as a, open(back, "rb") as b:
        b.seek(1 << 20)
        if a.read() != b.read(PROOF):
            sys.exit("run: what was read back differs from what was written.")
    print("Attached as an initiator: 4 MiB written, flushed, read back, and the same.")


def advice(lab, port):
    host, iqn = address(), lab.iqn(1)
    print(f"""
From another host:
  Linux    iscsiadm -m discovery -t sendtargets -p {host}:{port}
           iscsiadm -m node -T {iqn} -p {host}:{port} --login
  Windows  New-IscsiTargetPortal -TargetPortalAddress {host} -TargetPortalPortNumber {port}
           Connect-IscsiTarget -NodeAddress {iqn}
  ESXi     esxcli iscsi adapter discovery sendtarget add -A vmhba64 -a {host}:{port}
           esxcli storage core adapter rescan --all
  QEMU     -drive file=iscsi://{host}:{port}/{iqn}/1,format=raw
Administer it:
  LGT_RUN_DIR={lab.env['LGT_RUN_DIR']} TGT_IPC_SOCKET={lab.env['TGT_IPC_SOCKET']} {lab.tadm_path} --mode target --op show
""")


def wait():
    """Until a signal, a daemon's end, or RUN_SECS."""
    secs = float(os.environ.get("RUN_SECS") or "inf")
    stop = []
    for sig in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sig, lambda *_: stop.append(True))
    end = time.monotonic() + secs
    while not stop and time.monotonic() < end:
        yield
        time.sleep(0.2)


def main():
    if not built():
        sys.exit("run: the programs are not built; call `make`.")
    where = portal()
    port = where.rpartition(":")[2]
    with Lab(portal=where, detached=True) as lab:
        lab.target(1)
        lab.lun(1, 1, lab.file("disk", os.environ.get("LGT_SIZE", "1G")))
        print(f"{'tgtd' if STANDIN else 'Lichgate'} runs in {lab.dir} with {lab.path('disk')} as LUN 1.")
        attach(lab, f"iscsi://127.0.0.1:{port}/{lab.iqn(1)}/1")
        advice(lab, port)
        print(f"Anybody who reaches port {port} may attach. Ctrl-C ends it and removes {lab.dir}.")
        print(f"serving on {where}", flush=True)
        for _ in wait():
            dead = [d.name for d in lab.daemons if not d.alive()]
            if dead:
                sys.exit(f"run: {dead[0]} has ended by itself.")
    print("Stopped.")


if __name__ == "__main__":
    main()
