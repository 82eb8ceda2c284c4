"""The page of an evaluation in a browser: nothing is fetched, nothing overflows, everything can be read."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorflow")
import numpy as np
from LungSegmentLib.classifier import evaluation_figures, evaluation_page, evaluation_pictures
from LungSegmentLib.classifier.evaluation_cases import CaseShown
from support_browser import CONTRASTS, THEMES, open_page, picture
from support_classifier_scores import made_up

pytestmark = pytest.mark.browser
LEAST_CONTRAST = 4.5


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    found = made_up(2.0, 0.5)
    rng = np.random.default_rng(0)
    shown = evaluation_pictures.Shown(
        rng.uniform(size=(16, 32, 32)).astype(np.float32), rng.normal(size=(16, 32, 32)).astype(np.float32),
        (260.0, 220.0, 320.0),
    )  # fmt: skip
    png = evaluation_pictures.draw(shown)
    cases = [CaseShown(f"chest-{n:04d}", n % 2, 0.2 + 0.6 * (n < 2), 0.5, png) for n in range(4)]
    figures = evaluation_figures.figures(found, 1_351_873)
    about = {"Network": "example, 1,351,873 parameters", "Folds": "5 by patient"}
    path = tmp_path_factory.mktemp("page") / "evaluation.html"
    path.write_text(evaluation_page.make(found, figures, cases, about), encoding="utf-8")
    return path


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [1366, 480])
def test_page(browser, page, theme, width, tmp_path):
    requests = open_page(browser, page, theme, width)
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    poor = [one for one in browser.execute_script(CONTRASTS) if one[0] < LEAST_CONTRAST]
    assert poor == []
    assert browser.execute_script("return [...document.images].every((image) => image.naturalWidth > 100)")
    picture(browser, tmp_path / f"{theme}-{width}.png")
