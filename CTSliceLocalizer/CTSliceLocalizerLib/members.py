"""A model may be several networks of the same kind, trained on different patients: its members.

They run side by side: the part ``encoder`` gives the outputs of all of them next to each other, and each has a context
network of its own, ``context1``, ``context2``, ..., and likewise one for each view (``skeleton1``, ``airway1``, ...).
What they say is brought together as probabilities, so that where they disagree the distribution gets wider, which is
what sigma is made of. A model with one network has the parts ``encoder``, ``context``, ``skeleton`` and ``airway``; the
last two may be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from CTVolumeLib.errors import CTError
from CTVolumeLib.inference import Model
from scipy.special import log_softmax, logsumexp

from . import airway, curve, frontal, skeleton, slicegrid

ENCODER, CONTEXT = "encoder", "context"
VIEWS = (skeleton.VIEW, airway.VIEW)

Progress = Callable[[int, int, str], bool]


def count(model: Model) -> int:
    """How many networks a model is made of; 0 where it is of another kind and can't place a scan."""
    return len(_contexts(model)) if ENCODER in model.parts else 0


def each(grid: slicegrid.SliceGrid, model: Model, progress: Progress | None = None) -> list[curve.Estimates]:
    """What every member says of a scan, read both in its own order and upside-down.

    Args:
        grid: from ``slicegrid.make``.
        model: with one or several members.
        progress: called with slices done, slices in all, and a text; False cancels.
    """
    contexts = _contexts(model)
    pictures = grid.hu[..., None].astype(np.float32) / 1000.0
    single = model.parts[ENCODER].predict(pictures, progress)
    views = {view.name: view.picture(grid.hu) for view in VIEWS}
    found = []
    for number, context in enumerate(contexts):
        own = {name: np.split(value, len(contexts), axis=-1)[number] for name, value in single.items()}
        upright, reversed_ = (_sequence(model, context, own["features"], views, step) for step in (1, -1))
        found.append(
            curve.Estimates(
                z_mm=grid.z_mm,
                body=grid.body_cm2 > slicegrid.MIN_BODY_CM2,
                raw=own["raw"],
                orientation=own["orientation"],
                upright=upright,
                reversed=curve.Sequence(reversed_.body[::-1], reversed_.landmarks[::-1]),
                features=own["features"],
            )
        )
    return found


def together(estimates: Sequence[curve.Estimates]) -> curve.Estimates:
    """One answer out of those of all members: the mean of their probabilities.

    Args:
        estimates: of the same scan, at least one.

    Returns:
        Logits of the mean distributions over body coordinates, and of the mean distribution of each landmark over the
        cells and "nowhere"; orientation by the mean logit. Features are those of the first member.
    """
    if len(estimates) == 1:
        return estimates[0]
    return replace(
        estimates[0],
        raw=_mean_bins([one.raw for one in estimates]),
        orientation=np.mean([one.orientation for one in estimates], axis=0),
        upright=_mean_sequence([one.upright for one in estimates]),
        reversed=_mean_sequence([one.reversed for one in estimates]),
    )


def only(model: Model, number: int) -> Model:
    """One member as a model of its own; it runs in numpy.

    Args:
        model: with one or several members.
        number: which, from 0.

    Raises:
        CTError: ``no_member`` where there are not so many.
    """
    contexts = _contexts(model)
    if not 0 <= number < len(contexts):
        raise CTError("no_member", f"The model {model.name} has {len(contexts)} members, not {number + 1}.")
    if len(contexts) == 1:
        return model
    parts = {ENCODER: model.parts[ENCODER].member(number), CONTEXT: model.parts[contexts[number]]}
    for view in VIEWS:
        if _part(view, contexts[number]) in model.parts:
            parts[view.name] = model.parts[_part(view, contexts[number])]
    return replace(model, parts=parts, name=f"{model.name} {number + 1}", engine="numpy")


def unseen(model: Model, patient: str) -> Model | None:
    """The member that never saw a patient, by what the card says; None where there is none.

    Args:
        model: with ``members`` on its card, each with the patients that are its ``held_out``; or ``held_out_patients``
            for a model with one member.
        patient: name as in the data's table.
    """
    entries = model.card.get("members") or [{"held_out": model.card.get("held_out_patients", [])}]
    return next((only(model, number) for number, entry in enumerate(entries) if patient in entry["held_out"]), None)


def _contexts(model: Model) -> list[str]:
    """The names of the context networks, in the order of the members."""
    if CONTEXT in model.parts:
        return [CONTEXT]
    numbered = range(1, len(model.parts) + 1)
    return [f"{CONTEXT}{number}" for number in numbered if f"{CONTEXT}{number}" in model.parts]


def _part(view: frontal.View, context: str) -> str:
    """The name of the network of a view that goes with a context network."""
    return context.replace(CONTEXT, view.name)


def _sequence(
    model: Model, context: str, features: np.ndarray, views: Mapping[str, np.ndarray], step: int
) -> curve.Sequence:
    """What one member says of cells, by their features (g, 128) and the pictures of the views.

    Args:
        model: with the member.
        context: name of its context network.
        features: of all cells, from the feet to the head.
        views: pictures of the same cells by the view's name.
        step: 1 for this order, -1 for the opposite one.
    """
    said = _said(model, context, features[::step])
    for view in VIEWS:
        if _part(view, context) in model.parts:
            said = frontal.joined(said, _said(model, _part(view, context), views[view.name][::step]), view)
    return said


def _said(model: Model, part: str, inputs: np.ndarray) -> curve.Sequence:
    found = model.parts[part].predict(np.ascontiguousarray(inputs[None]))
    return curve.Sequence(found["body"][0], found["landmarks"][0])


def _mean_bins(logits: Sequence[np.ndarray]) -> np.ndarray:
    return (logsumexp(log_softmax(logits, axis=-1), axis=0) - np.log(len(logits))).astype(np.float32)


def _mean_sequence(sequences: Sequence[curve.Sequence]) -> curve.Sequence:
    landmarks = np.stack([one.landmarks for one in sequences])
    with_nowhere = np.concatenate([landmarks, np.zeros_like(landmarks[:, :1])], axis=1)
    mean = logsumexp(log_softmax(with_nowhere, axis=1), axis=0)
    return curve.Sequence(
        _mean_bins([one.body for one in sequences]),
        (mean[:-1] - mean[-1]).astype(np.float32),
    )
