"""The CMake lists against the disk: a file that is not listed works from source and is missing in the package."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOP = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
MODULES = sorted(path.parent.name for path in ROOT.glob("*/CMakeLists.txt"))
LISTS = {"MODULE_PYTHON_SCRIPTS": True, "MODULE_PYTHON_RESOURCES": False}


def listed(module: str, name: str) -> list[str]:
    """The entries of a list in a module's CMakeLists.txt."""
    text = (ROOT / module / "CMakeLists.txt").read_text(encoding="utf-8")
    found = re.search(rf"set\({name}\s(.*?)\)", text, re.DOTALL)
    assert found, f"{module}/CMakeLists.txt has no {name}"
    return found[1].replace("${MODULE_NAME}", module).split()


def on_disk(module: str, scripts: bool) -> set[str]:
    """The files of a module that belong into the list."""
    folder = ROOT / module
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {
        path.as_posix()
        for path in paths
        if (path.suffix == ".py") == scripts
        and path.name != "CMakeLists.txt"
        and path.suffix != ".pyc"
        and not any(part.startswith((".", "__pycache__")) for part in path.parts)
    }


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("name", LISTS)
def test_lists_are_what_is_on_disk(module, name):
    entries, files = listed(module, name), on_disk(module, LISTS[name])
    missing, extra = sorted(files - set(entries)), sorted(set(entries) - files)
    message = [f"{module}/CMakeLists.txt, {name}:"]
    message += ["add", *(f"  {entry}" for entry in missing)] if missing else []
    message += ["take out (not on disk)", *(f"  {entry}" for entry in extra)] if extra else []
    message += ["or run: python Testing/update_cmake.py"]
    assert not missing + extra, "\n".join(message)
    assert len(entries) == len(set(entries)), "an entry is there twice"


def test_every_module_is_built():
    assert sorted(re.findall(r"add_subdirectory\((\w+)\)", TOP)) == MODULES
    assert {"CTSliceLocalizer", "CTVolume"} <= set(MODULES)


def test_name_is_the_same_everywhere():
    assert re.search(r"^project\((\w+)\)", TOP, re.MULTILINE)[1] == "CTSliceLocalizer"
    assert 'name = "CTSliceLocalizer"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["EXTENSION_ICONURL", "EXTENSION_SCREENSHOTURLS"])
def test_pictures_are_said_on_one_line_and_exist(name):
    found = re.findall(rf'^set\({name} "(https://[^"]+)"\)$', TOP, re.MULTILINE)
    assert len(found) == 1
    for url in found[0].split():
        path = url.split("/main/", 1)[1]
        assert (ROOT / path).is_file(), f"{path} is not in the repository"
        assert (ROOT / path).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "DEPENDS"])
def test_description_is_complete(name):
    assert len(re.findall(rf'^set\(EXTENSION_{name} "[^"]+"\)$', TOP, re.MULTILINE)) == 1


def test_line_ends_and_licence():
    assert b"\r" not in (ROOT / "CMakeLists.txt").read_bytes()
    assert "Apache License" in (ROOT / "LICENSE.txt").read_text(encoding="utf-8")


STUB = """
set(Slicer_FOUND TRUE)
set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/empty.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/empty.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/empty.cmake)
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "unknown: ${MY_UNPARSED_ARGUMENTS}")
  endif()
  foreach(file ${MY_SCRIPTS} ${MY_RESOURCES})
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
      message(FATAL_ERROR "nonexistent: ${file}")
    endif()
  endforeach()
  list(LENGTH MY_SCRIPTS count)
  message(STATUS "module ${MY_NAME}: ${count} scripts, generic tests ${MY_WITH_GENERIC_TESTS}")
endmacro()
macro(slicer_add_python_unittest)
endmacro()
"""


@pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("cc")), reason="cmake or a compiler is not installed")
def test_cmake_reads_it(tmp_path):
    """With stand-ins for Slicer's macros that check what the real ones check."""
    stub = tmp_path / "stub"
    stub.mkdir()
    (stub / "SlicerConfig.cmake").write_text(STUB)
    (stub / "empty.cmake").write_text("")
    command = ["cmake", "-S", str(ROOT), "-B", str(tmp_path / "build"), f"-DSlicer_DIR={stub}", "-DBUILD_TESTING=ON"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    for module in MODULES:
        panel = (ROOT / module / f"{module}.py").exists()
        scripts = len(on_disk(module, scripts=True))
        assert f"module {module}: {scripts} scripts, generic tests {str(panel).upper()}" in done.stdout
