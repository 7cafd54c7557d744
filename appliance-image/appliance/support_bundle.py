# SPDX-License-Identifier: BSD-3-Clause
"""
lichgate-appliance support-bundle: one file for whoever helps, without secrets.

Three nets, one behind the other: what is made of secrets is not collected; what looks like one is removed from all that is
(private keys, password hashes, values of names such as "password"); and every secret that this machine has is looked for in
all texts, wherever it came from, and once more when they are together: nothing is written if one is still there.
"""
import glob
import io
import json
import lzma
import os
import re
import socket
import subprocess
import tarfile
import time

from . import Refused, paths, tools

FOLDER = os.path.join(paths.STATE, "support")
# That many, the new one among them: the state partition has other things to hold.
KEPT = 4
SECS = 60
# Of one text.
MOST = 64 << 20
JOURNAL_LINES = "200000"
REMOVED = "(removed)"
# Shorter ones would be found in every other word.
SHORTEST = 4

COMMANDS = {
    "journal.txt": ["journalctl", "--no-pager", "--output=short-iso-precise", "--lines=" + JOURNAL_LINES],
    "journal-boots.txt": ["journalctl", "--no-pager", "--list-boots"],
    "dmesg.txt": ["dmesg"],
    "version/kernel.txt": ["uname", "-a"],
    "version/gateway.txt": ["lichgated", "--version"],
    "version/slots.json": ["lichgate-appliance", "status", "--json"],
    "configuration.json": ["lichgate-appliance", "config-export", "--no-secrets", "-"],
    "gateway/system.txt": ["lgtadm", "--mode", "system", "--op", "show"],
    "gateway/targets.txt": ["lgtadm", "--mode", "target", "--op", "show"],
    "gateway/portals.txt": ["lgtadm", "--mode", "portal", "--op", "show"],
    "gateway/accounts.txt": ["lgtadm", "--mode", "account", "--op", "show"],
    "units/all.txt": ["systemctl", "--no-pager", "list-units", "--all"],
    "units/timers.txt": ["systemctl", "--no-pager", "list-timers", "--all"],
    "units/status.txt": ["systemctl", "--no-pager", "--lines=0", "status"],
    "units/start.txt": ["systemd-analyze", "--no-pager", "blame"],
    "network/addresses.txt": ["ip", "-details", "-statistics", "address"],
    "network/routes.txt": ["ip", "route", "show", "table", "all"],
    "network/routes6.txt": ["ip", "-6", "route", "show", "table", "all"],
    "network/neighbours.txt": ["ip", "neighbour"],
    "network/sockets.txt": ["ss", "--tcp", "--udp", "--listening", "--numeric", "--processes"],
    "network/sessions.txt": ["ss", "--tcp", "--numeric", "--info", "sport", "=", ":3260"],
    "network/firewall.txt": ["nft", "list", "ruleset"],
    "network/counters.txt": ["nstat", "--zeros"],
    "network/rdma.txt": ["rdma", "--details", "link"],
    "network/rdma-resources.txt": ["rdma", "resource"],
    "disks/list.json": ["lsblk", "--json", "--bytes", "--output",
                        "NAME,KNAME,TYPE,SIZE,RO,ROTA,MODEL,SERIAL,PHY-SEC,LOG-SEC,SCHED,MOUNTPOINTS"],
    "disks/health.json": ["lichgate-appliance", "health", "--json"],
    "disks/space.txt": ["df", "--print-type"],
    "sysctl.txt": ["sysctl", "--all"],
}
FILES = ("/etc/os-release", "/usr/lib/lichgate/packages", "/etc/nftables.d/*", "/etc/systemd/network/*",
         "/etc/systemd/network/*/*", "/etc/lichgate/*", "/run/lichgate-tune.*", "/boot/grub/grubenv", "/boot/?/boot.cfg",
         "/boot/?/manifest.json", "/proc/cmdline", "/proc/cpuinfo", "/proc/interrupts", "/proc/meminfo", "/proc/modules",
         "/proc/mounts", "/proc/partitions", "/proc/pressure/*", "/proc/softirqs", "/boot/appliance.json",
         "/var/lib/appliance/applied.json", "/var/lib/appliance/settings.json", "/var/lib/appliance/identity.json")

