"""Write the lists of files in the modules' CMakeLists.txt anew from what is on disk: python Testing/update_cmake.py."""

from __future__ import annotations

import re

import test_cmake as lists


def main() -> None:
    """Update all modules."""
    for module in lists.MODULES:
        path = lists.ROOT / module / "CMakeLists.txt"
        text = path.read_text(encoding="utf-8")
        for name, scripts in lists.LISTS.items():
            files = sorted(lists.on_disk(module, scripts), key=lambda file: ("/" in file, file))
            lines = "".join(f"  {'${MODULE_NAME}.py' if file == f'{module}.py' else file}\n" for file in files)
            text = re.sub(rf"set\({name}\n[^)]*\)", lambda _, new=f"set({name}\n{lines}  )": new, text)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
