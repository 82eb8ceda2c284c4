"""The report in a real headless Chromium: it opens from a file, asks nothing of the network, scrolls, can be read."""

from __future__ import annotations

import re

import numpy as np
import pytest
from CTSliceLocalizerLib import report
from CTSliceLocalizerLib.landmarks import NAMES
from CTSliceLocalizerLib.results import Flag, refusal
from support_browser import CONTRASTS, THEMES, element_picture, one, open_page, picture, settle
from support_report import make_match, make_pair, real_scan

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def scans():
    return make_pair()


@pytest.fixture(scope="module")
def match(scans):
    return make_match(scans[0][1], scans[1][1])


@pytest.fixture(scope="module")
def location_file(tmp_path_factory, scans):
    path = tmp_path_factory.mktemp("one") / "report.html"
    report.write_location_report(path, *scans[0])
    return path


@pytest.fixture(scope="module")
def match_file(tmp_path_factory, scans, match):
    path = tmp_path_factory.mktemp("two") / "report.html"
    report.write_match_report(path, *scans[0], *scans[1], match)
    return path


def state(browser, scan):
    """Height and slice that a scan's panes show; None where it shows none."""
    pane = one(browser, f"#{scan} .axial")
    z, slice_shown = pane.get_attribute("data-z"), pane.get_attribute("data-slice")
    return (float(z), int(slice_shown)) if z else None


def cursor_mm(browser, scan, view, top, bottom):
    """Height of the moving line in a view, measured on the screen."""
    return browser.execute_script(
        """
        const picture = document.querySelector(`#${arguments[0]} [data-view=${arguments[1]}]`);
        const line = picture.querySelector(".cursor").getBoundingClientRect();
        const frame = picture.getBoundingClientRect();
        return arguments[2] - (line.top + line.height / 2 - frame.top) / frame.height * (arguments[2] - arguments[3]);
        """,
        scan,
        view,
        top,
        bottom,
    )


def edges(volume):
    z_mm = volume.superior()
    return z_mm[-1] + volume.spacing[2] / 2, z_mm[0] - volume.spacing[2] / 2


def number(text):
    """The first number of a text."""
    return float(re.search(r"-?\d+\.\d+", text.replace("−", "-"))[0])


