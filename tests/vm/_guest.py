# SPDX-License-Identifier: BSD-3-Clause
"""Boots the guest of _image.sh under QEMU and relays what a script inside it reports on its second serial port."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.insert(0, os.path.join(TOP, "tests/lib"))
from lab import BUILD, STANDIN, require_built  # noqa: E402

IMAGES = os.environ.get("LGT_VM_DIR", os.path.join(TOP, "build/vm"))
PROBE_SECS = 15
FAR_SECS = 90
# Libraries that the guest has by itself, because they come with its C library.
LIBC = ("linux-vdso", "ld-linux", "libc.so", "libm.so", "libpthread.so", "libdl.so", "librt.so", "libresolv.so")


# Libraries that speak to drivers of the guest through plug-ins of its release.
DRIVERS = ("libibverbs.so", "librdmacm.so", "libnl-")
RELEASE = []


def of_release(name):
    """Guests of this process run that Debian release, a later one than the machine's."""
    global IMAGES, LIBC
    IMAGES = os.path.join(IMAGES, name)
    LIBC += DRIVERS
    RELEASE.append(name)


def image():
    """The directory of the guest's image, built if need be."""
    if subprocess.run([os.path.join(TOP, "tests/vm/_image.sh"), IMAGES, *RELEASE], check=False).returncode:
        raise AssertionError("the guest's image could not be built")
    return IMAGES


def accel():
    """kvm if a stock kernel gets anywhere under it, else the emulator. The answer is kept beside the image."""
    kept = os.path.join(image(), "accel")
    if not os.path.exists(kept):
        with open(kept, "w", encoding="ascii") as f:
            f.write("kvm" if kvm_works() else "tcg,thread=multi")
    with open(kept, encoding="ascii") as f:
        return f.read().strip()


