"""The commands of ``ct-localize`` that make and judge a model of one's own.

Heavy packages are imported inside functions, so that ``--help`` is quick.
"""

from __future__ import annotations

import click

COMMANDS: tuple[click.Command, ...] = ()
"""All commands of this file, in the order of their use."""