# Where secrets are kept: by name in these, in any text form; as keys and as hashes in those.
NAMED_IN = ("/var/lib/lichgate/config.db*", "/boot/appliance.json", "/boot/seed/*", "/var/lib/appliance/*.json")
KEYS_IN = ("/etc/ssh/ssh_host_*_key", "/root/.ssh/*", "/home/*/.ssh/*")
HASHES_IN = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow")

SECRET_NAME = r"[\w.-]{0,40}(?:passw(?:or)?d|passphrase|secret|token|private[_-]?key|credential|psk|fastopen_key)[\w.-]{0,40}"
QUOTED = r'"((?:\\.|[^"\\\n])*)"'
# As JSON and most of YAML, and as KEY=VALUE or an option and its value.
BY_NAME = re.compile(rf'"?\b({SECRET_NAME})"?\s*[:=]\s*(?:{QUOTED}|\'([^\'\n]*)\'|([^\s"\',{{}}\[\]]\S*))', re.I)
BY_OPTION = re.compile(r"(--?(?:password|secret|pass)(?:\s+|=))(\S+)", re.I)
SHORT_OPTION = re.compile(r"(\b(?:lgtadm|tgtadm)\b[^\n]*?\s-p\s*)(\S+)")
KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S)
CRYPT = re.compile(r"\$(?:1|2[abxy]?|5|6|7|y|gy|sha1|md5)\$[./A-Za-z0-9$=,+-]{8,}")
# "user:password", as cloud-init's lists have it; what YAML takes for a pair has a blank.
USER_LIST = re.compile(r"^[ \t]*(?:-[ \t]+)?[\w.-]+:([^\s:]+)[ \t]*$", re.M)
# Words that stand where a secret could.
HARMLESS = {"", "null", "none", "true", "false", REMOVED}


def add_arguments(parser):
    parser.add_argument("--output", metavar="FILE", help="where to write it (default: a new file on the state partition)")


def texts(patterns, most=-1):
    """Of all files there that can be read."""
    for pattern in patterns:
        for path in sorted(glob.glob(paths.at(pattern))):
            try:
                with open(path, "rb") as f:
                    yield path, f.read(most).decode("utf-8", "replace")
            except OSError:
                continue


def plain(quoted):
    """What a JSON string means; as it stands if it is none."""
    try:
        return json.loads(f'"{quoted}"')
    except ValueError:
        return quoted


def named(text):
    """Values of names that mean secrets."""
    for match in BY_NAME.finditer(text):
        if not harmless(match):
            yield plain(match.group(2)) if match.group(2) is not None else match.group(3) or match.group(4)
    yield from under_names(parsed(text), False)