def kvm_works():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    # Without a root the kernel panics, and with panic=-1 the machine ends: that is all it has to manage.
    argv = ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", "512", "-display", "none", "-serial", "null",
            "-monitor", "none", "-no-reboot", "-nic", "none", "-kernel", os.path.join(IMAGES, "vmlinuz"),
            "-append", "console=ttyS0 panic=-1"]
    try:
        return subprocess.run(argv, timeout=PROBE_SECS, capture_output=True, stdin=subprocess.DEVNULL,
                              check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def cpu(how):
    """
    QEMU's options for the accelerator and its processor. The emulator does `rep stosb`, with which a kernel that sees ERMS clears
    its pages, a byte at a time, and its walks of five levels of page tables cost more than those of four.
    """
    return ["-accel", how, "-cpu", "host" if how == "kvm" else "max,erms=off,fsrm=off,la57=off"]


def machine(memory="2048", cpus=2):
    return ["qemu-system-x86_64", *cpu(accel()), "-smp", str(cpus),
            "-m", memory, "-display", "none", "-monitor", "none", "-no-reboot", "-nic", "none",
            "-kernel", os.path.join(IMAGES, "vmlinuz"), "-initrd", os.path.join(IMAGES, "initrd")]


def root_of_image():
    return os.path.join(image(), "root.img")


def libraries(program):
    out = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    for line in out.splitlines():
        name, _, path = line.strip().partition(" => ")
        path = path.split(" (")[0]
        if path.startswith("/") and not name.startswith(LIBC):
            yield name, path


def payload(work, script, more=()):
    """A small file system with the programs, their libraries, the tests that need them, and the script to run."""
    root = os.path.join(work, "payload")
    os.makedirs(os.path.join(root, "bin"))
    os.makedirs(os.path.join(root, "so"))
    if STANDIN:
        programs = [shutil.which("tgtd", path="/usr/sbin"), shutil.which("tgtadm", path="/usr/sbin")]
    else:
        programs = [os.path.join(BUILD, p) for p in ("lichgated", "lichgate-mgmtd", "lgtadm", *more)]
    for p in programs:
        shutil.copy(p, os.path.join(root, "bin"))
        for name, path in libraries(p):
            shutil.copy(path, os.path.join(root, "so", name))
    shutil.copytree(os.path.join(TOP, "tests/lib"), os.path.join(root, "lib"),
                    ignore=shutil.ignore_patterns("*.c", "__pycache__"))
    shutil.copytree(os.path.join(TOP, "tests/vm/guest"), os.path.join(root, "guest"),
                    ignore=shutil.ignore_patterns("__pycache__"))
    for tests in ("proto", "e2e"):
        shutil.copytree(os.path.join(TOP, "tests", tests), os.path.join(root, tests),
                        ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(os.path.join(TOP, "tests/unit/scsi/opcodes.txt"), root)
    with open(os.path.join(root, "init"), "w", encoding="ascii") as f:
        f.write("export PATH=/lgt/bin:$PATH LD_LIBRARY_PATH=/lgt/so LGT_BUILD=/lgt/bin PYTHONDONTWRITEBYTECODE=1\n"
                f"export LGT_LAB={os.environ.get('LGT_LAB', '')} LGT_SAN= LGT_SCALE={1 if accel() == 'kvm' else 6}\n"
                f"export PYTHONPATH=/lgt/lib\n"
                "ip link set lo up\n"
                f"python3 /lgt/guest/{script} >/dev/ttyS1 2>&1\n"
                "echo \"end of script, exit $?\" >/dev/ttyS1\n")
    disk = os.path.join(work, "payload.img")
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", root, disk, "192M"], check=True, capture_output=True)
    return disk


class Monitor:
    """QEMU's own control socket."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.answers = self.sock.makefile("r", encoding="utf-8")
        self.answers.readline()
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        self.sock.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            answer = json.loads(self.answers.readline())
            if "error" in answer:
                raise AssertionError(f"{command}: {answer['error']}")
            if "return" in answer:
                return answer["return"]


def wishes(text, wish, rest):
    """Grants the wishes among whole lines of the guest: "@NAME ARGUMENT". Returns what is no whole line yet."""
    *lines, rest = (rest + text).split("\n")
    for line in lines:
        if line.startswith("@"):
            wish(*line[1:].split())
    return rest


def relay(path, stop, wish):
    """Prints what the guest reports, as it comes, and does what it asks for."""
    at, rest = 0, ""
    while True:
        last = stop.is_set()
        if os.path.exists(path):
            with open(path, "rb") as f:
                f.seek(at)
                new = f.read()
            at += len(new)
            text = new.decode("utf-8", "replace").replace("\r", "")
            sys.stdout.write(text)
            sys.stdout.flush()
            if wish:
                rest = wishes(text, wish, rest)
        if last:
            return
        time.sleep(0.5)


def run_script(script, secs, hardware=None, wish=None, options="", programs=()):
    """
    Runs tests/vm/guest/SCRIPT in a fresh guest; returns an exit code for this process. hardware(work) gives more
    arguments for QEMU; wish(monitor, name, …) is called when the guest's script prints "@name …"; options are the
    kernel's; programs of the build go in beside the daemons.
    """
    require_built()
    with tempfile.TemporaryDirectory(prefix="lgt-vm.") as work:
        guest = Guest(work, script, programs, hardware(work) if hardware else [], options)
        stop = threading.Event()
        grant = wish and (lambda *args: wish(Monitor(os.path.join(work, "qmp")), *args))
        teller = threading.Thread(target=relay, args=(guest.result, stop, grant))
        teller.start()
        guest.run(secs)
        stop.set()
        teller.join()
        return guest.verdict()


def run_pair(near, far, secs, programs=()):
    """
    Runs NEAR in one guest and FAR in another, a cable between them. NEAR's report counts, and it has to end FAR;
    "@cable out" and "@cable in" of it are obeyed.
    """
    require_built()
    with tempfile.TemporaryDirectory(prefix="lgt-vm.") as work:
        cable = os.path.join(work, "cable")
        os.mkdir(os.path.join(work, "far"))
        other = Guest(os.path.join(work, "far"), far, programs, network(cable, 1))
        thread = threading.Thread(target=other.run, args=(secs,))
        thread.start()
        while thread.is_alive() and not os.path.exists(cable):
            time.sleep(0.1)
        code = run_script(near, secs, lambda _: network(cable, 2), plug, programs=programs)
        other.end(FAR_SECS)
        thread.join()
        if other.verdict() or code:
            print("".join(f"[far] {line}\n" for line in other.said().splitlines()[-80:]))
            return 1
        return 0


def plug(monitor, name, *args):
    if name == "cable":
        monitor("set_link", name="n0", up=args[0] == "in")


def network(cable, n):
    """A network card at one end of a cable; the first end that is asked for has to be there first."""
    server = ",server=on" if n == 1 else ""
    return ["-netdev", f"stream,id=n0{server},addr.type=unix,addr.path={cable}",
            "-device", f"virtio-net-pci,netdev=n0,mac=52:54:00:00:00:0{n}"]


class Guest:
    """One emulated machine and the script that it runs."""

    def __init__(self, work, script, programs=(), hardware=(), options=""):
        self.result, self.console = os.path.join(work, "result"), os.path.join(work, "console")
        self.argv = machine() + [
            "-drive", f"file={root_of_image()},format=raw,if=virtio,snapshot=on",
            "-drive", f"file={payload(work, script, programs)},format=raw,if=virtio,readonly=on",
            "-serial", "file:" + self.console, "-serial", "file:" + self.result,
            "-qmp", f"unix:{work}/qmp,server=on,wait=off", *hardware,
            "-append", f"console=ttyS0 root=/dev/vda rw panic=-1 quiet no_timer_check init=/usr/local/sbin/guest-init {options}"]
        self.ended = False
        self.proc = None

    def run(self, secs):
        self.proc = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL)
        try:
            self.proc.wait(secs)
            self.ended = True
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()

    def end(self, secs):
        """Gives it that long to end by itself."""
        try:
            self.proc.wait(secs)
        except subprocess.TimeoutExpired:
            self.proc.kill()

    def said(self):
        with open(self.result, encoding="utf-8", errors="replace") as f:
            return f.read()

    def verdict(self):
        code = self.said().rpartition("end of script, exit ")[2].strip()
        if self.ended and code == "0":
            return 0
        print(f"the guest's script ended with '{code[:20]}'" if self.ended else "the guest did not end in time")
        with open(self.console, encoding="utf-8", errors="replace") as f:
            print("".join("[console] " + line for line in f.read().splitlines(True)[-40:]))
        return 1
