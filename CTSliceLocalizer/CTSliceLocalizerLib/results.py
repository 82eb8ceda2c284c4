"""What locating a scan gives, and the file ``location.json`` (schema ct-location/1) that holds it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from CTVolumeLib.errors import CTError
from CTVolumeLib.files import write_atomic

from .landmarks import LANDMARKS

SCHEMA = "ct-location/1"


@dataclass(frozen=True)
class Flag:
    """A warning about a result, or the reason for refusing one: short stable code, sentence for people."""

    code: str
    text: str


@dataclass(frozen=True)
class LandmarkEstimate:
    """Where one landmark lies.

    Attributes:
        name: as in ``landmarks.LANDMARKS``.
        location: on the article's scale.
        z_mm: LPS z, or None where the landmark lies outside the scan.
        sigma_mm: standard deviation of z_mm, or of the distance at which it would lie outside.
        inside: whether the scan shows it.
    """

    name: str
    location: float
    z_mm: float | None
    sigma_mm: float
    inside: bool


@dataclass(frozen=True)
class Coverage:
    """What the scan covers: the lowest and highest location on the article's scale, and both in words."""

    start: float
    stop: float
    words: str


@dataclass(frozen=True, eq=False)
class Appearance:
    """What the network sees at even heights: the same place of the same patient looks alike in two scans.

    Attributes:
        z_mm: (g,) LPS z, growing by the same step.
        features: (g, n) uint8, 255 is the largest of the scan; to be compared only with those of the same model.
    """

    z_mm: np.ndarray
    features: np.ndarray

    @classmethod
    def of(cls, z_mm: np.ndarray, features: np.ndarray) -> Appearance:
        """From features as the network gives them, (g, n) and not negative."""
        return cls(z_mm, np.rint(features * (255 / max(float(features.max()), 1e-6))).astype(np.uint8))

    def mirrored(self) -> Appearance:
        """With all heights negated, still growing."""
        return Appearance(-self.z_mm[::-1], self.features[::-1])

    def to_json(self) -> dict[str, Any]:
        """Numbers as text in base 64, row by row."""
        return {
            "first_mm": round(float(self.z_mm[0]), 3),
            "step_mm": round(float(self.z_mm[1] - self.z_mm[0]), 3) if len(self.z_mm) > 1 else 0.0,
            "rows": len(self.features),
            "features": base64.b64encode(self.features.tobytes()).decode("ascii"),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Appearance:
        """Read what ``to_json`` gave."""
        values = np.frombuffer(base64.b64decode(content["features"]), np.uint8)
        rows = int(content["rows"])
        return cls(content["first_mm"] + content["step_mm"] * np.arange(rows), values.reshape(rows, -1))


@dataclass(frozen=True, eq=False)
class ScanLocation:
    """The locations of a whole scan; slices in the order of the axial volume, from the feet to the head.

    Attributes:
        z_mm: (k,) LPS z of each slice's centre.
        raw: (k,) location of each slice as the network sees it, before the fit.
        location: (k,) fitted location on the article's scale.
        sigma: (k,) standard deviation of ``location``, on the same scale.
        body_mm: (k,) fitted body coordinate, see ``landmarks``.
        sigma_mm: (k,) standard deviation of ``body_mm``.
        index: (k,) index of each slice in the scan as it is stored.
        files: file of each slice, or empty.
        landmarks: all twelve.
        coverage: None only where the scan was refused.
        flags: what the user has to know before trusting the result.
        refused: why there is no result, or None.
        series: source, modality, slices, z_mm range; no patient's name or ID.
        model: name and sha256.
        appearance: for matches with other scans; None where it is not known.
    """

    z_mm: np.ndarray
    raw: np.ndarray
    location: np.ndarray
    sigma: np.ndarray
    body_mm: np.ndarray
    sigma_mm: np.ndarray
    index: np.ndarray
    files: tuple[str, ...]
    landmarks: tuple[LandmarkEstimate, ...]
    coverage: Coverage | None
    flags: tuple[Flag, ...] = ()
    refused: Flag | None = None
    series: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    appearance: Appearance | None = None

    def location_at(self, z_mm: np.ndarray | float) -> np.ndarray:
        """Location at any height inside the scan; NaN outside.

        Args:
            z_mm: LPS z in mm, any shape.
        """
        return np.interp(z_mm, self.z_mm, self.location, left=np.nan, right=np.nan)

    def match(self, location: float, tolerance: float) -> np.ndarray:
        """Slices within a tolerance of a location, nearest first, as in the article.

        Args:
            location: on the article's scale.
            tolerance: half-width on the same scale.

        Returns:
            Positions into the arrays of this object.
        """
        distance = np.abs(self.location - location)
        order = np.argsort(distance, kind="stable")
        return order[distance[order] <= tolerance]

    def match_files(self, location: float, tolerance: float) -> list[str]:
        """Files of the slices within a tolerance of a location, nearest first.

        Raises:
            CTError: the scan did not come from one file per slice.
        """
        if not self.files:
            raise CTError("no_files", "This scan is not stored as one file per slice.", "Use match() for the indices.")
        return [self.files[position] for position in self.match(location, tolerance)]

    def landmark(self, name: str) -> LandmarkEstimate:
        """The estimate of one landmark by its name."""
        return next(estimate for estimate in self.landmarks if estimate.name == name)

    def to_json(self) -> dict[str, Any]:
        """The content of location.json."""
        return {
            "schema": SCHEMA,
            "refused": _flag_json(self.refused),
            "series": dict(self.series),
            "coverage": None
            if self.coverage is None
            else {"from": self.coverage.start, "to": self.coverage.stop, "words": self.coverage.words},
            "slices": [
                {
                    "index": int(self.index[k]),
                    "file": Path(self.files[k]).name if self.files else None,
                    "z_mm": round(float(self.z_mm[k]), 3),
                    "raw": round(float(self.raw[k]), 5),
                    "location": round(float(self.location[k]), 5),
                    "sigma": round(float(self.sigma[k]), 5),
                    "body_mm": round(float(self.body_mm[k]), 2),
                    "sigma_mm": round(float(self.sigma_mm[k]), 2),
                }
                for k in range(len(self.z_mm))
            ],
            "landmarks": [
                {
                    "name": estimate.name,
                    "location": estimate.location,
                    "z_mm": None if estimate.z_mm is None else round(estimate.z_mm, 2),
                    "sigma_mm": round(estimate.sigma_mm, 2) if np.isfinite(estimate.sigma_mm) else None,
                    "inside": estimate.inside,
                }
                for estimate in self.landmarks
            ],
            "flags": [_flag_json(flag) for flag in self.flags],
            "model": dict(self.model),
            "appearance": None if self.appearance is None else self.appearance.to_json(),
        }

    def write(self, path: Path | str) -> None:
        """Write location.json."""
        write_atomic(path, json.dumps(self.to_json(), indent=1))


def refusal(
    flag: Flag, *, series: Mapping[str, Any], flags: tuple[Flag, ...] = (), model: Mapping[str, Any] | None = None
) -> ScanLocation:
    """A result that says why there is none: no slices, no landmark inside.

    Args:
        flag: the reason.
        series: as in ScanLocation.
        flags: further warnings.
        model: as in ScanLocation.
    """
    empty = np.empty(0)
    return ScanLocation(
        z_mm=empty,
        raw=empty,
        location=empty,
        sigma=empty,
        body_mm=empty,
        sigma_mm=empty,
        index=np.empty(0, dtype=int),
        files=(),
        landmarks=tuple(
            LandmarkEstimate(landmark.name, landmark.location, None, float("nan"), False) for landmark in LANDMARKS
        ),
        coverage=None,
        flags=flags,
        refused=flag,
        series=series,
        model=model or {},
    )


def from_json(content: Mapping[str, Any]) -> ScanLocation:
    """Read what ``to_json`` gave.

    Raises:
        CTError: another schema, or keys missing.
    """
    if content.get("schema") != SCHEMA:
        raise CTError("bad_schema", f"This is not a file of the schema {SCHEMA}.", "Run ct-localize locate again.")
    try:
        slices = content["slices"]
        column = {
            key: np.array([row[key] for row in slices], dtype=float)
            for key in ("z_mm", "raw", "location", "sigma", "body_mm", "sigma_mm")
        }
        files = tuple(row["file"] for row in slices)
        coverage = content["coverage"]
        return ScanLocation(
            **column,
            index=np.array([row["index"] for row in slices], dtype=int),
            files=files if all(files) else (),
            landmarks=tuple(
                LandmarkEstimate(
                    row["name"],
                    row["location"],
                    row["z_mm"],
                    float("nan") if row["sigma_mm"] is None else row["sigma_mm"],
                    row["inside"],
                )
                for row in content["landmarks"]
            ),
            coverage=None if coverage is None else Coverage(coverage["from"], coverage["to"], coverage["words"]),
            flags=tuple(Flag(row["code"], row["text"]) for row in content["flags"]),
            refused=None
            if content["refused"] is None
            else Flag(content["refused"]["code"], content["refused"]["text"]),
            series=content["series"],
            model=content["model"],
            appearance=Appearance.from_json(content["appearance"]) if content.get("appearance") else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CTError(
            "bad_schema", f"The location file lacks or garbles {error}.", "Run ct-localize locate again."
        ) from error


def _flag_json(flag: Flag | None) -> dict[str, str] | None:
    return None if flag is None else {"code": flag.code, "text": flag.text}
