#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""lgtadm and the stock tgtadm and tgt-admin against lichgate-mgmtd: texts, exit codes, refusals."""
# runner: timeout=120
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time

import _path  # noqa: F401
from _mgmt_lab import BUILD, SCALE, MgmtLab, wait_for
from tap import Skip, case, need, run

IQN = "iqn.2026-11.org.example:"


def same(got, want):
    need(got == want, f"got:\n{got}\nwanted:\n{want}")


def controller(tid):
    return lun_text(0, "controller", f"IET     {tid:04x}0000", f"beaf{tid}0", 0, 1, "null", "None")


def lun_text(lun, kind, scsi_id, sn, size_mb, block, bstype, path, flags="", online="Yes",
             removable="No"):
    return (f"        LUN: {lun}\n            Type: {kind}\n            SCSI ID: {scsi_id}\n"
            f"            SCSI SN: {sn}\n            Size: {size_mb} MB, Block size: {block}\n"
            f"            Online: {online}\n            Removable media: {removable}\n"
            "            Prevent removal: No\n            Readonly: No\n            SWP: No\n"
            f"            Thin-provisioning: No\n            Backing store type: {bstype}\n"
            f"            Backing store path: {path}\n            Backing store flags: {flags}\n")


@case("show target, connection and account are tgt's texts")
def _(lab):
    disk = lab.file("disk", 1 << 30)
    lab.ok("-m", "target", "-o", "new", "-t", 1, "-T", IQN + "a")
    lab.ok("-m", "target", "-o", "update", "-t", 1, "-n", "nop_interval", "-v", 0)
    lab.ok("-m", "logicalunit", "-o", "new", "-t", 1, "-l", 1, "-b", disk, "-f", "sync:direct")
    lab.ok("-m", "logicalunit", "-o", "update", "-t", 1, "-l", 1, "-P", "identity=tgt")
    lab.ok("-m", "logicalunit", "-o", "new", "-t", 1, "-l", 8)
    lab.ok("-m", "logicalunit", "-o", "update", "-t", 1, "-l", 8, "-P", "identity=tgt")
    lab.ok("-m", "account", "-o", "new", "-u", "joe", "-p", "secret1")
    lab.ok("-m", "account", "-o", "new", "-u", "jim", "-p", "secret2")
    lab.ok("-m", "account", "-o", "bind", "-t", 1, "-u", "joe")
    lab.ok("-m", "account", "-o", "bind", "-t", 1, "-u", "jim", "--outgoing")
    lab.ok("-m", "account", "-o", "bind", "-u", "joe")
    for rule in ("ALL", "192.0.2.0/24", "[2001:db8::]/32"):
        lab.ok("-m", "target", "-o", "bind", "-t", 1, "-I", rule)
    lab.ok("-m", "target", "-o", "bind", "-t", 1, "-Q", "iqn.x:abc")
    lab.sessions({"tid": 1, "sid": 1, "cid": 0, "initiator": "iqn.x:abc", "alias": "host1",
                  "addr": "192.0.2.10:4711", "stats": {}})
    want = (f"Target 1: {IQN}a\n    System information:\n        Driver: iscsi\n"
            "        State: ready\n    I_T nexus information:\n        I_T nexus: 1\n"
            "            Initiator: iqn.x:abc alias: host1\n            Connection: 0\n"
            "                IP Address: 192.0.2.10\n    LUN information:\n" + controller(1) +
            lun_text(1, "disk", "IET     00010001", "beaf11", 1074, 512, "rdwr", disk,
                     "sync:direct") +
            lun_text(8, "disk", "IET     00010008", "beaf18", 0, 512, "rdwr", "None",
                     online="No", removable="Yes") +
            "    Account information:\n        joe\n        jim (outgoing)\n"
            "    ACL information:\n        ALL\n        192.0.2.0/24\n        [2001:db8::]/32\n"
            "        iqn.x:abc\n")
    same(lab.ok("-m", "target", "-o", "show"), want)
    same(lab.ok("-m", "account", "-o", "show"), "Account list:\n    jim\n    joe\n")
    same(lab.ok("-m", "connection", "-o", "show", "-t", 1),
         "Session: 1\n    Connection: 0\n        Initiator: iqn.x:abc\n"
         "        IP Address: 192.0.2.10\n")
    same(lab.ok("-m", "lld", "-o", "show"),
         f"LLDs:\n    iscsi: ready\n        Target 1: {IQN}a\n    iser: uninitialized\n")
    same(lab.ok("-m", "logicalunit", "-o", "stat", "-t", 1, "-l", 1),
         "tgt lun sid rd_subm(bytes,cmds) rd_done(bytes,cmds) wr_subm(bytes,cmds) "
         "wr_done(bytes,cmds) errs\n"
         "  1   1   0         1536      3         1536      3         1024      2         1024"
         "      2    1\n")
    need("    Account information:\n\n    joe\n" in lab.ok("-m", "system", "-o", "show"))


