"""Who may import whom: one floor uses only what lies below it (the table is that of the design, section 2)."""

from __future__ import annotations

import ast
import fnmatch
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIBS = sorted(path.parent.name for path in ROOT.glob("*/*Lib/__init__.py"))
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for module in {path.parent.parent for path in ROOT.glob("*/*Lib/__init__.py")}
    for path in [*module.glob("*.py"), *module.glob("*Panel/*.py"), *module.glob("*Lib/**/*.py")]
)

SCIENCE = {"numpy", "scipy", "SimpleITK", "pydicom"}
"""What Slicer ships."""
NETWORKS = {"tensorflow", "keras"}
DECODERS = {"jpeg_ls", "openjpeg", "pylibjpeg"}
"""Faster decoders of pixel data, used where they are installed."""
MODULES = {"SampleData", "DICOMLib", "ScreenCapture"}
"""Scripted modules of Slicer."""


TRAINING = (
    "training*", "augmentation", "dataset", "article_*", "network*", "train*",
)  # fmt: skip
COMMANDS = ("cli*", "report*", "scanfiles", "resultfiles", "evaluation*", "crossvalidation*")
STATISTICS = ("classifier/folds", "classifier/baseline")
"""Scikit-learn comes with what training needs."""
PACKAGES = ("classifier/",)
"""Folders inside a Lib; their files have the same floors."""


@dataclass(frozen=True)
class Floor:
    """What files may import.

    Attributes:
        files: patterns of paths; the first floor that fits is a file's floor.
        always: packages at module level.
        inside: packages also inside functions.
        scene: whether ``CTVolumeLib.scene`` may be imported.
    """

    name: str
    files: tuple[str, ...]
    always: set[str]
    inside: set[str] = field(default_factory=set)
    scene: bool = False


FLOORS = (
    Floor("scene", ("CTVolume/CTVolumeLib/scene*.py",), SCIENCE | {"slicer", "vtk"}, scene=True),
    Floor(
        "batch",
        ("CTVolume/CTVolumeLib/batch.py", "CTVolume/CTVolumeLib/workers.py"),
        SCIENCE,
        {"joblib", "dask", "distributed", "tqdm"},
    ),
    Floor("command line", ("CTVolume/CTVolumeLib/commands.py",), {"click"}, {"tqdm"}),
    Floor("inference", ("CTVolume/CTVolumeLib/inference*.py",), SCIENCE, {"ai_edge_litert", "onnxruntime"}),
    Floor("training", ("CTVolume/CTVolumeLib/network_*.py",), SCIENCE | NETWORKS, {"ai_edge_litert"}),
    Floor("library", ("CTVolume/CTVolumeLib/*.py",), SCIENCE, DECODERS),
    Floor(
        "training",
        tuple(f"*/*Lib/{folder}{name}.py" for folder in ("", *PACKAGES) for name in TRAINING),
        SCIENCE | NETWORKS | {"click", "tqdm"},
        {"ai_edge_litert", "skimage", "joblib", "PIL"},
    ),
    Floor(
        "commands",
        tuple(f"*/*Lib/{folder}{name}.py" for folder in ("", *PACKAGES) for name in COMMANDS),
        SCIENCE | {"click", "matplotlib", "skimage", "tqdm", "PIL"},
    ),
    Floor("statistics", tuple(f"*/*Lib/{name}.py" for name in STATISTICS), SCIENCE, {"sklearn"}),
    Floor("tools", ("*/*Lib/**.py",), SCIENCE),
    Floor("panel", ("*/*Panel/*.py",), {"slicer", "vtk", "qt", "ctk"}, SCIENCE | MODULES, scene=True),
    Floor(
        "module",
        ("*/*.py",),
        {"slicer", "vtk", "qt", "ctk"},
        SCIENCE | MODULES,
        scene=True,
    ),
)
UPPER = {"training": TRAINING, "commands": COMMANDS}
"""Files of the own Lib that only their floor imports at module level, and other tools not at all."""


@dataclass(frozen=True)
class Import:
    package: str
    module: str
    inside: bool
    line: int


def floor_of(path: str) -> Floor:
    return next(floor for floor in FLOORS if any(fnmatch.fnmatch(path, pattern) for pattern in floor.files))


