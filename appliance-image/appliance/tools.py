# SPDX-License-Identifier: BSD-3-Clause
"""What the other modules do to the system: files written whole, programs run with their sentence when they fail."""
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import tempfile

from . import Refused, disks

RUN_SECS = 120


def read(path, otherwise=""):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return otherwise


def write(path, data, mode=0o644):
    """The whole new content or the old one, also after a power cut. True if that changed something."""
    data = data.encode() if isinstance(data, str) else data
    try:
        with open(path, "rb") as f:
            if f.read() == data and os.fstat(f.fileno()).st_mode & 0o777 == mode:
                return False
    except OSError:
        pass
    folder = os.path.dirname(path) or "."
    os.makedirs(folder, exist_ok=True)
    fd, temporary = tempfile.mkstemp(dir=folder, prefix=".new-")
    try:
        with os.fdopen(fd, "wb") as f:
            f.write(data)
            os.fchmod(fd, mode)
            os.fsync(fd)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    disks.sync_directory(folder)
    return True


def remove(path):
    """True if it was there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def load(path):
    """A JSON object that this command has written itself; {} if there is none."""
    try:
        with open(path, encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as e:
        raise Refused(f"{path} cannot be read: {e}") from e


def store(path, value):
    write(path, json.dumps(value, indent=2) + "\n", 0o600)


def takes_file(path):
    """Nothing or a file is there: a file in the place of a device, or of /dev/stdout, would be one to all programs until the next boot."""
    return not os.path.lexists(path) or os.path.isfile(path) and not os.path.islink(path)


@contextlib.contextmanager
def locked(path, busy=None):
    """One process at a time holds that file; another waits, or is refused in the words of busy."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            raise Refused(busy) from None
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def undisturbed():
    """What asks this program and those that it runs to end is heard afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run(*argv, stdin=None, timeout=RUN_SECS):
    """The output of a program; its last sentence as a refusal if it fails. Its arguments are told to nobody."""
    try:
        p = subprocess.run(argv, input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
                           capture_output=True, text=True, errors="replace", timeout=timeout, check=False)
    except OSError as e:
        raise Refused(f"{argv[0]} cannot be run: {e.strerror}") from e
    except subprocess.TimeoutExpired as e:
        raise Refused(f"{argv[0]} does not end") from e
    if p.returncode:
        said = (p.stderr.strip() or p.stdout.strip()).splitlines()
        raise Refused(f"{argv[0]}: {said[-1] if said else 'exit ' + str(p.returncode)}")
    return p.stdout


def settle():
    """Waits for the disks that are being found; a busy machine goes on without the last of them."""
    try:
        run("udevadm", "settle", "--timeout=30")
    except Refused as why:
        print(why)


def lgtadm(mode, op, *args):
    return run("lgtadm", "-m", mode, "-o", op, *map(str, args))


def shown(mode):
    """What `lgtadm -m MODE -o show` tells programs."""
    try:
        return json.loads(run("lgtadm", "--json", "-m", mode, "-o", "show"))
    except ValueError as e:
        raise Refused("lgtadm: the answer cannot be read") from e


def systemctl(*args):
    return run("systemctl", *args)