@case("Debian's tgtd gives the same listing for the same commands")
def _(lab):
    if not shutil.which("tgtd") or os.getuid():
        raise Skip("needs tgtd and root")
    env = dict(os.environ, TGT_IPC_SOCKET=lab.path("ref.sock"))
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    tgtd = subprocess.Popen(["tgtd", "-f", "--iscsi", f"portal=127.0.0.1:{port}"], env=env,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ref(*args):
        return subprocess.run(["tgtadm", *args], env=env, capture_output=True, text=True,
                              check=False)
    try:
        wait_for(lambda: ref("-m", "system", "-o", "show").returncode == 0, "tgtd answers")
        path = lab.file("both", 10 << 20)
        for cmd in (("-m", "target", "-o", "new", "-t", "2", "-T", IQN + "b"),
                    ("-m", "logicalunit", "-o", "new", "-t", "2", "-l", "1", "-b", path),
                    ("-m", "logicalunit", "-o", "new", "-t", "2", "-l", "1", "-b", path),
                    ("-m", "logicalunit", "-o", "update", "-t", "2", "-l", "1", "-P",
                     "scsi_id=IET     00020001,scsi_sn=beaf21"),
                    ("-m", "target", "-o", "update", "-t", "2", "-n", "nop_interval", "-v", "0"),
                    ("-m", "target", "-o", "bind", "-t", "2", "-I", "10.0.0.0/8"),
                    ("-m", "target", "-o", "bind", "-t", "2", "-I", "10.0.0.0/8"),
                    ("-m", "target", "-o", "unbind", "-t", "2", "-I", "10.9.9.9"),
                    ("-m", "account", "-o", "bind", "-t", "2", "-u", "nobody"),
                    ("-m", "target", "-o", "update", "-t", "2", "-n", "bogus", "-v", "1"),
                    ("-m", "logicalunit", "-o", "delete", "-t", "2", "-l", "7"),
                    ("-m", "session", "-o", "show", "-t", "2"),
                    ("-m", "target", "-o", "update", "-t", "2", "-n", "state", "-v", "offline")):
            theirs, ours = ref(*cmd), lab.stock(*cmd)
            same((ours.returncode, ours.stderr), (theirs.returncode, theirs.stderr))
        theirs = ref("-m", "target", "-o", "show").stdout
        ours = lab.ok("-m", "target", "-o", "show")
        same(ours[ours.index("Target 2:"):], theirs)
    finally:
        tgtd.kill()
        tgtd.wait()


# What is typed, the exit code, a part of the one sentence.
WRONG = (
    ("", 22, "specify the operation type"),
    ("-m target", 22, "specify the operation type"),
    ("-o show", 22, "specify the mode"),
    ("-m bar -o show", 1, "unknown mode: bar"),
    ("-m target -o foo", 1, "unknown operation: foo"),
    ("-m target -o new", 22, "'tid' option is necessary"),
    ("-m target -o new -t 0 -T a", 22, "'tid' cannot be 0"),
    ("-m target -o new -t 1x -T a", 22, "invalid"),
    ("-m target -o new -t 99999999999 -T a", 22, "out of range"),
    ("-m target -o new -t 3", 22, "requires a name"),
    ("-m target -o new -t 3 -T a_b", 22, "invalid request: a target name"),
    ("-m target -o new -t 1 -T iqn.x", 22, "this target already exists: tid 1 is"),
    ("-m target -o new -t 9 -T IQN.2026-11.org.example:A", 22, "has tid 1"),
    ("-m target -o delete -t 99", 22, "can't find the target"),
    ("-m target -o delete -t 1", 22, "this target is still active"),
    ("-m target -o update -t 1 -n MaxBurstLength -v 1", 22, "number from 512"),
    ("-m target -o update -t 1 -n HeaderDigest -v MD5", 22, "None, CRC32C"),
    ("-m target -o update -t 1 -n bogus -v 1", 22, "no parameter"),
    ("-m target -o update -t 1 -n RedirectAddress -v x", 22, "this operation isn't supported"),
    ("-m target -o update -t 1 -n state -v maybe", 22, "ready or offline"),
    ("-m target -o update -t 1 -n alua -v standby", 22, "portal group from 1 to 65535"),
    ("-m target -o update -t 1 -n alua -v 0=standby", 22, "portal group from 1 to 65535"),
    ("-m target -o update -t 1 -n alua -v 2=asleep", 22, "the state of a portal group is"),
    ("-m target -o update -t 1 -n alua -v 2=standby,1=standby", 22, "the state of a portal group is"),
    ("-m target -o update -t 9 -n alua -v 2=standby", 22, "can't find the target"),
    ("-m target -o bind -t 1", 22, "requires initiator-address"),
    ("-m target -o bind -t 1 -I banana", 22, "no address rule"),
    ("-m target -o bind -t 1 -I 10.0.0.0/33", 22, "no address rule"),
    ("-m target -o bind -t 1 -I ALL", 22, "already exists"),
    ("-m target -o unbind -t 1 -I 10.1.1.1", 22, "does not exist"),
    ("-m target -o bind -t 1 -I ALL -P luns=all", 22, "a map is for an initiator-name"),
    ("-m target -o bind -t 1 -Q iqn.x:m -P luns=", 22, '"" is no mapping: OWN=LUN or OWN=LUN/ro'),
    ("-m target -o bind -t 1 -Q iqn.x:m -P luns=1", 22, '"1" is no mapping'),
    ("-m target -o bind -t 1 -Q iqn.x:m -P luns=16384=1", 22, "from 0 to 16383"),
    ("-m target -o bind -t 1 -Q iqn.x:m -P luns=0=1,0=8", 22, "number 0 is given twice"),
    ("-m target -o bind -t 1 -Q iqn.x:m -P luns=0=1,2=1", 22, "LUN 1 is mapped twice"),
    ("-m target -o bind -t 1 -Q iqn.x:m -P luns=0=1,all", 22, "all stands alone"),
    ("-m target -o bind -t 1 -Q iqn.x:m -P luns=0=77", 22, "has no LUN 77 to map"),
    ("-m target -o bind -t 1 -Q iqn.x:m -P lun=all", 22, "does not take one of the arguments"),
    ("-m target -o unbind -t 1 -Q iqn.x:m -P luns", 22, "has no map for iqn.x:m"),
    ("-m target -o unbind -t 1 -Q iqn.x:abc -P luns=all", 22, "without a list"),
    ("-m target -o show -t 1 extra", 22, "unrecognized option"),
    ("--foo", 22, "unrecognized option"),
    ("-m target -o show -l 1", 22, "option '-l' is not allowed"),
    ("-m target -o new -t 5 -T a --json", 22, "--json is for show and stat"),
    ("-L foo -m target -o show", 22, "can't find the driver"),
    ("-m logicalunit -o new -t 1", 22, "'lun' option is necessary"),
    ("-m logicalunit -o new -t 9 -l 1 -b /x", 22, "can't find the target"),
    ("-m logicalunit -o new -t 1 -l 1 -b /x", 22, "this logical unit number already exists"),
    ("-m logicalunit -o new -t 1 -l 0 -b /x", 22, "controller"),
    ("-m logicalunit -o new -t 1 -l 20000 -b /x", 22, "from 0 to 16383"),
    ("-m logicalunit -o new -t 1 -l 5 -b /nonexistent", 22, "cannot open /nonexistent"),
    ("-m logicalunit -o new -t 1 -l 5 -b relative", 22, "does not begin with /"),
    ("-m logicalunit -o new -t 1 -l 5 -b /x -E bogus", 22, "no backing store type"),
    ("-m logicalunit -o new -t 1 -l 5 -b /x -y 513", 22, "block size"),
    ("-m logicalunit -o new -t 1 -l 5 -b /x -f quick", 22, "bsoflags"),
    ("-m logicalunit -o new -t 1 -l 5 -E mem", 22, "needs its size"),
    ("-m logicalunit -o new -t 1 -l 5 -b /x -Y tape", 22, "device types are disk and cd"),
    ("-m logicalunit -o new -t 1 -l 5 -b /x -Y cd -y 512", 22, "blocks of 2048 bytes"),
    ("-m logicalunit -o new -t 1 -l 5 -b /x -Y cd -P readonly=0", 22, "always read-only"),
    ("-m logicalunit -o new -t 1 -l 5 -b /x -Y dvd -P removable=0", 22, "always read-only and removable"),
    ("-m logicalunit -o new -t 1 -l 5 -b /x -Y cd -S size=1m", 22, "that of its image"),
    ("-m logicalunit -o new -t 1 -l 5 -b /x -Y cd -P thin_provisioning=1", 22, "not thinly provisioned"),
    ("-m logicalunit -o new -t 1 -l 5 -b /x -Y cd -P thin_threshold=80", 22, "has no thin_threshold"),
    ("-m logicalunit -o new -t 1 -l 5 -Y cd -E mem", 22, "bstype is rdwr"),
    ("-m logicalunit -o new -t 1 -l 5 -b /x -Y foo", 22, "unknown target type"),
    ("-m logicalunit -o update -t 1 -l 1 -P bogus=1", 22, "no parameter"),
    ("-m logicalunit -o update -t 1 -l 1 -P readonly=2", 22, "0 to 1"),
    ("-m logicalunit -o update -t 1 -l 1 -P thin_threshold=100", 22, "from 0 to 99, not \"100\""),
    ("-m logicalunit -o update -t 1 -l 1 -P thin_threshold=80%", 22, "from 0 to 99"),
    ("-m logicalunit -o update -t 1 -l 1 -P thin_threshold=80", 22, "thin_provisioning=1"),
    ("-m logicalunit -o update -t 1 -l 1 -P path=/x", 22, "offline"),
    ("-m logicalunit -o update -t 1 -l 1 -P size=12q", 22, "number of bytes"),
    ("-m logicalunit -o update -t 1 -l 1 -P product_id=12345678901234567", 22, "at most 16"),
    ("-m logicalunit -o update -t 1 -l 1 -P mode_page=8:0:9:1", 22, "number of bytes"),
    ("-m logicalunit -o update -t 1 -l 1 -P vendor_id=A,bogus=1", 22, "no parameter"),
    ("-m logicalunit -o delete -t 1 -l 0", 22, "--force"),
    ("-m logicalunit -o delete -t 1 -l 77", 22, "can't find the logical unit"),
    ("-m logicalunit -o show -t 1 -l 1", 22, "not supported in logicalunit mode"),
    ("-m account -o new -u joe", 22, "are required"),
    ("-m account -o new -u joe -p x", 22, "this account already exists"),
    ("-m account -o delete -u nobody", 22, "can't find the account"),
    ("-m account -o bind -t 1 -u nobody", 22, "can't find the account"),
    ("-m account -o bind -t 1 -u joe", 22, "this account already exists"),
    ("-m account -o bind -t 1 -u joe --outgoing", 22, "already has an outgoing account"),
    ("-m portal -o new -P portal=banana", 22, "no portal"),
    ("-m portal -o new -P portal=10.0.0.1:70000", 22, "no portal"),
    ("-m portal -o new -P portal=127.0.0.1:1", 22, "address already in use"),
    ("-m portal -o delete -P portal=10.0.0.1:55", 22, "no portal"),
    ("-m portal -o new -P portal=10.0.0.1,transport=rdma", 22, '"rdma" is no transport'),
    ("-m portal -o new -P portal=10.0.0.1,transport=", 22, '"" is no transport'),
    ("-m portal -o new -P portal=10.0.0.1,transport=iser,transport=iser", 22, "given twice"),
    ("-m portal -o new -P transport=iser", 22, "needs portal="),
    ("-m portal -o new -P portal=10.0.0.1,tpgt=0", 22, "tpgt is a number from 1 to 65535"),
    ("-m portal -o new -P portal=10.0.0.1,tpgt=65536", 22, "tpgt is a number from 1 to 65535"),
    ("-m portal -o new -P portal=10.0.0.1,tpgt=", 22, "tpgt is a number from 1 to 65535"),
    ("-m portal -o delete -P portal=127.0.0.1,tpgt=1", 22, "by its address alone"),
    ("-m portal -o new -P portal=10.0.0.1/iser", 22, "no portal"),
    ("-m portal -o new -P portal=10.0.0.1:1,transport=iser", 22, "already in use"),
    ("-m portal -o delete -P portal=127.0.0.1:3260,transport=iser", 22,
     "there is no portal 127.0.0.1:3260 (iser), only one with transport=tcp"),
    ("-m portal -o show -P transport=iser", 22, "option '-P' not supported"),
    ("-L iser -m portal -o new -P portal=10.0.0.1,transport=tcp", 22, "contradicts the driver iser"),
    ("-L iser -m portal -o delete -P portal=127.0.0.1:3260", 22, "only one with transport=tcp"),
    ("-L iser -m target -o new -t 1 -T x", 22, "this target already exists"),
    ("-L ISER -m target -o show", 22, "the drivers are iscsi and iser"),
    ("-m connection -o show", 22, "can't find the target"),
    ("-m connection -o delete -t 1 -s 9 -c 0", 22, "can't find the session"),
    ("-m connection -o delete -t 1 -s 70000 -c 0", 22, "can't find the session"),
    ("-m connection -o delete -t 1 -s 1 -c 5", 22, "can't find the connection"),
    ("-m connection -o delete -t 1 -s 1 -c 70000", 22, "can't find the connection"),
    ("-m session -o stat -t 1 -s 9", 22, "can't find the session"),
    ("-m session -o show -t 1", 22, "invalid request"),
    ("-m lld -o stop", 22, "this driver is busy"),
    ("-m system -o delete", 22, "there are targets"),
    ("-m system -o update -n debug -v loud", 22, "on or off"),
    ("-m system -o update -n iSNS -v On", 22, "iSNS is not supported"),
    ("-m system -o update -n iSNSServerIP -v 1.2.3", 22, "IPv4 or IPv6"),
    ("-m system -o update -n iSNSServerPort -v 0", 22, "from 1 to 65535"),
    ("-m portal -o new -P portal=[fe80::1%lo]:3260", 22, "no portal"),
    ("-m system -o update -n chap -v md4", 22, "md5"),
    ("-m system -o show -n version -v 99999", 22, "is not kept"),
    ("-C 77 -m system -o show", 107, "can't reach the management daemon"),
)


@case("wrong input: one sentence, the exit code, and nothing changed")
def _(lab):
    before = lab.state()
    words = [(line.split(), code, part) for line, code, part in WRONG]
    for name, value, part in (("target -o update -t 1 -n alias", "a\nb", "control characters"),
                              ("target -o update -t 1 -n alias", b"\xff", "UTF-8"),
                              ("system -o update -n iSNSServerIP", "::1\n", "IPv4 or IPv6")):
        words.append((["-m", *name.split(), "-v", value], 22, part))
    for line, code, part in words:
        p = lab.adm(*line)
        sentences = [s for s in p.stderr.splitlines() if not s.startswith("Try `lgtadm")]
        need(p.returncode == code, f"{line}: exit {p.returncode}, wanted {code}: {p.stderr}")
        need(len(sentences) == 1 and part in sentences[0], f"{line}: {p.stderr}")
        need(not p.stdout, f"{line}: printed {p.stdout}")
    same(lab.state(), before)


def rdma(lab, has):
    mark = lab.path("stub.no_rdma")
    if not has:
        open(mark, "w", encoding="utf-8").close()
    elif os.path.exists(mark):
        os.unlink(mark)


ISER = "127.0.0.1:3260,transport=iser"


@case("a portal over RDMA is made, shown, kept and deleted beside the one over TCP")
def _(_lab):
    with MgmtLab() as lab:
        lab.ok("-m", "portal", "-o", "new", "-P", "portal=" + ISER)
        tcp = "Portal: 127.0.0.1:3260,1\n"
        same(lab.ok("-m", "portal", "-o", "show"), tcp + "    Transport: iser\n" + tcp)
        same(lab.ok("-L", "iser", "-m", "portal", "-o", "show"), tcp + "    Transport: iser\n")
        found = json.loads(lab.ok("-m", "portal", "-o", "show", "--json"))["portals"]
        same([(p["host"], p["transport"], p["trouble"]) for p in found],
             [("127.0.0.1", "iser", None), ("127.0.0.1", "tcp", None)])
        same(lab.state()["portal:127.0.0.1:3260/iser"]["transport"], "iser")
        need("transport" not in lab.state()["portal:127.0.0.1:3260"], lab.state())
        for again in ("portal=" + ISER, "portal=127.0.0.1"):
            p = lab.adm("-L", "iser", "-m", "portal", "-o", "new", "-P", again)
            same((p.returncode, p.stderr), (22, "lgtadm: invalid request: the portal "
                                            "127.0.0.1:3260 (iser) exists already\n"))
        lab.kill_mgmtd()
        same(store("PRAGMA user_version", lab), 2)
        lab.start_mgmtd()
        found.reverse()
        same(json.loads(lab.ok("-m", "portal", "-o", "show", "--json"))["portals"], found)
        lab.ok("-m", "portal", "-o", "delete", "-P", "portal=127.0.0.1:3260")
        p = lab.adm("-m", "portal", "-o", "delete", "-P", "portal=127.0.0.1:3260")
        need("only one with transport=iser" in p.stderr, p.stderr)
        lab.ok("-L", "iser", "-m", "portal", "-o", "delete", "-P", "portal=127.0.0.1:3260")
        same(lab.ok("-m", "portal", "-o", "show"), "")
        lab.ok("-m", "portal", "-o", "new", "-P",
               "portal=[::1]:99,portal=192.0.2.1,transport=iser,advertise=192.0.2.9:3260,tpgt=3")
        same(sorted(k for k in lab.state() if k.startswith("portal:")),
             ["portal:192.0.2.1:3260/iser", "portal:[::1]:99/iser"])
        same(lab.state()["portal:[::1]:99/iser"]["advertise"], "192.0.2.9:3260")
        same(lab.state()["portal:[::1]:99/iser"]["tpgt"], 3)
        need("Portal: [::1]:99,3\n" in lab.ok("-m", "portal", "-o", "show"), "the tag is shown")


@case("without an RDMA device: a new portal is refused, a stored one waits, TCP is served")
def _(_lab):
    with MgmtLab() as lab:
        rdma(lab, False)
        before = lab.state()
        for args in (("-m", "portal", "-o", "new", "-P", "portal=" + ISER),
                     ("-L", "iser", "-m", "target", "-o", "new", "-t", 1, "-T", IQN + "a")):
            p = lab.adm(*args)
            need(p.returncode == 22 and p.stderr.endswith("this host has no RDMA device\n"), p.stderr)
            same(len(p.stderr.splitlines()), 1)
            same(lab.state(), before)
        need("can't find the driver: portal:[::]:3260/iser: " in p.stderr, p.stderr)
        same(lab.ok("-m", "target", "-o", "show"), "")
        rdma(lab, True)
        lab.ok("-m", "portal", "-o", "new", "-P", "portal=" + ISER)
        lab.ok("-L", "iser", "-m", "target", "-o", "new", "-t", 1, "-T", IQN + "a")
        wanted = lab.state()
        rdma(lab, False)
        lab.kill_stub()
        lab.start_stub()
        wait_for(lab.configured, "the gateway is configured again")
        same(lab.state(), wanted)
        same(lab.log().count("cannot serve this yet key=portal:127.0.0.1:3260/iser"), 1)
        same(lab.ok("-m", "portal", "-o", "show"),
             "Portal: 127.0.0.1:3260,1\n    Transport: iser\n"
             "    Trouble: this host has no RDMA device\nPortal: 127.0.0.1:3260,1\n")
        need("    iscsi: ready\n    iser: error\n" in lab.ok("-m", "system", "-o", "show"))
        lab.ok("-L", "iser", "-m", "target", "-o", "new", "-t", 2, "-T", IQN + "b")


@case("the driver iser: its targets, its sessions, its states, and a portal where tgt has it")
def _(_lab):
    with MgmtLab() as lab:
        need("    iser: uninitialized\n" in lab.ok("-m", "system", "-o", "show"))
        for args in (("-m", "target", "-o", "new", "-t", "1", "-T", IQN + "a"),
                     ("-m", "target", "-o", "new", "-t", "2", "-T", IQN + "b"),
                     ("-m", "logicalunit", "-o", "new", "-t", "1", "-l", "1", "-b", lab.file("d")),
                     ("-m", "target", "-o", "bind", "-t", "1", "-I", "ALL"),
                     ("-m", "target", "-o", "update", "-t", "1", "-n", "nop_count", "-v", "4"),
                     ("-m", "account", "-o", "show")):
            if shutil.which("tgtadm"):
                p = lab.stock("--lld", "iser", *args)
                same((p.returncode, p.stderr), (0, ""))
            else:
                lab.ok("--lld", "iser", *args)
        lab.ok("-m", "target", "-o", "new", "-t", 3, "-T", IQN + "c")
        same([k for k in lab.state() if k.startswith("portal:")],
             ["portal:127.0.0.1:3260", "portal:[::]:3260/iser"])
        lab.sessions({"tid": 1, "sid": 1, "cid": 0, "initiator": "iqn.x:abc", "alias": "",
                      "addr": "192.0.2.10:4711", "xport": "iser", "stats": {}},
                     {"tid": 1, "sid": 2, "cid": 0, "initiator": "iqn.x:abc", "alias": "",
                      "addr": "192.0.2.11:4711", "xport": "tcp", "stats": {}})
        for args in (("target",), ("connection", "-t", 1)):
            out = [line.strip() for line in lab.ok("-m", args[0], "-o", "show", *args[1:]).splitlines()
                   if "IP Address" in line]
            same(out, ["RDMA IP Address: 192.0.2.10", "IP Address: 192.0.2.11"])
        listing = lab.ok("-m", "lld", "-o", "show")
        same(listing, f"LLDs:\n    iscsi: ready\n        Target 3: {IQN}c\n    iser: ready\n"
             f"        Target 1: {IQN}a\n        Target 2: {IQN}b\n")
        same(json.loads(lab.ok("-m", "lld", "-o", "show", "--json"))["llds"],
             [{"name": "iscsi", "state": "ready", "targets": 1},
              {"name": "iser", "state": "ready", "targets": 2}])
        lab.kill_mgmtd()
        lab.start_mgmtd()
        same(lab.ok("-m", "lld", "-o", "show"), listing)
        show = lab.ok("-m", "target", "-o", "show")
        same([line.split()[1] for line in show.splitlines() if "Driver:" in line],
             ["iser", "iser", "iscsi"])
        same([t["driver"] for t in json.loads(lab.ok("-m", "target", "-o", "show", "--json"))["targets"]],
             ["iser", "iser", "iscsi"])
        if shutil.which("tgt-admin"):
            dump = lab.stock("--dump", prog="tgt-admin").stdout
            same((dump.count("\tdriver iser\n"), dump.count("\tdriver iscsi\n")), (2, 1))
        p = lab.adm("-L", "iser", "-m", "lld", "-o", "stop")
        need(p.returncode == 22 and "this driver is busy: the driver iser has targets" in p.stderr, p)
        lab.ok("-m", "target", "-o", "delete", "-t", 3)
        lab.ok("-m", "lld", "-o", "stop")
        need(lab.adm("-m", "target", "-o", "show").stderr.endswith("the driver iscsi is stopped\n"))
        lab.ok("-L", "iser", "-m", "target", "-o", "show")
        lab.ok("-L", "iscsi", "-m", "lld", "-o", "start")
        for tid in (1, 2):
            lab.ok("-m", "target", "-o", "delete", "-t", tid, "--force")
        lab.ok("-L", "iser", "-m", "lld", "-o", "stop")
        same(lab.ok("-m", "lld", "-o", "show"), "LLDs:\n    iscsi: ready\n    iser: stopped\n")
        p = lab.adm("-L", "iser", "-m", "target", "-o", "new", "-t", 1, "-T", IQN + "a")
        need(p.returncode == 22 and "can't find the driver: the driver iser is stopped" in p.stderr, p)
        lab.ok("-L", "iser", "-m", "lld", "-o", "start")


@case("LUN maps: set, shown, kept, trimmed, taken away; and what tgt's tools make of them")
def _(_lab):
    with MgmtLab() as lab:
        lab.ok("-m", "target", "-o", "new", "-t", 1, "-T", IQN + "a")
        for lun in (1, 2, 3, 4):
            lab.ok("-m", "logicalunit", "-o", "new", "-t", 1, "-l", lun, "-b", lab.file(f"d{lun}"))
        lab.ok("-m", "target", "-o", "bind", "-t", 1, "-I", "192.0.2.0/24")
        without, wanted = lab.ok("-m", "target", "-o", "show"), lab.state()
        same(json.loads(lab.ok("-m", "target", "-o", "show", "--json"))["targets"][0]["maps"], [])
        for name, luns in (("iqn.x:b", "0=1,1=4,5=3/ro"), ("iqn.x:c*", "all/ro"), ("iqn.x:d", "1-3=1-3"),
                           ("iqn.x:e", "none")):
            lab.ok("-m", "target", "-o", "bind", "-t", 1, "-Q", name, "-P", "luns=" + luns)
        maps = [{"name": "iqn.x:b", "luns": [[0, 1, False], [1, 4, False], [5, 3, True]]},
                {"name": "iqn.x:c*", "all": "ro"},
                {"name": "iqn.x:d", "luns": [[1, 1, False], [2, 2, False], [3, 3, False]]},
                {"name": "iqn.x:e", "luns": []}]
        same(lab.state()["target:1"]["maps"], maps)
        same(lab.state()["target:1"]["acl_names"], [m["name"] for m in maps])
        same(json.loads(lab.ok("-m", "target", "-o", "show", "--json"))["targets"][0]["maps"], maps)
        shown = ("    LUN maps:\n        iqn.x:b: 0=1,1=4,5=3/ro\n        iqn.x:c*: all/ro\n"
                 "        iqn.x:d: 1-3=1-3\n        iqn.x:e: none\n    Account information:\n")
        names = "".join(f"        {m['name']}\n" for m in maps)
        listing = lab.ok("-m", "target", "-o", "show")
        same(listing, without.replace("    Account information:\n", shown) + names)
        lab.kill_mgmtd()
        same(store("PRAGMA user_version", lab), 3)
        lab.start_mgmtd()
        same(lab.ok("-m", "target", "-o", "show"), listing)
        same(lab.state()["target:1"]["maps"], maps)
        if shutil.which("tgtadm"):
            same(lab.stock("-m", "target", "-o", "show").stdout, listing)
            # It has no maps of its own, and changes rules as ever: a rule takes its map along.
            p = lab.stock("-m", "target", "-o", "bind", "-t", 1, "-Q", "iqn.x:c*")
            same((p.returncode, p.stderr), (22, "tgtadm: this access control rule already exists\n"))
            p = lab.stock("-m", "target", "-o", "unbind", "-t", 1, "-Q", "iqn.x:c*")
            same((p.returncode, p.stderr), (0, ""))
        else:
            lab.ok("-m", "target", "-o", "unbind", "-t", 1, "-Q", "iqn.x:c*")
        del maps[1]
        same(lab.state()["target:1"]["maps"], maps)
        if shutil.which("tgt-admin"):
            dump = lab.stock("--dump", prog="tgt-admin").stdout
            rules = [line.split()[1] for line in dump.splitlines() if "\tinitiator-" in line]
            same(rules, ["192.0.2.0/24", *(m["name"] for m in maps)])
        lab.ok("-m", "logicalunit", "-o", "delete", "-t", 1, "-l", 3)
        maps[0]["luns"].pop()
        maps[1]["luns"].pop()
        same(lab.state()["target:1"]["maps"], maps)
        lab.ok("-m", "logicalunit", "-o", "new", "-t", 1, "-l", 3, "-b", lab.file("d3"))
        same(lab.state()["target:1"]["maps"], maps)
        for m in maps:
            lab.ok("-m", "target", "-o", "unbind", "-t", 1, "-Q", m["name"], "-P", "luns")
            lab.ok("-m", "target", "-o", "unbind", "-t", 1, "-Q", m["name"])
        same(lab.state(), wanted)
        same(lab.ok("-m", "target", "-o", "show"), without)


@case("every parameter arrives at the gateway, and is there after a restart")
def _(lab):
    for name, value in (("MaxRecvDataSegmentLength", 65536), ("firstburstlength", 1 << 20),
                        ("MaxBurstLength", 1 << 20), ("InitialR2T", "Yes"), ("MaxQueueCmd", 64),
                        ("DataDigest", "CRC32C"), ("MaxConnections", 4), ("nop_count", 7),
                        ("state", "offline"), ("alias", "a name")):
        lab.ok("-m", "target", "-o", "update", "-t", 1, "-n", name, "-v", value)
    t = lab.state()["target:1"]
    same(t["params"], {"nop_interval": 0, "MaxRecvDataSegmentLength": 65536,
                       "FirstBurstLength": 1 << 20, "MaxBurstLength": 1 << 20, "InitialR2T": True,
                       "MaxQueueCmd": 64, "DataDigest": ["CRC32C"], "nop_count": 7})
    same((t["ready"], t["alias"]), (False, "a name"))
    lab.ok("-m", "logicalunit", "-o", "update", "-t", 1, "-l", 1, "-P",
           "vendor_id=ACME,product_id=DISK,product_rev=7,scsi_sn=123,readonly=1,removable=1,"
           "lbppbe=3,la_lba=1,optimal_xfer_gran=8,optimal_xfer_len=64,rotation_rate=1,"
           "thin_threshold=80,thin_provisioning=1,sense_format=1,mode_page=8:0:18:0x10" + ":0" * 17)
    lun = lab.state()["lun:1/1"]
    want = {"vendor": "ACME", "product": "DISK", "rev": "7", "serial": "123", "readonly": True,
            "removable": True, "lbppbe": 3, "la_lba": 1, "opt_xfer_gran": 8, "opt_xfer_len": 64,
            "rotation_rate": 1, "thin": True, "thin_threshold": 80, "sense_format": 1, "write_cache": False}
    same({k: lun[k] for k in want}, want)
    lab.ok("-m", "logicalunit", "-o", "update", "-t", 1, "-l", 1, "-P", "size=2g,write_cache=on")
    need("size=2147483648" in lab.state()["lun:1/1"]["kv"] and lab.state()["lun:1/1"]["write_cache"])
    need(lab.state()["lun:1/1"]["naa"] == lun["naa"], "the identity has changed")
    lab.ok("-m", "system", "-o", "update", "-n", "chap", "-v", "sha256,sha3-256")
    same(lab.state()["system"]["chap"], [7, 8])
    lab.ok("-m", "portal", "-o", "new", "-P", "portal=[::1]:3270")
    lab.ok("-m", "logicalunit", "-o", "new", "-t", 1, "-l", 4, "-E", "null", "-S", "size=1t")
    before, listing = lab.state(), lab.ok("-m", "target", "-o", "show")
    lab.kill_mgmtd()
    lab.start_mgmtd()
    same(lab.state(), before)
    same(lab.ok("-m", "target", "-o", "show"), listing)
    same(os.stat(lab.path("state")).st_mode & 0o777, 0o700)
    same(os.stat(lab.path("state/config.db")).st_mode & 0o777, 0o600)


@case("a full disk: the change is refused, taken back in the gateway, and later works")
def _(lab):
    before, pid = lab.state(), lab.mgmtd.pid
    size = os.path.getsize(lab.path("state/config.db-wal"))
    old = resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    refused = None
    for n in range(200):  # a log that was begun anew is filled up first
        p = lab.adm("-m", "target", "-o", "new", "-t", 50 + n, "-T", f"{IQN}full{n}")
        if p.returncode:
            refused = n
            break
        before = lab.state()
    need(refused is not None, "the limit was never reached")
    need(p.returncode == 22 and "cannot write the configuration store" in p.stderr, p.stderr)
    need(len(p.stderr.splitlines()) == 1, p.stderr)
    same(lab.state(), before)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, old)
    for n in range(refused):
        lab.ok("-m", "target", "-o", "delete", "-t", 50 + n)
    lab.ok("-m", "target", "-o", "new", "-t", 50, "-T", IQN + "full")
    lab.ok("-m", "target", "-o", "delete", "-t", 50)


