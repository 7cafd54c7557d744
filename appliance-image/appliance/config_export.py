# SPDX-License-Identifier: BSD-3-Clause
"""lichgate-appliance config-export: everything that makes this appliance this one, as one JSON file."""
import json
import os
import sys
import time

from . import Refused, settings, store, tools, users

KIND = "lichgate-configuration"
FORMAT = 1


def add_arguments(parser):
    parser.add_argument("file", metavar="FILE", help="'-' is the standard output")
    parser.add_argument("--no-secrets", action="store_true",
                        help="without CHAP secrets, the password's hash and the SSH host key")


def collected(secrets):
    """
    LUNs keep their SCSI identities, targets their names, initiators their passwords, and SSH clients know the host again.
    /etc/machine-id is not in it: it is the machine's, and two with one would get one DHCP lease.
    """
    number, objects = store.load()
    own = settings.kept()
    # It may have been set by passwd, or locked: then the one before must not open another appliance.
    own.pop("password_hash", None)
    if settings.PASSWORD_HASH.fullmatch(users.stored_hash() or ""):
        own["password_hash"] = users.stored_hash()
    found = {"kind": KIND, "format": FORMAT, "at": int(time.time()), "secrets": secrets,
             "settings": own, "gateway": {"format": number, "objects": objects}}
    if secrets:
        found["ssh_host_key"] = tools.read(users.HOST_KEY)
    else:
        own.pop("password_hash", None)
        for o in objects:
            o.pop(store.SECRET, None)
    return found


def run(args):
    text = json.dumps(collected(not args.no_secrets), indent=1) + "\n"
    if args.file == "-":
        sys.stdout.write(text)
    elif not tools.takes_file(args.file):
        raise Refused(f"{args.file} is no regular file; '-' is the standard output")
    elif not os.path.isdir(os.path.dirname(args.file) or "."):
        # A stick that is not there would leave a backup in memory.
        raise Refused(f"{args.file} cannot be written: its folder does not exist")
    else:
        try:
            tools.write(args.file, text, 0o600)
        except OSError as e:
            raise Refused(f"{args.file} cannot be written: {e.strerror}") from e
        print(f"The configuration is in {args.file}.")
    return 0
