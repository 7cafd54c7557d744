# SPDX-License-Identifier: BSD-3-Clause
"""The command of the appliance. What the folder has: README.md."""


class Refused(Exception):
    """What was asked for is not done, and nothing has changed: one sentence for the user."""