@case("--json is JSON, without secrets")
def _(lab):
    for args in (("target", "show"), ("target", "show", "-t", 1), ("system", "show"),
                 ("account", "show"), ("portal", "show"), ("lld", "show"), ("system", "stat"),
                 ("target", "stat", "-t", 1), ("connection", "show", "-t", 1),
                 ("session", "stat", "-t", 1, "-s", 1)):
        out = lab.ok("-m", args[0], "-o", args[1], *args[2:], "--json")
        need(json.loads(out), out)
        need("secret1" not in out, out)
    versions = json.loads(lab.ok("-m", "system", "-o", "show", "-n", "version"))
    need(len(versions) == 20, f"{len(versions)} versions are kept")
    old = lab.ok("-m", "system", "-o", "show", "-n", "version", "-v", versions[-1]["version"])
    need("secret" not in old + lab.log() and json.loads(old)["account:joe"]["name"] == "joe", old)
    need(json.loads(old)["lun:1/1"]["serial"] != "123" or "lun:1/4" not in old, old)
    one = json.loads(lab.ok("-m", "target", "-o", "show", "--json"))["targets"][0]
    same((one["iqn"], one["sessions"][0]["initiator"]), (IQN + "a", "iqn.x:abc"))


@case("LUN 0 becomes a disk when the controller is deleted by force")
def _(lab):
    lab.ok("-m", "target", "-o", "new", "-t", 6, "-T", IQN + "f")
    lab.ok("-m", "logicalunit", "-o", "delete", "-t", 6, "-l", 0, "--force")
    lab.ok("-m", "logicalunit", "-o", "new", "-t", 6, "-l", 0, "-b", lab.file("zero"))
    out = lab.ok("-m", "target", "-o", "show")
    need("controller" not in out[out.index("Target 6:"):])
    lab.ok("-m", "target", "-o", "delete", "-t", 6)


