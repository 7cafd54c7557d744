#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: timeout=300
"""The console's menu at a terminal: choices, secrets that are not shown, a network that goes back, and input of all sorts."""
import os
import pty
import random
import select
import signal
import sys
import time

from _root import TOP, command, everything, get, path, put
from _setup import calls, exists, machine, program, settings

from tap import case, need, run  # noqa: E402 (_root sets the path)

from appliance import Refused, console, network  # noqa: E402
from appliance import settings as form  # noqa: E402

SECS = 60
PASSWORD = "correct horse"


class Terminal:
    def __init__(self):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(os.path.join(TOP, "appliance-image"))
            # As a shell has it for what it starts in the background.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            os.execv(sys.executable, [sys.executable, "-Bm", "appliance", "console"])
        self.seen = ""

    def expect(self, *words):
        """Waits until each word has come, in this order; returns what came with the last."""
        said = ""
        for word in words:
            end = time.monotonic() + SECS
            while word not in self.seen:
                need(select.select([self.fd], [], [], max(0, end - time.monotonic()))[0],
                     f"{word!r} does not come: {self.seen[-600:]}")
                self.seen += os.read(self.fd, 4096).decode("utf-8", "replace")
            said, _, self.seen = self.seen.partition(word)
        return said

    def type(self, *lines):
        for line in lines:
            os.write(self.fd, line if isinstance(line, bytes) else line.encode() + b"\n")

    def menu(self):
        """From the banner."""
        self.expect("Press Enter")
        self.type("")
        self.expect("Choice: ")

    def end(self):
        """The line hangs up; the exit code."""
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@case("every menu opens, and 0 leads back")
def _():
    t = Terminal()
    t.menu()
    for choice in ("2", "3", "4", "5", "6", "7", "9", "11"):
        t.type(choice)
        said = t.expect("0  back", "Choice: ")
        t.type("0")
        t.expect("status", "Choice: ")
        need(not any(len(line) > 80 for line in said.splitlines()), said)
    t.type("8")
    t.expect("called health", "Choice: ")
    t.type("7", "1", "--help")
    t.expect("called update -- --help", "Choice: ")
    t.type("1")
    t.expect("Targets:   none", "SSH:       off", "Choice: ")
    need(t.end() == 0)


@case("disks become LUNs of a new target with CHAP; the password is not shown")
def _():
    calls()
    t = Terminal()
    t.menu()
    t.type("5")
    need("N1  free" in t.expect("Choice: "))
    for answer, then in (("2", "Choice: "), ("1", "Name"), ("d1", "Type yes"), ("yes", "done")):
        t.type(answer)
        t.expect(then)
    made = [c for c in calls() if c.startswith("lgtadm")]
    name = settings()["iqn_base"] + ":d1"
    need(made[0].endswith(f"-T {name}") and sum("logicalunit" in c for c in made) == 2, made)
    t.type("0")
    t.expect("Choice: ")
    t.type("3")
    t.expect("Choice: ")
    t.type("1")
    t.expect("New password")
    t.type(PASSWORD)
    t.expect("Again")
    t.type(PASSWORD)
    need(PASSWORD not in t.expect("set", "Choice: "))
    need(PASSWORD not in t.seen and exists("var/lib/appliance/ssh-enabled"))
    need(t.end() == 0)


@case("settings that cannot be read do not end it")
def _():
    was = get("var/lib/appliance/settings.json")
    for name in ("settings", "applied"):
        put(f"var/lib/appliance/{name}.json", "{")
    t = Terminal()
    t.expect("cannot be read", "Press Enter")
    need(t.end() == 0)
    put("var/lib/appliance/settings.json", was)
    os.unlink(path("var/lib/appliance/applied.json"))


@case("once there is a password it is asked for")
def _():
    t = Terminal()
    t.expect("Press Enter")
    t.type("")
    t.expect("Password: ")
    t.type(PASSWORD)
    t.expect("Choice: ")
    t.type("0")
    t.expect("Press Enter")
    t.type("")
    t.expect("Password: ")
    t.type("wrong horse")
    t.expect("not the password", "Press Enter")
    need(t.end() == 0)
    os.environ["SSH_CONNECTION"] = "SSH has asked already"


@case("a network that is not confirmed goes back, also when the line hangs up")
def _():
    for how in ("no", b"\x03", b"\x04", None):
        t = Terminal()
        t.menu()
        for answer, then in (("2", "Choice: "), ("3", "which"), ("eth0", "number"), ("9999", "Name"), ("", "DHCP"),
                             ("y", "Not done: 9999 is not a number from 1 to 4094"), ("2", "Choice: "), ("3", "which"),
                             ("eth9", "Not done: there is no port eth9"), ("2", "Choice: "), ("3", "which"),
                             ("eth0", "number"), ("5", "Name"), ("", "DHCP"), ("y", "Type yes"), ("yes", "Keep them?")):

            t.type(answer)
            t.expect(then)
        need(os.listdir(path("etc/systemd/network")) and exists("var/lib/appliance/network-trial.json"))
        if how:
            t.type(how)
            t.expect("Choice: ")
        need(t.end() == 0)
        need(not os.listdir(path("etc/systemd/network")) and not exists("var/lib/appliance/network-trial.json"), how)
        need("network" not in settings(), how)