class TestLocationReport:
    def test_opens_from_a_file_without_a_request_or_a_complaint(self, browser, location_file):
        requests = open_page(browser, location_file)
        assert requests.count(location_file.as_uri()) == 1
        assert all(url == location_file.as_uri() or url.startswith("data:") for url in requests)

    def test_keys_scroll_and_everything_follows(self, browser, location_file, scans):
        from selenium.webdriver.common.keys import Keys

        volume, location = scans[0]
        open_page(browser, location_file)
        slider = browser.switch_to.active_element
        assert slider.get_attribute("id") == "slider"  # keys work at once
        k = 20
        for key, move in (
            (Keys.ARROW_UP, 1),
            (Keys.ARROW_DOWN, -1),
            (Keys.ARROW_LEFT, 1),
            (Keys.ARROW_RIGHT, -1),
            (Keys.PAGE_UP, 10),
            (Keys.PAGE_DOWN, -10),
            (Keys.HOME, 99),
            (Keys.ARROW_UP, 1),
            (Keys.END, -99),
            (Keys.PAGE_UP, 10),
        ):
            slider.send_keys(key)
            k = min(39, max(0, k + move))
            assert state(browser, "baseline") == (pytest.approx(location.z_mm[k], abs=1e-3), k)
            assert number(one(browser, "#baseline-z").text) == pytest.approx(location.z_mm[k], abs=0.051)
            assert number(one(browser, "#baseline-numbers").text) == pytest.approx(location.location[k], abs=6e-4)
            for view in ("coronal", "sagittal"):
                shown = cursor_mm(browser, "baseline", view, *edges(volume))
                assert shown == pytest.approx(location.z_mm[k], abs=1.0)
        spoken = slider.get_attribute("aria-valuetext")
        assert one(browser, "#place").text in spoken
        assert "location" in spoken
        line = one(browser, ".chart .now")
        frame = one(browser, ".chart .frame")
        margin = 0.03 * np.ptp(location.z_mm)
        part = (float(line.get_attribute("y1")) - float(frame.get_attribute("y"))) / float(
            frame.get_attribute("height")
        )
        low, high = location.z_mm[0] - margin, location.z_mm[-1] + margin
        assert high - part * (high - low) == pytest.approx(location.z_mm[k], abs=0.5)

    def test_the_slice_on_the_screen_changes(self, browser, location_file):
        from selenium.webdriver.common.keys import Keys

        open_page(browser, location_file)
        image = one(browser, "#baseline .axial img")
        before = element_picture(browser, image)
        assert before.max() > 150
        one(browser, "#slider").send_keys(Keys.ARROW_UP)  # slice 21 is 40 HU denser than slice 20
        settle(browser)
        after = element_picture(browser, image)
        inside = before.shape[0] // 2, before.shape[1] // 3
        assert after[inside] - before[inside] == pytest.approx(40 / 400 * 255, abs=12)

    def test_windows_change_the_grey_values_as_they_should(self, browser, location_file):
        open_page(browser, location_file)  # slice 20: 20 HU in the body
        image = one(browser, "#baseline .axial img")
        for name, width, level in (("soft", 400, 40), ("lung", 1500, -600), ("bone", 1800, 400)):
            button = one(browser, f'[data-set="window"][value="{name}"]')
            button.click()
            settle(browser)
            assert button.get_attribute("aria-pressed") == "true"
            assert len(browser.find_elements("css selector", '[data-set="window"][aria-pressed="true"]')) == 1
            grey = element_picture(browser, image)
            expected = (20 - (level - width / 2)) / width * 255
            assert grey[grey.shape[0] // 2, grey.shape[1] // 3] == pytest.approx(expected, abs=8)

    def test_mouse_and_wheel_scroll(self, browser, location_file, scans):
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

        volume, _ = scans[0]
        open_page(browser, location_file)
        slider = one(browser, "#slider")
        width = slider.size["width"]
        ActionChains(browser).move_to_element_with_offset(slider, round(-width / 4), 0).click().perform()
        assert state(browser, "baseline")[1] == pytest.approx(39 * 0.75, abs=1)  # left is the head
        k = state(browser, "baseline")[1]
        pane = ScrollOrigin.from_element(one(browser, "#baseline .axial"))
        ActionChains(browser).scroll_from_origin(pane, 0, 300).perform()
        browser.execute_script("return 0")
        assert state(browser, "baseline")[1] == k - 3  # wheel down goes to the feet
        assert browser.execute_script("return scrollY") == 0
        view = one(browser, '#baseline [data-view="coronal"]')
        top, bottom = edges(volume)
        offset = view.size["height"] * 0.3
        ActionChains(browser).move_to_element_with_offset(view, 0, round(-offset)).click().perform()
        wanted = (top + bottom) / 2 + 0.3 * (top - bottom)
        assert state(browser, "baseline")[0] == pytest.approx(wanted, abs=volume.spacing[2])
        assert browser.switch_to.active_element.get_attribute("id") == "slider"

    @pytest.mark.parametrize("place", [".tick", ".gutter", "td"])
    def test_a_click_on_a_landmark_goes_there(self, browser, location_file, scans, place):
        volume, location = scans[0]
        open_page(browser, location_file)
        inside = [estimate for estimate in location.landmarks if estimate.inside]
        buttons = browser.find_elements("css selector", f"{place} button")
        assert len(buttons) == len(inside)
        for button, estimate in zip(buttons, inside):
            button.click()
            assert state(browser, "baseline")[0] == pytest.approx(estimate.z_mm, abs=volume.spacing[2] / 2 + 1e-3)
            assert one(browser, "#place").text.endswith(estimate.name)

    def test_the_landmark_keys_of_annotation_go_there_too(self, browser, location_file, scans):
        open_page(browser, location_file)
        one(browser, "#slider").send_keys("5")
        assert state(browser, "baseline")[0] == pytest.approx(scans[0][1].landmark("Aortic arch").z_mm, abs=3.01)

    def test_names_never_lie_on_each_other(self, browser, location_file):
        for width in (1366, 900):
            open_page(browser, location_file, width=width)
            for group in (".tick button", ".gutter button"):
                boxes = browser.execute_script(
                    "return [...document.querySelectorAll(arguments[0])].map((e) => {"
                    "const b = e.getBoundingClientRect(); return [b.left, b.right, b.top, b.bottom]; })",
                    group,
                )
                for n, (left, right, top, bottom) in enumerate(boxes):
                    for other_left, other_right, other_top, other_bottom in boxes[n + 1 :]:
                        apart_x = right <= other_left + 1 or other_right <= left + 1
                        assert apart_x or bottom <= other_top + 2 or other_bottom <= top + 2

    def test_everything_can_be_reached_and_seen_by_keyboard(self, browser, location_file):
        from selenium.webdriver.common.keys import Keys

        open_page(browser, location_file)
        seen = set()
        for _ in range(40):
            focus = browser.switch_to.active_element
            seen.add(focus.get_attribute("id") or focus.get_attribute("value") or focus.text)
            if focus.tag_name == "button":
                style = focus.value_of_css_property("outline-style"), focus.value_of_css_property("outline-width")
                assert style == ("solid", "3px")
            focus.send_keys(Keys.TAB)
            if browser.switch_to.active_element.tag_name == "body":
                break
        assert {"lung", "bone", "section", "projection", "Aortic arch"} <= seen
        names = browser.execute_script(
            "return [...document.querySelectorAll('button, input')].map("
            "(e) => e.getAttribute('aria-label') || e.textContent)"
        )
        assert all(names)
        assert one(browser, "#slider").get_attribute("aria-label")

    def test_xray_view_takes_the_place_of_the_section(self, browser, location_file):
        open_page(browser, location_file)
        for mode, other in (("projection", "section"), ("section", "projection")):
            one(browser, f'[data-set="mode"][value="{mode}"]').click()
            shown = browser.find_elements("css selector", f".views img.{mode}")
            assert [image.is_displayed() for image in shown] == [True, True]
            hidden = browser.find_elements("css selector", f".views img.{other}")
            assert [image.is_displayed() for image in hidden] == [False, False]

    def test_a_refused_scan_can_still_be_looked_at(self, browser, scans, tmp_path):
        from selenium.webdriver.common.keys import Keys

        path = tmp_path / "report.html"
        refused = refusal(Flag("not_ct", "This is no CT <b>at all</b>."), series={"source": "x"})
        report.write_location_report(path, scans[0][0], refused)
        open_page(browser, path)
        first = one(browser, ".alerts li")
        assert "This is no CT <b>at all</b>." in first.text
        assert first.location["y"] < 150
        one(browser, "#slider").send_keys(Keys.ARROW_UP)
        assert state(browser, "baseline")[1] == 21


class TestMatchReport:
    def test_one_slider_moves_both_scans_to_the_matched_place(self, browser, match_file, scans, match):
        from selenium.webdriver.common.keys import Keys

        requests = open_page(browser, match_file)
        assert all(url == match_file.as_uri() or url.startswith("data:") for url in requests)
        slider = one(browser, "#slider")
        slider.send_keys(Keys.END)
        followup = scans[1][1]
        both = 0
        for k, pair in enumerate(match.pairs):
            assert state(browser, "baseline") == (pytest.approx(pair.baseline_z_mm, abs=1e-3), k)
            assert number(one(browser, "#baseline-z").text) == pytest.approx(pair.baseline_z_mm, abs=0.051)
            text = one(browser, "#followup-z").text
            empty = one(browser, "#followup .empty")
            assert empty.is_displayed() != pair.covered
            assert one(browser, "#followup .axial img").is_displayed() == pair.covered
            lines = browser.find_elements("css selector", "#followup .cursor")
            assert [line.is_displayed() for line in lines] == [pair.covered] * 2
            if pair.covered:
                both += 1
                assert number(text) == pytest.approx(pair.followup_z_mm, abs=0.051)
                assert text.endswith("± 5.0 mm")
                nearest = int(np.argmin(np.abs(followup.z_mm - pair.followup_z_mm)))
                assert state(browser, "followup") == (pytest.approx(pair.followup_z_mm, abs=1e-3), nearest)
                shown = cursor_mm(browser, "followup", "coronal", *edges(scans[1][0]))
                assert shown == pytest.approx(pair.followup_z_mm, abs=1.5)
            else:
                assert text == "not covered"
                assert "Not covered by the follow-up" in empty.text
                assert state(browser, "followup") is None
            assert ("not covered" in slider.get_attribute("aria-valuetext")) != pair.covered
            slider.send_keys(Keys.ARROW_UP)
        assert 5 < both < 40

    def test_mouse_moves_both_too(self, browser, match_file, match):
        from selenium.webdriver import ActionChains

        open_page(browser, match_file)
        slider = one(browser, "#slider")
        start = state(browser, "baseline")[1]
        width = slider.size["width"]
        thumb = (0.5 - start / 39) * (width - 18)
        chain = ActionChains(browser).move_to_element_with_offset(slider, round(thumb), 0).click_and_hold()
        chain.move_by_offset(round(3 / 39 * width), 0).release().perform()
        k = state(browser, "baseline")[1]
        assert k == pytest.approx(start - 3, abs=1)
        assert state(browser, "followup")[0] == pytest.approx(match.pairs[k].followup_z_mm, abs=1e-3)

    def test_a_click_in_the_follow_up_goes_to_the_slice_matched_there(self, browser, match_file, scans, match):
        from selenium.webdriver import ActionChains

        open_page(browser, match_file)
        view = one(browser, '#followup [data-view="coronal"]')
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", view)
        ActionChains(browser).move_to_element_with_offset(view, 0, round(view.size["height"] * 0.2)).click().perform()
        top, bottom = edges(scans[1][0])
        wanted = (top + bottom) / 2 - 0.2 * (top - bottom)
        assert state(browser, "followup")[0] == pytest.approx(wanted, abs=4.0)
        k = state(browser, "baseline")[1]
        assert state(browser, "followup")[0] == pytest.approx(match.pairs[k].followup_z_mm, abs=1e-3)

    def test_flags_of_both_are_on_top(self, browser, match_file):
        open_page(browser, match_file)
        assert one(browser, ".alerts li").text.startswith("Warning (follow-up): The scan is noisy.")
        assert one(browser, ".alerts").location["y"] < one(browser, "#slider").location["y"]


class TestLooks:
    @pytest.mark.parametrize("theme", THEMES)
    def test_text_can_be_read(self, browser, location_file, match_file, scans, tmp_path, theme):
        from selenium.webdriver.common.keys import Keys

        refused = tmp_path / "refused.html"
        flag = Flag("not_ct", "This is no CT.")
        report.write_location_report(refused, scans[0][0], refusal(flag, series={"source": "x"}, flags=(flag,)))
        for path in (location_file, match_file, refused):
            open_page(browser, path, theme)
            one(browser, "#slider").send_keys(Keys.HOME)  # in the match the follow-up is not covered there
            found = browser.execute_script(CONTRASTS)
            assert len(found) > 50
            assert [entry for entry in found if entry[0] < 4.5] == []
        page = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        light = sum(map(int, re.findall(r"\d+", page)[:3])) > 382
        assert light == (theme == "light")
        pane = one(browser, ".axial").value_of_css_property("background-color")
        assert re.findall(r"\d+", pane)[:3] == ["0", "0", "0"]  # image panes are dark in both

    @pytest.mark.parametrize("width", [900, 1366, 1920])
    def test_fits_the_width(self, browser, location_file, match_file, tmp_path, width):
        for path in (location_file, match_file):
            open_page(browser, path, width=width)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width
            panes = browser.find_elements("css selector", ".axial")
            assert all(pane.rect["x"] >= 0 and pane.rect["x"] + pane.rect["width"] <= width for pane in panes)
            assert all(pane.rect["y"] + pane.rect["height"] < 900 for pane in panes)  # with slider on one screen
        assert panes[0].rect["y"] == panes[1].rect["y"]  # side by side

    def test_views_have_the_scans_own_proportions(self, browser, location_file):
        open_page(browser, location_file)
        sizes = {name: one(browser, f'#baseline [data-view="{name}"]').rect for name in ("coronal", "sagittal")}
        for size in sizes.values():
            assert size["height"] == pytest.approx(sizes["coronal"]["height"], abs=1)
        image = browser.execute_script(
            "const i = document.querySelector('[data-view=coronal] img'); return i.naturalWidth / i.naturalHeight"
        )
        assert sizes["coronal"]["width"] / sizes["coronal"]["height"] == pytest.approx(image, rel=0.02)

    @pytest.mark.realct
    @pytest.mark.parametrize("theme", THEMES)
    def test_pictures_of_real_scans(self, browser, ct_data, tmp_path, theme):
        """Screenshots to look at; here only that they hold pictures, lines and no complaint."""
        scans = [real_scan(ct_data, name) for name in ("wb01", "ch16")]  # one patient
        path = tmp_path / "match.html"
        report.write_match_report(path, *scans[0], *scans[1], make_match(scans[0][1], scans[1][1]))
        open_page(browser, path, theme)
        picture(browser, tmp_path / f"match_{theme}.png")
        assert element_picture(browser, one(browser, "#followup .axial img")).std() > 30
        for n, (volume, location) in enumerate(scans):
            path = tmp_path / f"{n}.html"
            report.write_location_report(path, volume, location)
            open_page(browser, path, theme)
            picture(browser, tmp_path / f"{n}_{theme}.png")
            assert element_picture(browser, one(browser, '[data-view="coronal"] img.section')).std() > 30
            inside = [name for name in NAMES if location.landmark(name).inside]
            for gutter in browser.find_elements("css selector", ".gutter"):  # two where the views are stacked
                assert [e.text for e in gutter.find_elements("css selector", "button")] == inside
