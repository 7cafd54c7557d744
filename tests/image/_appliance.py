# SPDX-License-Identifier: BSD-3-Clause
"""
A machine with the appliance's image on its first disk, under QEMU.

    with Appliance(disks=[("virtio", "64M"), ("nvme", "64M")]) as box:
        box.esp_write("appliance.json", text)
        box.start()
        box.wait_portal()
        box.sh("lgtadm --mode target --op show")
        box.console.expect("Press Enter")
        box.cut()            # the power; start() again after it

The image is that of `make image`; each machine has a copy of its own. A root shell for the test listens on the second serial
port: the copy's boot.cfg asks systemd for it. The first serial port is the appliance's console.
"""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.insert(0, os.path.join(TOP, "tests/lib"))
sys.path.insert(0, os.path.join(TOP, "tests/vm"))
import _guest  # noqa: E402
from _guest import Monitor  # noqa: E402
from lab import bytes_of, free_port, wait_for  # noqa: E402

IMAGE_DIR = os.environ.get("LGT_IMAGE_DIR", os.path.join(TOP, "build/image"))
OVMF = "/usr/share/OVMF"
# Emulated and on a loaded machine: limits, not expectations.
BOOT_SECS = 1200
SHELL_SECS = 120
END_SECS = 180
# The test's shell; and the kernel is not to look at its timer, which comes late while the emulated machine's host is busy.
ARGUMENTS = "systemd.debug_shell=ttyS1 no_timer_check"


def output(ending):
    """The newest of `make image`'s outputs with that ending; without one the test is skipped."""
    found = [os.path.join(IMAGE_DIR, n) for n in os.listdir(IMAGE_DIR) if re.fullmatch(rf"lichgate-.*\.{ending}", n)] \
        if os.path.isdir(IMAGE_DIR) else []
    if not found:
        print(f"there is no image in {IMAGE_DIR}: make image")
        sys.exit(77)
    return max(found, key=os.path.getmtime)


def tool(*argv, **more):
    p = subprocess.run(list(map(str, argv)), capture_output=True, check=False,
                       env=dict(os.environ, PATH="/usr/sbin:/sbin:" + os.environ["PATH"]), **more)
    if p.returncode:
        raise AssertionError(f"{' '.join(map(str, argv))}: exit {p.returncode}\n{p.stdout!r} {p.stderr!r}")
    return p.stdout


def partitions(disk):
    """{name: (offset, size)} in bytes, of a raw image."""
    table = json.loads(tool("sfdisk", "-J", disk))["partitiontable"]
    return {p["name"]: (p["start"] * 512, p["size"] * 512) for p in table["partitions"]}


def flip(path, at):
    """Turns around the bits of one byte of a file."""
    with open(path, "r+b") as f:
        f.seek(at)
        was = f.read(1)
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([was[0] ^ 0xFF]))


def accel():
    """As tests/vm finds it out, with the appliance's kernel; kept beside the image."""
    kept = os.path.join(IMAGE_DIR, "accel")
    if not os.path.exists(kept):
        with tempfile.TemporaryDirectory(prefix="lgt-image.") as work:
            tool("mcopy", "-i", f"{output('raw')}@@{partitions(output('raw'))['lichgate-boot'][0]}", "::a/vmlinuz", work)
            others, _guest.IMAGES = _guest.IMAGES, work
            how = "kvm" if _guest.kvm_works() else "tcg,thread=multi"
            _guest.IMAGES = others
        with open(kept, "w", encoding="ascii") as f:
            f.write(how)
    with open(kept, encoding="ascii") as f:
        return f.read().strip()


class Serial:
    """A serial port of QEMU's, through a socket; a thread keeps all that it said."""

    def __init__(self, name, path, log):
        self.name, self.path, self.log = name, path, log
        self.sock = None
        # Where expect() goes on reading.
        self.at = 0

    def said(self):
        if not os.path.exists(self.log):
            return ""
        with open(self.log, "rb") as f:
            return f.read().decode("utf-8", "replace").replace("\r", "")

    def connect(self):
        def ready():
            self.sock = socket.socket(socket.AF_UNIX)
            try:
                self.sock.connect(self.path)
                return True
            except OSError:
                self.sock.close()
                return False
        wait_for(ready, 30, f"QEMU offers {self.path}")
        threading.Thread(target=self.drain, daemon=True).start()

    def drain(self):
        """Keeps what was said. QEMU's own log of a socket has characters twice when the socket was full."""
        with open(self.log, "ab", buffering=0) as log:
            try:
                while said := self.sock.recv(65536):
                    log.write(said)
            except OSError:
                pass

    def close(self):
        if self.sock:
            self.sock.close()

    def send(self, text):
        self.sock.sendall(text.encode())

    def expect(self, pattern, secs=SHELL_SECS):
        """Waits for a regular expression in what comes after the last match; returns the match."""
        def found():
            return re.compile(pattern, re.M).search(self.said(), self.at)
        try:
            match = wait_for(found, secs, "")
        except AssertionError as e:
            raise AssertionError(f"{self.name} did not say {pattern!r} within {secs} s; "
                                 f"last: {self.said()[self.at:][-1500:]!r}") from e
        self.at = match.end()
        return match


