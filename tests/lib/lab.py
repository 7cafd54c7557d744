#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A gateway of one's own: both daemons in a private directory, on a free port of 127.0.0.1.

    with Lab() as lab:
        lab.target(1)
        lab.lun(1, 1, path=lab.file("disk", "64M"))
        lab.run("iscsi-ls", "-s", lab.portal_url())

Leaving the block stops the daemons by their pids, and fails if one of them had ended by itself, ended in an error, or left
a sanitizer report. LGT_ENGINE=NAME has the gateway run with --engine NAME. LGT_LAB=tgt runs Debian's tgtd instead, for a
look at the reference.

As a program: `lab.py COMMAND…` runs COMMAND with the environment of a fresh lab (LGT_RUN_DIR, TGT_IPC_SOCKET, PORTAL).
"""
import glob
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("LGT_BUILD", os.path.abspath("build"))
SCALE = int(os.environ.get("LGT_SCALE", "1"))
STANDIN = os.environ.get("LGT_LAB") == "tgt"
ENGINE = ["--engine", os.environ["LGT_ENGINE"]] if os.environ.get("LGT_ENGINE") else []
IQN = "iqn.2026-11.org.example:t"
READY_SECS = 20 * SCALE
STOP_SECS = 20 * SCALE

# Addresses of a report, whichever sanitizer wrote it.
REPORT_WORDS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:")


class Refused(Exception):
    """An administrator's command ended in an error."""

    def __init__(self, args, code, out, err):
        super().__init__(f"{' '.join(args)}: exit {code}\n{out}{err}")
        self.code, self.out, self.err = code, out, err


