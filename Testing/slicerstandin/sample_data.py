"""The module ``SampleData``: sources are registered and loaded as in Slicer, from files and custom downloaders only."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import slicer


class SampleDataSource:
    """One button of the Sample Data module."""

    def __init__(
        self,
        sampleName=None,
        sampleDescription=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        checksums=None,
        loadFiles=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileTypes=None,
        loadFileProperties=None,
    ):
        self.sampleName, self.uris, self.fileNames, self.nodeNames = sampleName, uris, fileNames, nodeNames
        self.checksums, self.customDownloader, self.thumbnailFileName = checksums, customDownloader, thumbnailFileName
        self.loadFileTypes = loadFileTypes


class SampleDataLogic:
    """Registers and loads."""

    @staticmethod
    def registerCustomSampleDataCategory(category=None, title=None):
        _sources().setdefault(category, [])

    @staticmethod
    def registerCustomSampleDataSource(category="Custom", **source):
        entries = _sources().setdefault(category, [])
        entries[:] = [entry for entry in entries if entry.sampleName != source.get("sampleName")]
        entries.append(SampleDataSource(**source))

    def downloadSample(self, name):
        return self.downloadSamples(name)[0]

    def downloadSamples(self, name):
        source = next((e for entries in _sources().values() for e in entries if e.sampleName == name), None)
        if source is None:
            raise ValueError(f"there is no sample {name!r}")
        return self.downloadFromSource(source)

    def downloadFromSource(self, source):
        if source.customDownloader is not None:
            return source.customDownloader(source)
        address = urlparse(source.uris)
        assert address.scheme == "file", f"{source.sampleName} would be downloaded from {source.uris}"
        path = Path(url2pathname(address.path))
        if source.checksums:
            kind, _, digest = source.checksums.partition(":")
            assert hashlib.new(kind, path.read_bytes()).hexdigest() == digest, f"{path.name} differs from its checksum"
        cached = shutil.copy(path, slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory())
        return [slicer.util.loadVolume(str(cached), {"name": source.nodeNames})]


def downloadSample(name):
    """For scripts."""
    return SampleDataLogic().downloadSample(name)


def downloadSamples(name):
    """For scripts."""
    return SampleDataLogic().downloadSamples(name)


def install(session) -> None:
    """Put the module in place."""
    from .session import _module

    members = {name: globals()[name] for name in ("SampleDataLogic", "downloadSample", "downloadSamples")}
    session._put_module("SampleData", _module("SampleData", members))
    slicer.modules.sampleDataSources = {}


def _sources() -> dict:
    return slicer.modules.sampleDataSources