@case("a network for which nobody says anything goes back")
def _():
    silent, _ = os.pipe()
    stdin, sys.stdin = sys.stdin, os.fdopen(silent)
    limit, console.CONFIRM_SECS = console.CONFIRM_SECS, 0.1
    try:
        term = console.Terminal()
        term.sure = lambda question: True
        console.try_network(term, form.NETWORK({"interfaces": [{"name": "eth0"}]}, "network"))
    finally:
        sys.stdin, console.CONFIRM_SECS = stdin, limit
    need(limit == 60 and "network" not in settings() and not os.listdir(path("etc/systemd/network")))


@case("^C once more does not keep the old network from coming back")
def _():
    calls()
    was = get("bin/systemctl").decode()
    # The second ^C comes while networkd is told of the old settings.
    program("systemctl", was.replace("#!/bin/sh\n", "#!/bin/sh\n[ ! -e \"$LICHGATE_ROOT/again\" ] || kill -INT $PPID\n"))

    def confirmed():
        put("again", "")
        raise KeyboardInterrupt
    try:
        network.change(form.NETWORK({"interfaces": [{"name": "eth0"}]}, "network"), confirmed)
    except KeyboardInterrupt:
        pass
    finally:
        program("systemctl", was)
        os.unlink(path("again"))
    said = [c for c in calls() if c.startswith("systemctl restart")]
    need(len(said) == 2 and not exists("var/lib/appliance/network-trial.json"), said)
    need(not os.listdir(path("etc/systemd/network")))


@case("a second console waits with the network until the first has an answer")
def _():
    def confirmed():
        before = everything()
        try:
            network.change(form.NETWORK({"interfaces": [{"name": "eth1"}]}, "network"), lambda: True)
        except Refused as why:
            need("somebody else" in str(why) and everything() == before, str(why))
            return False
        raise AssertionError("both try")
    need(not network.change(form.NETWORK({"interfaces": [{"name": "eth0"}]}, "network"), confirmed))
    need("network" not in settings())


@case("a network that is confirmed stays")
def _():
    t = Terminal()
    t.menu()
    for answer, then in (("2", "Choice: "), ("2", "Port"), ("52:54:00:00:00:02", "Address"), ("192.0.2.5/24", "Gateway"),
                         ("192.0.2.1", "Type yes"), ("yes", "Keep them?"), ("yes", "kept")):
        t.type(answer)
        t.expect(then)
    need(settings()["network"]["interfaces"][0]["addresses"] == ["192.0.2.5/24"])
    files = [get(f"etc/systemd/network/{n}").decode() for n in os.listdir(path("etc/systemd/network"))]
    need(len(files) == 1 and "MACAddress=52:54:00:00:00:02" in files[0], files)
    need(t.end() == 0)


@case("a secret keeps its blanks, an answer does not")
def _():
    here, there = os.pipe()
    os.write(there, b" two words \n two words \n")
    stdin, sys.stdin = sys.stdin, os.fdopen(here)
    try:
        term = console.Terminal()
        need((term.secret(""), term.ask("")) == (" two words ", "two words"))
    finally:
        sys.stdin = stdin
        os.close(there)


@case("^C does not shorten the wait after a wrong password")
def _():
    class Guess:
        def secret(self, prompt):
            return "wrong horse"

    def wait(secs):
        os.kill(os.getpid(), signal.SIGINT)
        waited.append(secs)
    waited = []
    asked = os.environ.pop("SSH_CONNECTION")
    sleep, time.sleep = time.sleep, wait
    try:
        console.log_in(Guess())
    except KeyboardInterrupt:
        pass
    finally:
        time.sleep, os.environ["SSH_CONNECTION"] = sleep, asked
    need(waited == [console.LOCK_SECS])


@case("^C ends a command with one sentence")
def _():
    t = Terminal()
    t.menu()
    program("lichgate-appliance", f'#!/bin/sh\ncd {TOP}/appliance-image && exec {sys.executable} -Bm appliance "$@"\n')
    put("usr/sbin/smartctl", '#!/bin/sh\necho asked >/dev/tty\nexec sleep 60\n')
    os.chmod(path("usr/sbin/smartctl"), 0o700)
    t.type("8")
    t.expect("asked")
    t.type(b"\x03")
    said = t.expect("Choice: ")
    need("lichgate-appliance health: interrupted" in said and "Traceback" not in said, said)
    need(t.end() == 0)


@case("no input ends or stops it")
def _():
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    chance = random.Random(seed)
    t = Terminal()
    t.expect("Press Enter")
    for _ in range(40):
        # Not 10 and 11, the shell and the switch.
        what = chance.choice([b"\x03", b"\x04", b"\x1a", b"\x1c", b"\n", b"0\n", b"q\n", bytes(chance.choices(range(256), k=40)),
                              b"9" * 3000 + b"\n", f"{chance.randrange(-1, 10)}\n".encode(), b"\xc3\x28\n"])
        os.write(t.fd, what.replace(b"10", b"").replace(b"11", b""))
        while select.select([t.fd], [], [], 0.02)[0]:
            t.seen += os.read(t.fd, 65536).decode("utf-8", "replace")
    # ^Q: what the noise may have stopped goes on.
    t.seen = ""
    t.type(b"\x11\x03", b"\n")
    t.expect(":")
    need(os.waitpid(t.pid, os.WNOHANG) == (0, 0), "it has ended")
    os.kill(t.pid, signal.SIGHUP)
    need(t.end() == 0)


# Whoever started this may have ignored it.
signal.signal(signal.SIGINT, signal.default_int_handler)
machine()
program("lichgate-appliance", '#!/bin/sh\necho "called $*"\n')
command("first-boot")
sys.exit(run())
