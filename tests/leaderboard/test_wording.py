"""Colours, numbers and the order of languages."""

from __future__ import annotations

import re
from itertools import groupby

import pytest

from xlir_bench.languages import LANGUAGES, known
from xlir_bench.leaderboard import colour
from xlir_bench.leaderboard.wording import magnitude, number, ordered_labels, short_share


@pytest.mark.parametrize("dark", [False, True])
def test_text_on_every_colour_reaches_the_contrast_that_wcag_asks_for(dark):
    assert min(colour.contrast(colour.ink(shade), shade) for shade in colour.scale(dark=dark)) >= 4.5


@pytest.mark.parametrize("dark", [False, True])
def test_a_scale_moves_steadily_away_from_the_page_so_that_order_needs_no_hue(dark):
    lights = [colour.luminance(shade) for shade in colour.scale(dark=dark)]
    assert lights == sorted(lights, reverse=not dark)
    assert len(set(lights)) == colour.STEPS


def test_contrast_is_that_of_wcag():
    assert colour.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert colour.contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


def test_the_style_sheet_has_a_rule_for_every_step_of_both_scales():
    rules = re.findall(r"\.h(\d+)\{", colour.css())
    assert sorted(map(int, rules)) == sorted([*range(colour.STEPS)] * 2)


@pytest.mark.parametrize(("value", "step"), [(0.2, 0), (0.9, colour.STEPS - 1), (0.55, 20), (0.1, 0), (1.0, 40)])
def test_a_step_is_the_place_in_the_range(value, step):
    assert colour.step(value, 0.2, 0.9) == step


def test_languages_stand_beside_their_relatives_and_then_beside_their_script():
    codes = ["ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"]
    ordered = ordered_labels(codes)
    assert [label.code for label in ordered] == ["de", "en", "es", "ru", "hi", "el", "ar", "tr", "vi", "zh", "th"]
    assert [label.code for label in ordered if label.opens_family] == ["ar", "tr", "vi", "zh", "th"]


def test_all_languages_stand_in_blocks_of_families_and_those_of_none_last():
    ordered = ordered_labels([*LANGUAGES, "zh-Hant", "ab"])
    assert len({label.code for label in ordered}) == len(ordered) == len(LANGUAGES) + 2
    families = [row.family if (row := known(label.code)) else None for label in ordered]
    blocks = [family for family, _ in groupby(families)]
    assert blocks[0] == "Indo-European"
    assert blocks[-1] is None
    assert len(set(blocks)) == len(blocks) == 1 + sum(label.opens_family for label in ordered)
    described = {label.code: label.description for label in ordered}
    assert described["zh-Hant"] == "Chinese (Hant) (Sino-Tibetan, Chinese; script Hant)"
    assert (described["eo"], described["ab"]) == ("Esperanto (script Latn)", "ab")


def test_an_unknown_language_is_called_by_its_code_and_comes_last():
    last = ordered_labels(["qq", "en", "zh"])[-1]
    assert (last.code, last.name) == ("qq", "qq")


@pytest.mark.parametrize(
    ("value", "text"), [(0.7918, ".79"), (0.0, ".00"), (0.996, "1.00"), (1.0, "1.00"), (-0.05, "-.05"), (None, "–")]
)
def test_a_narrow_cell_drops_the_leading_zero(value, text):
    assert short_share(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (950, "950"), (7_800_000, "7.8 M"), (118_000_000, "118 M"), (7_110_000_000, "7.11 B")]
)
def test_a_count_is_short(value, text):
    assert magnitude(value) == text


def test_a_number_has_fixed_decimals_and_separated_thousands():
    assert [number(10846.04, 1), number(0.79183, 4), number(None, 4)] == ["10,846.0", "0.7918", "–"]