def parsed(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


def means_secret(name, value):
    """An account has a name, too, which is none: below "chap" only the mistake of a text instead of an object is one."""
    return bool(re.fullmatch(SECRET_NAME, name, re.I)) or name in ("chap", "mutual_chap") and isinstance(value, str)


def under_names(value, secret):
    """The same in JSON, where a list of them may stand."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from under_names(one, secret or means_secret(name, one))
    elif isinstance(value, list):
        for one in value:
            yield from under_names(one, secret)
    elif secret and isinstance(value, str):
        yield value


def secrets():
    """All that this machine has, the longest first: one may be part of another."""
    found = set()
    for path, text in texts(NAMED_IN):
        found.update(named(text))
        if os.path.dirname(path) == paths.SEED:
            found.update(USER_LIST.findall(text))
    for _, text in texts(KEYS_IN):
        for block in KEY_BLOCK.findall(text):
            found.update(line for line in block.splitlines() if line and not line.startswith("-----"))
    for _, text in texts((*HASHES_IN, *NAMED_IN)):
        found.update(CRYPT.findall(text))
    found = {s.strip() for s in found if s and s.strip().lower() not in HARMLESS}
    return sorted((s for s in found if len(s) >= SHORTEST), key=lambda s: (-len(s), s))


def spellings(secret):
    """As it is, and as JSON writes it."""
    return {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}


def clean(text, known):
    for secret in known:
        for spelling in sorted(spellings(secret), key=len, reverse=True):
            text = text.replace(spelling, REMOVED)
    text = KEY_BLOCK.sub(REMOVED, text)
    text = CRYPT.sub(REMOVED, text)
    text = BY_OPTION.sub(rf"\1{REMOVED}", text)
    text = SHORT_OPTION.sub(rf"\1{REMOVED}", text)
    return BY_NAME.sub(hide, text)


def harmless(match):
    return (match.group(2) or match.group(3) or match.group(4) or "").rstrip(",;}]").lower() in HARMLESS


def hide(match):
    if harmless(match):
        return match.group(0)
    at = max(n for n in (2, 3, 4) if match.group(n) is not None)
    return match.group(0)[:match.start(at) - match.start()] + REMOVED + match.group(0)[match.end(at) - match.start():]


def hidden(value, secret=False):
    """JSON with the values of names that mean secrets replaced, whatever they are."""
    if isinstance(value, dict):
        return {name: hidden(one, secret or means_secret(name, one)) for name, one in value.items()}
    if isinstance(value, list):
        return [hidden(one, secret) for one in value]
    return REMOVED if secret and value is not None else value


def clean_file(path, text, known):
    if path.endswith(".json"):
        if parsed(text) is None:
            return "(no valid JSON: left out, for secrets could not be told from the rest)\n"
        text = json.dumps(hidden(parsed(text)), indent=2) + "\n"
    return clean(text, known)


def tells(text, known):
    """Not in words of the bundle's own, of which the names of its files are others: somebody's secret may be one of them."""
    text = text.replace(REMOVED, "\n")
    return any(s in text for secret in known for s in spellings(secret))


def ask(argv):
    """What a command says; that it cannot be had is told in its place."""
    try:
        answer = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=SECS, check=False)
    except OSError as e:
        return f"({argv[0]}: {e.strerror})\n"
    except subprocess.TimeoutExpired:
        return f"({argv[0]}: no answer within {SECS} s)\n"
    text = answer.stdout[-MOST:].decode("utf-8", "replace")
    if answer.returncode:
        text += f"{answer.stderr.decode('utf-8', 'replace')}(exit {answer.returncode})\n"
    return text


def collect(known):
    """{name in the bundle: text}."""
    bundle = {name: clean(ask(argv), known) for name, argv in COMMANDS.items()}
    for path, text in texts(FILES, MOST):
        bundle["files" + path[len(paths.ROOT):]] = clean_file(path, text, known)
    return bundle


def archive(bundle, top, now):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in sorted(bundle):
            data = bundle[name].encode("utf-8", "replace")
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size, member.mtime, member.mode = len(data), now, 0o600
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def write(path, data):
    """Whole or not at all, and nobody else's to read."""
    if not tools.takes_file(path):
        raise Refused(f"{path} is no regular file")
    new = path + ".new"
    try:
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.replace(new, path)
    except OSError as e:
        if os.path.exists(new):
            os.unlink(new)
        raise Refused(f"{path} cannot be written: {e.strerror}") from e


def make(output=None):
    """Writes a bundle; returns its path."""
    now = int(time.time())
    known = secrets()
    top = f"lichgate-support-{clean(socket.gethostname(), known)}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}"
    bundle = collect(known)
    if any(tells(text, known) for text in bundle.values()):
        raise Refused("a secret of this machine is still in what was collected: nothing was written")
    data = archive(bundle, top, now)
    path = output or os.path.join(FOLDER, top + ".tar.xz")
    if not output:
        os.makedirs(FOLDER, mode=0o700, exist_ok=True)
        for old in sorted(glob.glob(os.path.join(glob.escape(FOLDER), "*.tar.xz")), key=os.path.getmtime)[:1 - KEPT]:
            os.unlink(old)
    write(path, lzma.compress(data, preset=2))
    return path


def run(args):
    print(make(args.output))
    return 0