class Appliance:
    """
    disks: (bus, what) with bus "virtio", "nvme", "usb" or "stick" and a size ("64M") or the path of an image, raw or qcow2;
    forwards: {name: port in the guest}, at the first address that DHCP gives, or at address; cable: (path, end) of a second
    network card, an Ethernet cable to another machine (end 1 is started first; the machine at end 2 may end and come
    again); image: another raw image than make image's, False: no system disk at all; bus: what the system disk is on.
    """

    def __init__(self, disks=(), firmware="bios", forwards=None, image=None, size="4G", memory=1536, cpus=2, shell=True,
                 cable=None, arguments="", address="", bus="virtio"):
        self.dir = tempfile.mkdtemp(prefix="lgt-appliance.", dir=os.environ.get("LGT_IMAGE_TMP"))
        self.firmware, self.memory, self.cpus, self.cable, self.address = firmware, memory, cpus, cable, address
        self.bus = bus
        self.shell_at_ready = shell
        self.ports = {name: (free_port(), port) for name, port in {"iscsi": 3260, **(forwards or {})}.items()}
        self.proc, self.qmp = None, None
        self.starts = 0
        self.console = self.shell = None
        self.system = None
        if image is not False:
            self.system = self.path("system.raw")
            tool("cp", "--sparse=always", image or output("raw"), self.system)
            if os.path.getsize(self.system) < bytes_of(size):
                os.truncate(self.system, bytes_of(size))
        if self.system and (shell or arguments):
            self.kernel_arguments((ARGUMENTS + " " if shell else "") + arguments)
        self.disks = []
        for n, (bus, what) in enumerate(disks):
            path = what if os.path.exists(str(what)) else self.path(f"data{n}.raw")
            if path != what:
                with open(path, "wb") as f:
                    f.truncate(bytes_of(what))
            self.disks.append((bus, path))
        if firmware == "uefi":
            shutil.copy(os.path.join(OVMF, "OVMF_VARS_4M.fd"), self.path("vars.fd"))

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            self.show_logs()
        self.cut()
        shutil.rmtree(self.dir, ignore_errors=True)

    def show_logs(self):
        for port in filter(None, (self.console, self.shell)):
            for line in port.said().splitlines()[-60:]:
                print(f"[{port.name}] {line}")

    # The disk, while the machine is off

    def esp(self):
        return f"{self.system}@@{partitions(self.system)['lichgate-boot'][0]}"

    def esp_read(self, name):
        return tool("mcopy", "-n", "-i", self.esp(), "::" + name, "-")

    def esp_write(self, name, data):
        """A file on the boot partition; its folder is made."""
        folder = os.path.dirname(name)
        if folder:
            subprocess.run(["mmd", "-D", "s", "-i", self.esp(), "::" + folder], capture_output=True, check=False)
        tool("mcopy", "-o", "-i", self.esp(), "-", "::" + name, input=data if isinstance(data, bytes) else data.encode())

    def kernel_arguments(self, text):
        """More of them, for every slot that is there."""
        for slot in "ab":
            try:
                was = self.esp_read(f"{slot}/boot.cfg").decode()
            except AssertionError:
                continue
            self.esp_write(f"{slot}/boot.cfg", re.sub(r"(?m)^(set options='.*)'$", rf"\1 {text.strip()}'", was))

    def flip(self, name, at):
        """Turns around the bits of one byte of a partition."""
        flip(self.system, partitions(self.system)[name][0] + at)

    # The machine

    def argv(self):
        argv = ["qemu-system-x86_64", *_guest.cpu(accel()), "-smp", str(self.cpus), "-m", str(self.memory),
                "-display", "none", "-monitor", "none", "-machine", "q35",
                "-qmp", f"unix:{self.path('qmp')},server=on,wait=off", "-device", "qemu-xhci,id=usb"]
        if self.firmware == "uefi":
            argv += ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF}/OVMF_CODE_4M.fd",
                     "-drive", f"if=pflash,format=raw,file={self.path('vars.fd')}"]
        for name in ("console", "shell"):
            argv += ["-chardev", f"socket,id={name},path={self.path(name)},server=on,wait=off",
                     "-serial", f"chardev:{name}"]
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-{self.address}:{guest}" for host, guest in self.ports.values())
        argv += ["-netdev", "user,id=n1" + forwards, "-device", "virtio-net-pci,netdev=n1,mac=52:54:00:12:00:01"]
        if self.cable:
            argv += _guest.network(*self.cable)
        system = [(self.bus, self.system)] if self.system else []
        for n, (bus, path) in enumerate(system + self.disks):
            device = {"virtio": f"virtio-blk-pci,drive=d{n},serial=disk{n}", "nvme": f"nvme,drive=d{n},serial=disk{n}",
                      "usb": f"usb-storage,bus=usb.0,drive=d{n},serial=disk{n}",
                      "stick": f"usb-storage,bus=usb.0,drive=d{n},serial=disk{n},removable=on"}[bus]
            argv += ["-drive", self.drive(n, path), "-device", f"{device},bootindex={n}"]
        return argv

    def drive(self, n, path):
        """Writeback: the guest sees a volatile write cache, and what it flushed is on its disk when QEMU is killed."""
        kind = "qcow2" if path.endswith(".qcow2") else "raw"
        return f"file={path},if=none,id=d{n},format={kind},cache=writeback,discard=unmap"

    def log(self, name):
        """What a serial port said since the last start()."""
        return self.path(f"{name}-{self.starts}.log")

    def start(self):
        self.starts += 1
        with open(self.path("qemu.log"), "ab") as log:
            self.proc = subprocess.Popen(self.argv(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.console = Serial("console", self.path("console"), self.log("console"))
        self.shell = Serial("shell", self.path("shell"), self.log("shell"))
        try:
            self.console.connect()
            self.shell.connect()
        except AssertionError as e:
            with open(self.path("qemu.log"), encoding="utf-8", errors="replace") as log:
                raise AssertionError(f"QEMU did not start: {log.read()[-500:]}") from e
        self.qmp = Monitor(self.path("qmp"))
        self.greeted = False

    def running(self):
        return self.proc is not None and self.proc.poll() is None

    def cut(self):
        """The power: the guest gets no chance to write anything more."""
        if self.proc is None:
            return
        self.proc.kill()
        self.proc.wait()
        self.proc = None
        self.console.close()
        self.shell.close()

    def off(self, secs=END_SECS):
        """As by the power button, and waits until it is off."""
        self.qmp("system_powerdown")
        self.wait_off(secs)

    def wait_off(self, secs=END_SECS):
        try:
            self.proc.wait(secs)
        except subprocess.TimeoutExpired as e:
            raise AssertionError(f"the machine did not power off within {secs} s") from e
        self.cut()

    # What runs in it

    def sh(self, command, secs=SHELL_SECS, check=True):
        """Runs a command line as root; returns what it printed. check=False: (exit code, what it printed)."""
        if not self.greeted:
            # The prompt of the debug shell; from then on it neither echoes nor prompts.
            self.shell.expect(r"# $", BOOT_SECS)
            # Without readline, whose codes for terminals would be taken for output.
            self.shell.send("exec bash --noediting --norc\n")
            self.shell.send("stty -echo -onlcr; PS1= PS2=; export SYSTEMD_PAGER= PATH=$PATH:/usr/sbin:/sbin\necho; echo '@re''ady'\n")
            self.shell.expect("^@ready$")
            self.greeted = True
        start = self.shell.at
        self.shell.send(f"{{ {command}\n}} </dev/null 2>&1; echo \"@end $?\"\n")
        end = self.shell.expect(r"^(?:.*)@end (\d+)$", secs)
        text = self.shell.said()[start:end.start()].lstrip("\n") + end.group(0).rpartition("@end")[0]
        code = int(end.group(1))
        if not check:
            return code, text
        if code:
            raise AssertionError(f"in the appliance: {command}: exit {code}\n{text}")
        return text

    def next_shell(self):
        """The machine restarts by itself: what sh() talks to is the shell of the next boot."""
        self.greeted = False
        self.shell.at = len(self.shell.said())

    def export(self, iqn, device):
        """A target for everybody, with that disk as LUN 1."""
        self.sh(f"lgtadm -m target -o new -t 1 -T {iqn} && lgtadm -m target -o bind -t 1 -I ALL &&"
                f" lgtadm -m logicalunit -o new -t 1 -l 1 -b {device}")

    def portal(self):
        return f"127.0.0.1:{self.ports['iscsi'][0]}"

    def discover(self):
        """The targets that iscsi-ls lists, or None if there is no portal that answers."""
        try:
            p = subprocess.run(["iscsi-ls", f"iscsi://{self.portal()}"], capture_output=True, text=True,
                               stdin=subprocess.DEVNULL, timeout=60, check=False)
        except subprocess.TimeoutExpired:
            return None
        return p.stdout if p.returncode == 0 else None

    def url(self, iqn, lun):
        """Through the forwarded port: the address that Discovery tells is one of the guest's network."""
        return f"iscsi://{self.portal()}/{iqn}/{lun}"

    def wait_portal(self, secs=BOOT_SECS):
        """Until Discovery is answered."""
        def answered():
            if not self.running():
                raise AssertionError("the machine ended while it was booting")
            said = self.discover()
            if said is None:
                time.sleep(1)
            return [said] if said is not None else None
        return wait_for(answered, secs, "the appliance's portal answers")[0]
