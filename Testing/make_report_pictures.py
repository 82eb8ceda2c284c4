"""Take the README's pictures of the reports anew: python Testing/make_report_pictures.py; it needs Chromium."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import demo
from make_tutorial_pictures import DOCS, shoot_page

SIZE = (1280, 1000)


def main() -> None:
    """Run the demo, and photograph the upper part of both of its reports."""
    with tempfile.TemporaryDirectory() as folder:
        if demo.main(["--out", folder]):
            sys.exit("The demo failed.")
        shoot_page(Path(folder) / "report.html", DOCS / "match.png", SIZE)
        shoot_page(Path(folder) / "baseline" / "report.html", DOCS / "locate.png", SIZE)


if __name__ == "__main__":
    main()