def free_port():
    """Below the range that the kernel hands to clients, who could take it while a gateway restarts."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def wait_for(what, secs, why):
    end = time.monotonic() + secs
    while time.monotonic() < end:
        got = what()
        if got:
            return got
        time.sleep(0.05)
    raise AssertionError(f"not within {secs} s: {why}")


class Daemon:
    def __init__(self, lab, name, argv):
        self.lab, self.name, self.argv = lab, name, argv
        self.proc = None
        self.log = os.path.join(lab.dir, name + ".log")

    def start(self):
        env = dict(self.lab.env)
        for var in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            if os.environ.get("LGT_SAN"):
                path = os.path.join(self.lab.dir, "san." + self.name)
                env[var] = ":".join(filter(None, [os.environ.get(var), "log_path=" + path]))
        with open(self.log, "ab") as log:
            self.proc = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log,
                                         stderr=subprocess.STDOUT, env=env, cwd=self.lab.dir,
                                         start_new_session=self.lab.detached)

    def alive(self):
        return self.proc is not None and self.proc.poll() is None

    def kill(self):
        """As a crash does it: no warning."""
        self.proc.kill()
        self.proc.wait()
        self.proc = None

    def stop(self):
        """Politely; returns what is wrong with how it ended, or None."""
        if self.proc is None:
            return None
        code = self.proc.poll()
        if code is not None:
            self.proc = None
            return f"{self.name} had ended by itself with {code}"
        if STANDIN:
            # With targets configured it does not end at SIGTERM.
            self.kill()
            return None
        self.proc.terminate()
        try:
            code = self.proc.wait(STOP_SECS)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            code = None
        self.proc = None
        if code is None:
            return f"{self.name} did not end within {STOP_SECS} s of SIGTERM"
        return f"{self.name} ended with {code} after SIGTERM" if code else None


class Lab:
    def __init__(self, gateway_args=(), mgmtd_args=(), portal=None, start=True, keep=None, detached=False):
        """detached: a Ctrl-C at the terminal reaches this process only."""
        self.detached = detached
        self.keep = keep
        self.dir = keep or tempfile.mkdtemp(prefix="lgt-lab.")
        os.makedirs(self.dir, exist_ok=True)
        self.port = free_port()
        self.portal = portal or f"127.0.0.1:{self.port}"
        self.env = dict(os.environ, LGT_RUN_DIR=self.path("run"), LGT_STATE_DIR=self.path("state"),
                        TGT_IPC_SOCKET=self.path("tgt.sock"), PORTAL=self.portal)
        for sub in ("run", "state"):
            os.makedirs(self.path(sub), mode=0o700, exist_ok=True)
        self.begin = start
        if STANDIN:
            self.tadm_path = "tgtadm"
            self.gateway = Daemon(self, "tgtd", ["tgtd", "-f", "--iscsi", f"portal={self.portal}"])
            self.mgmtd = None
        else:
            self.tadm_path = os.path.join(BUILD, "lgtadm")
            self.gateway = Daemon(self, "lichgated", [os.path.join(BUILD, "lichgated"), "-f", *ENGINE, *gateway_args])
            self.mgmtd = Daemon(self, "lichgate-mgmtd", [os.path.join(BUILD, "lichgate-mgmtd"), "-f",
                                                         "--portal", self.portal, *mgmtd_args])

    def path(self, *names):
        return os.path.join(self.dir, *names)

    @property
    def daemons(self):
        return [d for d in (self.gateway, self.mgmtd) if d]

    # Life

    def __enter__(self):
        try:
            if self.begin:
                self.start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, value, trace):
        wrong = [w for w in (d.stop() for d in reversed(self.daemons)) if w] + self.reports()
        if kind or wrong:
            self.show_logs()
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)
        if wrong and not kind:
            raise AssertionError("; ".join(wrong))

    def start(self):
        if not self.gateway.alive():
            # The kernel closes the sockets of a killed io_uring a moment after the process has gone.
            wait_for(lambda: not self.listens(), READY_SECS, "the port is free")
        for d in self.daemons:
            if not d.alive():
                d.start()
        self.wait_ready()

    def wait_ready(self):
        """Configured, and listening."""
        def ready():
            for d in self.daemons:
                if d.proc is not None and d.proc.poll() is not None:
                    raise AssertionError(f"{d.name} ended with {d.proc.returncode} at its start")
            return self.tadm_code("--mode", "system", "--op", "show") == 0 and self.listens()
        wait_for(ready, READY_SECS, "the daemons are ready")

    def listens(self):
        host, _, port = self.portal.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), 1).close()
        except OSError:
            return False
        return True

    def reports(self):
        found = []
        for path in glob.glob(self.path("san.*")) + [d.log for d in self.daemons]:
            if not os.path.exists(path):
                continue
            with open(path, encoding="utf-8", errors="replace") as f:
                text = f.read()
            if any(w in text for w in REPORT_WORDS):
                if path.endswith(".log"):
                    found.append(f"{os.path.basename(path)} has a sanitizer report")
                else:
                    print(text)
                    found.append(f"sanitizer report of {os.path.basename(path)[4:]}")
        return found

    def show_logs(self):
        for d in self.daemons:
            if os.path.exists(d.log):
                with open(d.log, encoding="utf-8", errors="replace") as f:
                    for line in f.read().splitlines()[-60:]:
                        print(f"[{d.name}] {line}")

    # Administration

    def tadm(self, *args):
        """Runs lgtadm; returns what it printed, or raises Refused."""
        argv = [self.tadm_path, *map(str, args)]
        p = subprocess.run(argv, env=self.env, capture_output=True, text=True, timeout=30 * SCALE, check=False)
        if p.returncode:
            raise Refused(argv, p.returncode, p.stdout, p.stderr)
        return p.stdout

    def tadm_code(self, *args):
        try:
            self.tadm(*args)
            return 0
        except Refused as r:
            return r.code

    def op(self, mode, op, *args):
        return self.tadm("--lld", "iscsi", "--mode", mode, "--op", op, *args)

    def target(self, tid, iqn=None, acl="ALL"):
        self.op("target", "new", "--tid", tid, "--targetname", iqn or self.iqn(tid))
        if acl:
            self.op("target", "bind", "--tid", tid, "--initiator-address", acl)

    def lun(self, tid, lun, path, bstype=None, *args):
        kind = ["--bstype", bstype] if bstype else []
        self.op("logicalunit", "new", "--tid", tid, "--lun", lun, "--backing-store", path, *kind, *args)

    def account(self, user, password, tid, outgoing=False):
        self.op("account", "new", "--user", user, "--password", password)
        self.op("account", "bind", "--tid", tid, "--user", user, *(["--outgoing"] if outgoing else []))

    def show(self, tid=None):
        return self.op("target", "show", *(["--tid", tid] if tid else []))

    # What initiators need

    def iqn(self, tid=1):
        return f"{IQN}{tid}"

    def portal_url(self):
        return f"iscsi://{self.portal}"

    def url(self, tid=1, lun=1, user=""):
        return f"iscsi://{user + '@' if user else ''}{self.portal}/{self.iqn(tid)}/{lun}"

    def file(self, name, size):
        path = self.path(name)
        with open(path, "wb") as f:
            f.truncate(bytes_of(size))
        return path

    def run(self, *argv, timeout=60, env=None, check=True):
        """Runs a tool to its end; returns the CompletedProcess, or raises if it failed."""
        p = subprocess.run(list(map(str, argv)), env=dict(self.env, **(env or {})), stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, errors="replace", timeout=timeout * SCALE, check=False)
        if check and p.returncode:
            raise AssertionError(f"{' '.join(map(str, argv))}: exit {p.returncode}\n{p.stdout}{p.stderr}")
        return p


def bytes_of(size):
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    text = str(size)
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def built():
    """Whether there is something to test."""
    return STANDIN or all(os.access(os.path.join(BUILD, p), os.X_OK)
                          for p in ("lichgated", "lichgate-mgmtd", "lgtadm"))


def require_built():
    if not built():
        print(f"the programs are not in {BUILD}")
        sys.exit(77)


def main():
    with Lab() as lab:
        sys.stdout.flush()
        code = subprocess.run(sys.argv[1:], env=lab.env, check=False).returncode
    sys.exit(code)


if __name__ == "__main__":
    main()
