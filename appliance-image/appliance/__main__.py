# SPDX-License-Identifier: BSD-3-Clause
"""lichgate-appliance COMMAND: the table of commands, each a module with add_arguments(parser) and run(args)."""
import argparse
import importlib
import sys

from . import Refused

# Command: what it does. Its module has its name, with _ for -, and is loaded when it is asked for.
COMMANDS = {
    "update": "write a new version into the other slot and try it at the next boot",
    "rollback": "boot the version in the other slot from now on",
    "confirm": "test the running slot and, if it works, make it the good one",
    "selftest": "see whether the daemons serve: login, write, read, reservation",
    "install": "put this system on a disk of the machine",
    "status": "show the version, both slots and what will boot next",
    "support-bundle": "write a file for whoever helps, without secrets",
    "health": "show what the disks say of themselves",
    "tune": "give the gateway its cores and its memory, the network its interrupts",
    "first-boot": "make this appliance's names and keys, and set the system up as appliance.json or a seed says",
    "apply": "set up everything as appliance.json or a seed says",
    "console": "show the menu of the screen and the serial line",
    "config-export": "write the configuration, with the identities of everything in it, to one file",
    "config-import": "take over the configuration from a file of config-export",
}


def main():
    parser = argparse.ArgumentParser(prog="lichgate-appliance", description="Look after this appliance.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, does in COMMANDS.items():
        sub = commands.add_parser(name, help=does, description=does[0].upper() + does[1:] + ".")
        sub.set_defaults(command=name)
        if sys.argv[1:2] == [name]:
            module = importlib.import_module("." + name.replace("-", "_"), __package__)
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    args = parser.parse_args()
    try:
        return args.run(args)
    except Refused as why:
        print(f"lichgate-appliance {args.command}: {why}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"lichgate-appliance {args.command}: interrupted", file=sys.stderr)
    except OSError as why:
        about = why.filename2 or why.filename
        print(f"lichgate-appliance {args.command}: {f'{about}: ' if about else ''}{why.strerror or why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