def imports_of(path: str) -> list[Import]:
    """All imports of a file; relative ones with the name of their Lib. Those for type checkers alone don't count."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found: list[Import] = []

    def visit(node: ast.AST, inside: bool) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.append(Import(alias.name.split(".")[0], alias.name, inside, node.lineno))
        elif isinstance(node, ast.ImportFrom):
            folders = Path(path).parts[1:-1]
            start = list(folders[: len(folders) - node.level + 1]) if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            for alias in node.names:
                found.append(Import(base.split(".")[0], f"{base}.{alias.name}", inside, node.lineno))
        inside = inside or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(tree, False)
    return found


def problems_of(path: str) -> list[str]:
    """What a file imports against the table."""
    floor, lib = floor_of(path), Path(path).parts[1]
    problems = []
    for entry in imports_of(path):
        where = f"{path}:{entry.line} imports {entry.module}"
        parts = [part for part in entry.module.split(".") if f"{part}/" not in PACKAGES]
        if entry.package in sys.stdlib_module_names or entry.package == "__future__":
            continue
        if entry.package.endswith("Panel") and (floor.name == "panel" or (floor.name == "module" and entry.inside)):
            continue
        if entry.package in LIBS:
            if floor.name not in ("module", "panel") and entry.package not in (lib, "CTVolumeLib"):
                problems.append(f"{where}: another module's library")
            if parts[:2] in (["CTVolumeLib", "scene"], ["CTVolumeLib", "scene_results"]) and not floor.scene:
                problems.append(f"{where}: only the module files use the scene")
            if floor.name in ("module", "panel") and not entry.inside:
                problems.append(f"{where} at module level: Slicer would load it at start-up")
            if parts[:2] == ["CTVolumeLib", "commands"] and floor.name not in ("command line", "commands"):
                problems.append(f"{where}: only commands use the command line")
            for upper, names in UPPER.items():
                allowed = floor.name == upper or (entry.inside and floor.name in ("commands", "module", "panel"))
                named = len(parts) > 1 and any(fnmatch.fnmatch(parts[1], name) for name in names)
                if entry.package in (lib, "CTVolumeLib") and named and not allowed:
                    problems.append(f"{where}: that belongs to the {upper} floor above")
        elif entry.package not in floor.always | (floor.inside if entry.inside else set()):
            level = "inside a function" if entry.inside else "at module level"
            problems.append(f"{where} {level}: the {floor.name} floor may not")
    return problems


@pytest.mark.parametrize("path", FILES)
def test_floors(path):
    problems = problems_of(path)
    assert not problems, "\n".join(problems)


def test_the_table_is_about_what_is_there():
    assert {"CTVolumeLib", "CTSliceLocalizerLib"} <= set(LIBS)
    assert floor_of("CTVolume/CTVolumeLib/volume.py").name == "library"
    assert floor_of("CTSliceLocalizer/CTSliceLocalizerLib/landmarks.py").name == "tools"
    assert floor_of("CTSliceLocalizer/CTSliceLocalizer.py").name == "module"
    assert {floor_of(path).name for path in FILES} >= {"scene", "batch", "library", "tools", "module"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("CTVolume/CTVolumeLib/x.py", "import tensorflow"),
        ("CTVolume/CTVolumeLib/x.py", "def f():\n    from skimage import measure"),
        ("CTVolume/CTVolumeLib/x.py", "import vtk"),
        ("CTVolume/CTVolumeLib/x.py", "from . import scene"),
        ("CTVolume/CTVolumeLib/x.py", "from .scene import volume_from_node"),
        ("CTVolume/CTVolumeLib/x.py", "from CTSliceLocalizerLib import landmarks"),
        ("CTVolume/CTVolumeLib/batch.py", "import joblib"),
        ("CTVolume/CTVolumeLib/batch.py", "from . import commands"),
        ("CTVolume/CTVolumeLib/commands.py", "import numpy"),
        ("CTSliceLocalizer/CTSliceLocalizerLib/predictor.py", "def f():\n    from CTVolumeLib.commands import say"),
        ("CTVolume/CTVolumeLib/inference.py", "try:\n    import ai_edge_litert\nexcept ImportError:\n    pass"),
        ("CTSliceLocalizer/CTSliceLocalizerLib/predictor.py", "import matplotlib.pyplot as plt"),
        ("CTSliceLocalizer/CTSliceLocalizerLib/predictor.py", "from . import networks"),
        ("CTSliceLocalizer/CTSliceLocalizerLib/predictor.py", "def f():\n    from .training import train"),
        ("CTSliceLocalizer/CTSliceLocalizerLib/predictor.py", "from LungSegmentLib import lungs"),
        ("CTSliceLocalizer/CTSliceLocalizerLib/cli.py", "from . import training"),
        ("CTSliceLocalizer/CTSliceLocalizerLib/cli.py", "import slicer"),
        ("CTSliceLocalizer/CTSliceLocalizer.py", "import numpy"),
        ("CTSliceLocalizer/CTSliceLocalizer.py", "from CTVolumeLib import scene"),
        ("CTSliceLocalizer/CTSliceLocalizer.py", "from CTSliceLocalizerPanel import parameters"),
        ("CTSliceLocalizer/CTSliceLocalizerPanel/x.py", "import numpy"),
        ("CTSliceLocalizer/CTSliceLocalizerPanel/x.py", "def f():\n    import matplotlib"),
        ("CTSliceLocalizer/CTSliceLocalizerLib/x.py", "from CTSliceLocalizerPanel import parameters"),
    ],
)
def test_breaches_are_found(tmp_path, monkeypatch, path, text):
    """The guard itself: each of these has to be noticed."""
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text)
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    monkeypatch.setitem(globals(), "LIBS", ["CTSliceLocalizerLib", "CTVolumeLib", "LungSegmentLib"])
    assert len(problems_of(path)) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("CTVolume/CTVolumeLib/inference.py", "def f():\n    import ai_edge_litert.interpreter"),
        ("CTVolume/CTVolumeLib/batch.py", "def f():\n    from joblib import cpu_count"),
        ("CTSliceLocalizer/CTSliceLocalizerLib/cli.py", "import click\ndef f():\n    from . import training"),
        ("CTSliceLocalizer/CTSliceLocalizer.py", "import slicer\ndef f():\n    from CTVolumeLib import scene"),
        ("CTSliceLocalizer/CTSliceLocalizer.py", "def f():\n    from CTSliceLocalizerPanel import parameters"),
        ("CTSliceLocalizer/CTSliceLocalizerPanel/x.py", "import qt\nfrom . import parameters"),
        (
            "CTSliceLocalizer/CTSliceLocalizerLib/x.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tensorflow",
        ),
    ],
)
def test_what_is_allowed_is_not_complained_about(tmp_path, monkeypatch, path, text):
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text)
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert problems_of(path) == []


PREDICTION = ["CTVolumeLib.volume", "CTVolumeLib.dicom", "CTVolumeLib.inference", "CTSliceLocalizerLib.predictor"]
HEAVY = "tensorflow keras ai_edge_litert onnxruntime matplotlib skimage slicer vtk joblib dask distributed click"
MEASURE = f"""
import importlib, sys, time
start = time.perf_counter()
importlib.import_module(sys.argv[1])
print(time.perf_counter() - start)
print(*sorted(set("{HEAVY}".split()) & set(sys.modules)))
"""


@pytest.mark.parametrize("module", PREDICTION)
def test_the_prediction_path_imports_nothing_heavy(module, capsys):
    """Nothing heavy comes along; the time is printed here and held to its bar by the benchmarks."""
    lib, name = module.split(".")
    if not list(ROOT.glob(f"*/{lib}/{name}.py")):
        pytest.skip(f"{module} does not exist yet")
    runs = [
        subprocess.run([sys.executable, "-c", MEASURE, module], capture_output=True, text=True, check=True).stdout
        for _ in range(3)
    ]
    seconds, heavy = min(float(run.splitlines()[0]) for run in runs), runs[0].splitlines()[1:]
    with capsys.disabled():
        print(f"\nimport {module}: {seconds:.2f} s")
    assert "".join(heavy).strip() == ""