@case("a LUN that is deleted and comes back on its path is the same disk")
def _(lab):
    disk, ident = lab.file("back"), ("naa", "serial", "scsi_id")

    def create(path):
        if "target:6" not in lab.state():
            lab.ok("-m", "target", "-o", "new", "-t", 6, "-T", IQN + "f")
        lab.ok("-m", "logicalunit", "-o", "new", "-t", 6, "-l", 2, "-b", path)
        return [lab.state()["lun:6/2"][k] for k in ident]

    first = create(disk)
    lab.ok("-m", "target", "-o", "delete", "-t", 6)
    need(not [k for k in lab.state() if k.startswith("former")], "the gateway was told")
    lab.kill_mgmtd()
    lab.start_mgmtd()
    same(create(disk), first)
    lab.ok("-m", "logicalunit", "-o", "delete", "-t", 6, "-l", 2)
    other = create(lab.file("otherdisk"))
    need(not set(other) & set(first), "another disk has the same identity")
    lab.ok("-m", "logicalunit", "-o", "delete", "-t", 6, "-l", 2)
    need(not set(create(disk)) & set(other))
    lab.ok("-m", "target", "-o", "delete", "-t", 6)


@case("hostile, slow and vanishing clients do not stall the others")
def _(lab):
    def client():
        s = socket.socket(socket.AF_UNIX)
        s.connect(lab.path("tgtd.socket.0"))
        s.settimeout(20)
        return s

    def header(length, mode=1, op=2):
        return struct.pack("=II64sIiQQIIIIII", mode, op, b"", length, -1, 0, 2**64 - 1,
                           0, 0, 0, 0, 0, 0)

    slow = [client() for _ in range(40)]
    for s in slow[:20]:
        s.sendall(header(500)[:77])
    for n in range(20):
        s = client()
        s.sendall(header(200)[:n * 6])
        s.close()
    for length in (0, 119, 8193, 2**32 - 1):
        with client() as s:
            s.sendall(header(length) + b"x" * 9000)
            same(struct.unpack("=II", s.recv(8, socket.MSG_WAITALL))[0], 17)
    for mode, op in ((8, 2), (1, 9), (2**31, 2**31)):
        with client() as s:
            s.sendall(header(120, mode, op))
            same(struct.unpack("=II", s.recv(8, socket.MSG_WAITALL))[0], 17)
    with client() as s:
        for b in header(126, 7, 1) + b"user=x":
            s.sendall(bytes([b]))
        same(struct.unpack("=II", s.recv(8, socket.MSG_WAITALL))[0], 15)
    start = time.monotonic()
    lab.ok("-m", "target", "-o", "show")
    need(time.monotonic() - start < 5, "the slow clients stall the daemon")
    for s in slow:
        s.close()


