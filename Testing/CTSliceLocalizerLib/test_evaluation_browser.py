"""The page of an evaluation in a real headless Chromium: it asks nothing of the network, fits, and can be read."""

from __future__ import annotations

import pytest
from CTSliceLocalizerLib import evaluation_cases, evaluation_figures, evaluation_page, members, predictor
from support_browser import CONTRASTS, THEMES, element_picture, one, open_page, picture
from support_evaluation import make_case

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    cases = [make_case(n, 3.0 * n - 8, missed=n == 2) for n in range(6)]
    path = tmp_path_factory.mktemp("page") / "evaluation.html"
    path.write_text(evaluation_page.make(evaluation_figures.figures(cases), cases, {"Model": "mine"}, ["Look out."]))
    return path


def test_it_stands_alone(browser, page):
    requests = open_page(browser, page)
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert "6 patients" in one(browser, ".summary").text
    assert one(browser, ".alerts li").text == "Note: Look out."


@pytest.mark.parametrize("theme", THEMES)
def test_text_can_be_read(browser, page, theme):
    open_page(browser, page, theme)
    found = browser.execute_script(CONTRASTS)
    assert len(found) > 100
    assert [entry for entry in found if entry[0] < 4.5] == []


@pytest.mark.parametrize("width", [600, 1366, 1920])
def test_it_fits_the_width(browser, page, width):
    open_page(browser, page, width=width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_lines_of_the_worst_lie_at_their_height(browser, page):
    open_page(browser, page)
    first = one(browser, ".worst .picture")
    height = first.rect["height"]
    tops = {
        kind: one(browser, f".worst .picture .mark.{kind}").rect["y"] - first.rect["y"] for kind in ("truth", "found")
    }
    # The worst is the first scan, found 8 mm too low at z 160; the block's 56 slices of 4 mm end 2 mm beyond.
    assert tops["truth"] / height == pytest.approx((222 - 160) / 224, abs=0.02)
    assert (tops["found"] - tops["truth"]) / height == pytest.approx(8 / 224, abs=0.015)
    assert element_picture(browser, first).std() > 20


@pytest.mark.realct
@pytest.mark.slow
@pytest.mark.parametrize("theme", THEMES)
def test_picture_of_a_real_evaluation(browser, ct_data, tmp_path, theme):
    """A screenshot to look at; here only that it holds both families and pictures."""
    model = predictor.load_model(engine="numpy")
    held_out = model.card["members"][0]["held_out"]
    cases = list(evaluation_cases.from_folder(ct_data, held_out[::3], members.only(model, 0)))
    path = tmp_path / "evaluation.html"
    path.write_text(evaluation_page.make(evaluation_figures.figures(cases), cases, {"Model": "shipped"}))
    open_page(browser, path, theme)
    picture(browser, tmp_path / f"evaluation_{theme}.png")
    assert element_picture(browser, one(browser, ".worst .picture img")).std() > 30
