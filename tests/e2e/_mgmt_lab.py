# SPDX-License-Identifier: BSD-3-Clause
"""The management daemon in a private directory, with a stub for a gateway (_mgmt_stub.py)."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("LGT_BUILD", os.path.abspath("build"))
SCALE = int(os.environ.get("LGT_SCALE", "1"))
STUB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_mgmt_stub.py")
REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "ThreadSanitizer", "runtime error:")


def wait_for(what, why, secs=20):
    end = time.monotonic() + secs * SCALE
    while time.monotonic() < end:
        got = what()
        if got:
            return got
        time.sleep(0.02)
    raise AssertionError("timed out: " + why)


class MgmtLab:
    def __init__(self, gateway=True, args=("--portal", "127.0.0.1:3260")):
        self.dir = tempfile.mkdtemp(prefix="lgt-mgmt.")
        self.args = args
        self.env = dict(os.environ, LGT_RUN_DIR=self.dir, LGT_STATE_DIR=self.path("state"))
        self.env.pop("TGT_IPC_SOCKET", None)
        self.stock_env = dict(self.env, TGT_IPC_SOCKET=self.path("tgtd.socket"))
        self.stub = self.mgmtd = None
        self.with_gateway = gateway

    def path(self, name):
        return os.path.join(self.dir, name)

    def __enter__(self):
        try:
            if self.with_gateway:
                self.start_stub()
            self.start_mgmtd()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind, value, trace):
        code = self.stop(self.mgmtd)
        self.stop(self.stub)
        log = self.log()
        shutil.rmtree(self.dir, ignore_errors=True)
        if kind or any(r in log for r in REPORTS):
            print(log[-6000:])
        if not kind and any(r in log for r in REPORTS):
            raise AssertionError("a sanitizer report of lichgate-mgmtd")
        if not kind and code:
            raise AssertionError(f"lichgate-mgmtd ended with {code}")

    @staticmethod
    def stop(proc):
        if proc is None:
            return 0
        proc.terminate()
        return proc.wait(30)

    def start_stub(self):
        self.stub = subprocess.Popen([sys.executable, STUB, self.dir], env=self.env)
        wait_for(lambda: os.path.exists(self.path("gateway.sock")), "the stub listens")

    def kill_stub(self):
        self.stub.kill()
        self.stub.wait()
        self.stub = None
        os.unlink(self.path("gateway.sock"))

    def start_mgmtd(self, ready=True, configured=True):
        with open(self.path("mgmtd.log"), "ab") as log:
            self.mgmtd = subprocess.Popen([BUILD + "/lichgate-mgmtd", "-f", *self.args],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          env=self.env)
        if ready:
            wait_for(lambda: self.adm("-m", "system", "-o", "show").returncode == 0,
                     "lichgate-mgmtd answers")
            if self.stub and configured:
                wait_for(self.configured, "the gateway is configured")

    def kill_mgmtd(self):
        self.mgmtd.kill()
        self.mgmtd.wait()
        self.mgmtd = None

    def configured(self):
        p = self.adm("-m", "system", "-o", "show", "--json")
        return p.returncode == 0 and json.loads(p.stdout)["system"]["gateway"]["configured"]

    def log(self):
        try:
            with open(self.path("mgmtd.log"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def adm(self, *args):
        return subprocess.run([BUILD + "/lgtadm", *[a if isinstance(a, bytes) else str(a)
                                                      for a in args]], env=self.env, text=True,
                              capture_output=True, timeout=60 * SCALE, check=False)

    def ok(self, *args):
        p = self.adm(*args)
        if p.returncode or p.stderr:
            raise AssertionError(f"{args}: exit {p.returncode} {p.stderr}")
        return p.stdout

    def stock(self, *args, prog="tgtadm"):
        return subprocess.run([prog, *map(str, args)], env=self.stock_env, text=True,
                              capture_output=True, timeout=120 * SCALE, check=False)

    def file(self, name, size=1 << 20):
        path = self.path(name)
        with open(path, "wb") as f:
            f.truncate(size)
        return path

    def state(self):
        """What the gateway has."""
        with open(self.path("stub.state"), encoding="utf-8") as f:
            return json.load(f)

    def calls(self):
        with open(self.path("stub.log"), encoding="utf-8") as f:
            return f.read().splitlines()

    def applies(self):
        return [c for c in self.calls() if c.startswith("apply")]

    def sessions(self, *sessions):
        with open(self.path("stub.sessions"), "w", encoding="utf-8") as f:
            json.dump(sessions, f)