@case("a gateway that is away: show works, a change waits, then says so")
def _(lab):
    lab.kill_stub()
    lab.ok("-m", "target", "-o", "show")
    got = {}
    t = threading.Thread(target=lambda: got.update(p=lab.adm("-m", "target", "-o", "new", "-t", 7,
                                                             "-T", IQN + "g")))
    t.start()
    time.sleep(0.5)
    lab.start_stub()
    t.join()
    same((got["p"].returncode, got["p"].stderr), (0, ""))
    need("target:7" in lab.state())
    lab.kill_stub()
    waits = subprocess.Popen([BUILD + "/lgtadm", *"-m account -o new -u w -p topsecret".split()],
                             env=lab.env, stderr=subprocess.DEVNULL)
    with open(f"/proc/{waits.pid}/cmdline", "rb") as f:
        wait_for(lambda: f.seek(0) or b"-p\0*********\0" in f.read(), "the password is hidden")
    p = lab.adm("-m", "target", "-o", "delete", "-t", 7)
    same(waits.wait(20), 22)
    same((p.returncode, p.stderr), (22, "lgtadm: the gateway is not running\n"))
    need("Target 7:" in lab.ok("-m", "target", "-o", "show"))
    lab.start_stub()
    wait_for(lab.configured, "the gateway is configured again")
    need("target:7" in lab.state())
    lab.ok("-m", "target", "-o", "delete", "-t", 7)


