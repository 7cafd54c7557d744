# SPDX-License-Identifier: BSD-3-Clause
"""Those who compete. Each server runs on the target's core from the start to the end, asleep while others are measured."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import lab as L

import _plan as P

LEAN = os.path.join(L.BUILD, "tests/bench/lean")
LIMIT = os.path.join(L.BUILD, "tests/bench/limit")
IQN = "iqn.2026-11.org.example:t1"


class Contender:
    def __init__(self, name, url, pid, client=None):
        self.name, self.url, self.pid = name, url, pid
        # CPU of the client; None: wherever there is room.
        self.client = client


class Field:
    """All contenders that this machine can have; .missing says why it has not the others."""

    def __init__(self, cpus, size, folder=None):
        self.target, self.client = cpus
        self.size, self.folder = size, folder
        self.all, self.missing, self.urls, self.undo = {}, {}, [], []

    def __enter__(self):
        try:
            self.dir = self.temp(self.folder or L.BUILD)
            self.shm = self.file(self.temp("/dev/shm"), "shm")
            self.disk = self.file(self.dir, "disk")
            self.start_limit()
            self.start_lichgate()
            self.start_tgt()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        while self.undo:
            self.undo.pop()()

    def temp(self, where):
        path = tempfile.mkdtemp(prefix="lgt-bench.", dir=where)
        self.undo.append(lambda: shutil.rmtree(path, ignore_errors=True))
        return path

    def file(self, folder, name):
        """Written through once: no contender meets a hole."""
        path = os.path.join(folder, name)
        with open(path, "wb") as f:
            for _ in range(self.size >> 20):
                f.write(b"\x5a" * (1 << 20))
        return path

    def add(self, name, url, pid, client=-1):
        self.all[name] = Contender(name, url, pid, self.client if client == -1 else client)

    def add_url(self, spec):
        """[NAME[:PID]=]iscsi://…"""
        name, _, url = spec.partition("=iscsi:")
        name, url = (name, "iscsi:" + url) if url else (spec, spec)
        name, _, pid = name.partition(":") if url != spec else (name, "", "")
        self.add(name, url, int(pid) if pid else None)
        self.urls.append(name)

    def guests(self, names):
        """The further contenders take part wherever something is compared with a limit."""
        return self.urls if any(n in (P.LIMIT, P.LIMIT_FILE) for n in names) else []

    # The limit

    def start_limit(self):
        for name, args in ((P.LIMIT, []), (P.LIMIT_FILE, ["--file", self.shm]),
                           (P.LIMIT_DISK, ["--file", self.disk])):
            port = L.free_port()
            proc = subprocess.Popen([LIMIT, "--port", str(port), "--cpu", str(self.target), *args])
            self.undo.append(lambda p=proc: (p.kill(), p.wait()))
            self.wait_port(port, proc)
            self.add(name, f"iscsi://127.0.0.1:{port}/{IQN}/1", proc.pid)

    @staticmethod
    def wait_port(port, proc):
        for _ in range(200):
            with L.socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    return
            if proc.poll() is not None:
                break
            time.sleep(0.05)
        raise L.Refused(proc.args, proc.poll(), "", "it does not listen")

    # The gateway

    def lab(self, args, cores, path=None):
        """With a null LUN 2, and path as LUN 1: a gateway shares no file with another."""
        lab = L.Lab(gateway_args=["--cores", cores, *args], start=False)
        lab.gateway.argv = ["taskset", "-c", cores, *lab.gateway.argv]
        lab.__enter__()
        self.undo.append(lambda: lab.__exit__(None, None, None))
        lab.start()
        lab.target(1)
        if path:
            lab.lun(1, 1, path)
        lab.lun(1, 2, "null", "null")
        return lab

    def start_lichgate(self):
        core = str(self.target)
        usage = subprocess.run([os.path.join(L.BUILD, "lichgated"), "--help"], capture_output=True, text=True,
                               check=False).stdout
        plain = self.lab([], core, self.shm)
        plain.lun(1, 3, self.disk)
        pid = plain.gateway.proc.pid
        self.add(P.NULL, plain.url(1, 2), pid)
        self.add(P.SHM, plain.url(1, 1), pid)
        self.add(P.DISK, plain.url(1, 3), pid)
        poll = self.lab(["--poll-us", "50"], core)
        self.add(P.POLL, poll.url(1, 2), poll.gateway.proc.pid)
        # Two cores for the gateway, the rest for the client.
        wide = self.lab([], f"{self.target},{self.client}")
        rest = sorted(os.sched_getaffinity(0))[2:]
        self.add(P.WIDE, wide.url(1, 2), wide.gateway.proc.pid, rest[0] if rest else None)
        if "epoll" not in usage:
            self.missing[P.EPOLL_NULL] = self.missing[P.EPOLL_SHM] = "lichgated has no engine epoll"
            return
        epoll = self.lab(["--engine", "epoll"], core, self.file(os.path.dirname(self.shm), "shm2"))
        self.add(P.EPOLL_NULL, epoll.url(1, 2), epoll.gateway.proc.pid)
        self.add(P.EPOLL_SHM, epoll.url(1, 1), epoll.gateway.proc.pid)

    # Debian's tgt

    def start_tgt(self):
        if not shutil.which("tgtd"):
            self.missing[P.TGT_NULL] = self.missing[P.TGT_SHM] = "tgt is not installed"
            return
        port = L.free_port()
        env = dict(os.environ, TGT_IPC_SOCKET=os.path.join(self.temp("/tmp"), "sock"))
        proc = subprocess.Popen(["taskset", "-c", str(self.target), "tgtd", "-f", "--iscsi",
                                 f"portal=127.0.0.1:{port}"], env=env, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        # With targets configured it does not end at SIGTERM.
        self.undo.append(lambda: (proc.kill(), proc.wait()))
        self.wait_port(port, proc)

        def op(mode, what, *args):
            subprocess.run(["tgtadm", "--lld", "iscsi", "--mode", mode, "--op", what, "--tid", "1", *args],
                           env=env, check=True, stdout=subprocess.DEVNULL)
        op("target", "new", "--targetname", IQN)
        op("logicalunit", "new", "--lun", "1", "--backing-store", self.shm)
        op("logicalunit", "new", "--lun", "2", "--bstype", "null", "--backing-store", "/dev/null")
        op("target", "bind", "--initiator-address", "ALL")
        self.add(P.TGT_SHM, f"iscsi://127.0.0.1:{port}/{IQN}/1", proc.pid)
        self.add(P.TGT_NULL, f"iscsi://127.0.0.1:{port}/{IQN}/2", proc.pid)
