# SPDX-License-Identifier: BSD-3-Clause
"""The command of the appliance. What the folder has: README.md."""

MOST_SAID = 1000


def printable(text):
    """For a terminal and the journal, though a stranger wrote part of it: one line, and no end of it."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:MOST_SAID + 1])
    return text if len(text) <= MOST_SAID else text[:MOST_SAID] + "..."


class Refused(Exception):
    """What was asked for is not done, and nothing has changed: one sentence for the user."""

    def __init__(self, why):
        super().__init__(printable(why))