@case("a gateway that refuses what is stored: changes are refused as ever, and it is said")
def _(lab):
    before = lab.state()
    with open(lab.path("stub.refuse"), "w", encoding="utf-8") as f:
        f.write(str(len(before)))
    lab.kill_mgmtd()
    lab.start_mgmtd(configured=False)
    wait_for(lambda: "objects are not wanted" in lab.ok("-m", "system", "-o", "show"),
             "system show says why")
    trouble = json.loads(lab.ok("-m", "system", "-o", "show", "--json"))["system"]["gateway"]
    same((trouble["configured"], trouble["trouble"]), (False, "this many objects are not wanted"))
    for line, part in (("logicalunit -o new -t 1 -l 50 -b /nonexistent", "cannot open /nonexistent"),
                       ("portal -o new -P portal=127.0.0.1:1", "address already in use"),
                       ("target -o delete -t 1", "still active")):
        p = lab.adm("-m", *line.split())
        need(p.returncode == 22 and part in p.stderr, f"{line}: {p.returncode} {p.stderr}")
    need("LUN: 50" not in lab.ok("-m", "target", "-o", "show"))
    os.unlink(lab.path("stub.refuse"))
    wait_for(lab.configured, "the gateway is configured")
    same(lab.state(), before)
    need("Trouble" not in lab.ok("-m", "system", "-o", "show"))


