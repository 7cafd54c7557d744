# SPDX-License-Identifier: BSD-3-Clause
"""
lichgate-appliance apply: the appliance becomes what appliance.json or a NoCloud seed says. At boot this happens in two
halves, the system before the network starts (first-boot), portals and targets when the gateway runs, each once for each
content of each source: its hash is kept. A file with an error changes nothing.
"""
import argparse
import hashlib
import os

from . import Refused, first_boot, luns, network, paths, seed, settings, tools, users

APPLIED = paths.at("/var/lib/appliance/applied.json")
TIMESYNCD = paths.at("/etc/systemd/timesyncd.conf.d/lichgate.conf")
WANTS = paths.at("/etc/systemd/system/multi-user.target.wants")
HALVES = ("system", "targets")
# What trying again does not mend: only another file does.
WRONG_FILE = 2


def add_arguments(parser):
    parser.add_argument("file", nargs="?", metavar="FILE", help="instead of what is on the boot partition")
    parser.add_argument("--check", action="store_true", help="say what is wrong with it and change nothing")
    parser.add_argument("--boot", action="store_true", help=argparse.SUPPRESS)


def source():
    """(what it is called, its bytes, who reads them), or None if there is nothing to apply."""
    try:
        return "appliance.json", settings.read(paths.APPLIANCE_JSON), settings.parse
    except FileNotFoundError:
        pass
    except OSError as e:
        raise Refused(f"appliance.json cannot be read: {e.strerror}") from e
    found = seed.from_folder(paths.SEED) or seed.copied()
    return ("the seed", found, seed.parse) if found else None


def set_time_servers(servers):
    text = network.section("Time", "NTP=" + " ".join(servers))
    return tools.write(TIMESYNCD, text) if servers else tools.remove(TIMESYNCD)


def merged(now, config):
    """What a file does not mention stays."""
    options = {**now.get("options", {}), **config.get("options", {})}
    return {**now, **{key: config[key] for key in settings.SYSTEM if key in config}, "options": options}


def apply_system(config, live, whole=False):
    """
    Name, network, administrator and time. Live: what runs is told; at boot it starts later and finds the files. Whole:
    what config does not mention goes.
    """
    before = settings.kept()
    now = config if whole else merged(before, config)
    # First, while the settings before tell what changes; after a power cut all of it is done again.
    ssh = users.write(before, now)
    settings.keep(now)
    if now.get("hostname"):
        first_boot.set_hostname(now["hostname"])
    clock = set_time_servers(now.get("ntp", []))
    net = network.write(now.get("network", {}))
    if live:
        if clock:
            tools.systemctl("restart", "systemd-timesyncd.service")
        if ssh:
            users.activate()
        if net:
            network.activate(before.get("network", {}), now.get("network", {}))


def set_soft_roce(wanted):
    """RDMA in software on these ports (True: on all) and on no others, be they VLANs, bonds or ports that are gone."""
    wanted = [p["name"] for p in network.ports()] if wanted is True else wanted or []
    # As systemd writes a name: "-" would stand for "/".
    escaped = [name.replace("-", r"\x2d") for name in wanted]
    units = {f"lichgate-rxe@{name}.service" for name in escaped}
    have = {name for name in os.listdir(WANTS) if name.startswith("lichgate-rxe@")} if os.path.isdir(WANTS) else set()
    refused = []
    for unit in sorted(have | units):
        try:
            tools.systemctl("enable" if unit in units else "disable", "--now", unit)
        except Refused as why:
            # It is enabled all the same, and the others shall be.
            refused.append(why)
    if refused:
        raise refused[0]


def apply_targets(config):
    if "soft_roce" in config.get("options", {}):
        set_soft_roce(config["options"]["soft_roce"])
    luns.apply(config, settings.kept().get("iqn_base", ""))


def at_boot(half):
    """One half of what the boot partition holds, if this content of it has not been applied; the exit code."""
    try:
        found = source()
    except Refused as why:
        print(why)
        return 1
    if not found:
        return 0
    name, data, parse = found
    digest = hashlib.sha256(data).hexdigest()
    done = tools.load(APPLIED).get(name, {})
    if done.get("sha256") != digest:
        done = {"sha256": digest, "problem": None, **dict.fromkeys(HALVES, False)}
    if done[half]:
        remember(name, done)
        return 0
    code = WRONG_FILE
    try:
        config = settings.check(parse(data))
        code = 1
        if half == "system":
            apply_system(config, live=False)
        else:
            apply_targets(config)
        done[half], done["problem"] = True, None
        code = 0
        print(f"{name}: {half} applied")
    except Refused as why:
        done["problem"] = str(why)
        print(f"{name} is not applied: {why}")
    remember(name, done)
    return code


def remember(name, done):
    """
    What became of this source, and of the other one earlier: a seed does not come back when appliance.json goes. The copy of
    a disk's seed has done its service when everything is applied.
    """
    others = {other: was for other, was in tools.load(APPLIED).items() if other != name}
    tools.store(APPLIED, {**others, name: done})
    if all(done[half] for half in HALVES):
        tools.remove(seed.COPY)


def problem():
    """What is wrong with the file on the boot partition that was looked at last, for the console, or None."""
    name, done = (list(tools.load(APPLIED).items()) or [("", {})])[-1]
    return f"{name} is not applied: {done['problem']}" if done.get("problem") else None


def run(args):
    if args.boot:
        return at_boot("targets")
    if args.file:
        try:
            name, data, parse = args.file, settings.read(args.file), settings.parse
        except OSError as e:
            raise Refused(f"{args.file} cannot be read: {e.strerror}") from e
    else:
        found = source()
        if not found:
            raise Refused("there is neither appliance.json nor a seed on the boot partition")
        name, data, parse = found
    try:
        config = settings.check(parse(data))
    except Refused as why:
        raise Refused(f"{os.path.basename(name)}: {why}") from why
    if args.check:
        print("nothing is wrong with it")
        return 0
    apply_system(config, live=True)
    apply_targets(config)
    if not args.file:
        remember(name, {"sha256": hashlib.sha256(data).hexdigest(), "problem": None, **dict.fromkeys(HALVES, True)})
    print("applied")
    return 0