@case("a stored object of a wrong type: system show says what and why")
def _(lab):
    lab.kill_mgmtd()
    store("UPDATE object SET body=json_set(body,'$.ready',7) WHERE key='target:1'", lab)
    lab.start_mgmtd(configured=False)
    wait_for(lambda: "target:1: ready is not a boolean" in lab.ok("-m", "system", "-o", "show"),
             "system show says why")
    lab.ok("-m", "target", "-o", "show")
    lab.kill_mgmtd()
    store("UPDATE object SET body=json_set(body,'$.ready',json('false')) WHERE key='target:1'", lab)
    lab.start_mgmtd()


def store(sql, lab):
    db = sqlite3.connect(lab.path("state/config.db"))
    row = db.execute(sql).fetchone()
    db.commit()
    db.close()
    return row and row[0]


@case("a gateway that hangs holds nobody up")
def _(lab):
    os.kill(lab.stub.pid, signal.SIGSTOP)
    try:
        for _ in range(3):
            start = time.monotonic()
            lab.ok("-m", "target", "-o", "show")
            need(time.monotonic() - start < 3 * SCALE, "show waits for the gateway")
        wait_for(lambda: "did not answer" in lab.ok("-m", "system", "-o", "show") or
                 "does not answer" in lab.ok("-m", "system", "-o", "show"), "it is said")
    finally:
        os.kill(lab.stub.pid, signal.SIGCONT)
    wait_for(lab.configured, "the gateway is configured")


@case("a default portal whose port is in use is shown so")
def _(lab):
    with MgmtLab(args=("--portal", "127.0.0.1:1")) as other:
        out = other.ok("-m", "portal", "-o", "show")
        same(out, "Portal: 127.0.0.1:1,1\n    Trouble: cannot listen on 127.0.0.1:1: "
             "address already in use\n")
        one = json.loads(other.ok("-m", "portal", "-o", "show", "--json"))["portals"][0]
        need(one["trouble"].endswith("already in use"), one)
        same(other.log().count("address already in use"), 1)
        # Any other change is not kept from being made.
        other.ok("-m", "target", "-o", "new", "-t", 1, "-T", IQN + "a")
        other.ok("-m", "portal", "-o", "new", "-P", "portal=127.0.0.1:3261")


@case("stock tgt-admin: execute, show, dump, update, delete")
def _(lab):
    if not shutil.which("tgt-admin"):
        raise Skip("needs tgt-admin")
    conf, disk, image = lab.path("targets.conf"), lab.file("adm"), lab.file("adm.iso")
    text = (f"default-driver iscsi\n<target {IQN}adm>\n  <backing-store {disk}>\n"
            "    write-cache off\n    vendor_id ACME\n  </backing-store>\n"
            f"  <backing-store {image}>\n    device-type cd\n  </backing-store>\n"
            "  incominguser joe secret123456\n  initiator-address 192.0.2.0/24\n"
            "  MaxConnections 4\n  FirstBurstLength 131072\n</target>\n")

    def admin(*args):
        p = lab.stock(*args, prog="tgt-admin")
        need(p.returncode == 0, f"{args}: {p.stdout}{p.stderr}")
        return p.stdout

    def write(content):
        with open(conf, "w", encoding="utf-8") as f:
            f.write(content)

    write(text)
    admin("--execute", "-c", conf)
    show = admin("--show")
    need(f": {IQN}adm" in show and disk in show and "192.0.2.0/24" in show, show)
    lun = [o for o in lab.state().values() if o["key"].startswith("lun:") and disk in str(o["kv"])]
    same((lun[0]["vendor"], lun[0]["write_cache"]), ("ACME", False))
    need("Type: cd/dvd" in show, show)
    cd = [o for o in lab.state().values() if o["key"].startswith("lun:") and image in str(o["kv"])][0]
    same((cd["type"], cd["block_size"], cd["readonly"], cd["removable"]), ("cd", 2048, True, True))
    need(f"<target {IQN}adm>" in admin("--dump"))
    write(text.replace("192.0.2.0/24", "198.51.100.0/24"))
    admin("--update", IQN + "adm", "-c", conf)
    need("198.51.100.0/24" in admin("--show"))
    admin("--delete", IQN + "adm")
    need(IQN + "adm" not in admin("--show"))


@case("a second daemon on the same socket ends with a sentence")
def _(lab):
    p = subprocess.run([BUILD + "/lichgate-mgmtd", "-f"], env=lab.env, capture_output=True,
                       text=True, timeout=30, check=False)
    need(p.returncode == 1 and "another daemon is using" in p.stderr, p.stderr)
    for args in (["--portal", "banana", "-C", "5"], ["-C", "x"], ["extra"], ["--bogus"]):
        env = dict(lab.env, LGT_STATE_DIR=lab.path("other"))
        p = subprocess.run([BUILD + "/lichgate-mgmtd", "-f", *args], env=env, capture_output=True,
                           text=True, timeout=30, check=False)
        need(p.returncode == 1 and p.stderr, f"{args}: {p.returncode}")


@case("in the background the daemon's messages are not lost")
def _(_lab):
    if os.path.exists("/run/systemd/journal/stdout"):
        raise Skip("they are in the journal")
    with tempfile.TemporaryDirectory() as place:
        env = dict(os.environ, LGT_RUN_DIR=place, LGT_STATE_DIR=place + "/state")
        env.pop("TGT_IPC_SOCKET", None)
        subprocess.run([BUILD + "/lichgate-mgmtd"], env=env, check=True, timeout=30 * SCALE,
                       stderr=subprocess.DEVNULL)
        subprocess.run([BUILD + "/lgtadm", *"-m system -o delete".split()], env=env, check=True,
                       timeout=30 * SCALE)
        wait_for(lambda: "gateway" in open(place + "/lichgate-mgmtd.log", encoding="utf-8").read(),
                 "the log has lines")


@case("system delete ends the daemon when no target is left")
def _(lab):
    for t in json.loads(lab.ok("-m", "target", "-o", "show", "--json"))["targets"]:
        lab.ok("-m", "target", "-o", "delete", "-t", t["tid"], "--force")
    lab.ok("-m", "system", "-o", "delete")
    need(lab.stub.poll() is not None, "the gateway still runs")
    same(lab.mgmtd.wait(10), 0)
    same(lab.adm("-m", "system", "-o", "show").returncode, 107)


with MgmtLab() as lab_:
    failed = run(lab_)
sys.exit(failed)
