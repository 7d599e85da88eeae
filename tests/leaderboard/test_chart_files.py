"""Charts as files: the command that draws them, those beside the charts of a site, and where names go."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree

import pytest
from commands import one_line, xlir_bench
from hypothesis import given, settings
from hypothesis import strategies as st

import xlir_bench as xb
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.leaderboard import chart_files
from xlir_bench.leaderboard.charts import Figure, as_file, map_chart, scatter
from xlir_bench.leaderboard.labels import HEIGHT, WIDTH, Area, Point, text_width

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("results")
    for model in ("bm25", "random"):
        xb.evaluate(model, "xlir-mini", languages=["de", "sw", "th"]).save(place)
    return place


def result_in(folder: Path) -> Path:
    (path,) = folder.glob("xlir-mini*.json")
    return path


def words(svg: str) -> list[str]:
    """Every text of a drawing."""
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("kind", ["map", "bias", "languages"])
def test_a_figure_of_one_result(folder, tmp_path, kind):
    output = tmp_path / "figure.svg"
    done = xlir_bench("plot", kind, folder / "bm25", "--output", output, "--name", "bm25=BM25 & Söhne <1>")
    assert done.returncode == 0, done.stderr
    shown = words(output.read_text("utf-8"))
    assert any("BM25 & Söhne <1> on xlir-mini" in text for text in shown)
    if kind == "map":
        values = {
            f"{s.value:.2f}"
            for s in xb.load(folder / "bm25")[0].stored.scores
            if s.measure == "AP" and s.setting != "multilingual"
        }
        assert values <= set(shown)
    assert {"bias": "AWRF@100", "map": "sw", "languages": "sw"}[kind] in shown


def test_a_trade_off_of_several_results_names_each(folder, tmp_path):
    output = tmp_path / "figure.svg"
    done = xlir_bench("plot", "trade-off", folder, "--output", output, "--name", "bm25=BM25", "--against", "AWRF")
    assert done.returncode == 0, done.stderr
    assert {"BM25", "random", "AP, multilingual", "AWRF@100"} <= set(words(output.read_text("utf-8")))


def test_the_text_of_a_pdf_is_text(folder, tmp_path):
    output = tmp_path / "figure.pdf"
    assert xlir_bench("plot", "languages", folder / "bm25", "--output", output).returncode == 0
    content = output.read_bytes()
    assert content.startswith(b"%PDF-")
    assert b"/ToUnicode" in content  # letters can be searched and copied
    streams = []
    for found in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL):
        try:
            streams.append(zlib.decompress(found[1]))
        except zlib.error:
            continue
    assert sum(len(re.findall(rb"T[jJ]\b", stream)) for stream in streams) > 10


def test_a_png_has_the_size_that_was_asked_for(folder, tmp_path):
    sizes = []
    for scale in (1, 3):
        output = tmp_path / f"{scale}.png"
        assert xlir_bench("plot", "map", folder / "bm25", "--output", output, "--scale", scale).returncode == 0
        content = output.read_bytes()
        assert content.startswith(b"\x89PNG")
        sizes.append(struct.unpack(">II", content[16:24]))
    assert sizes[1] == pytest.approx([3 * side for side in sizes[0]], abs=3)


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (("map", "bm25", "--output", "x.gif"), 2, "write FILE.svg, FILE.pdf or FILE.png"),
        (("map", ".", "--output", "x.svg"), 2, "map is drawn of one result, and there are 2"),
        (("map", "bm25", "--output", "x.svg", "--setting", "monolingual"), 2, "--setting is an option of trade-off"),
        (("trade-off", "bm25", "--output", "x.svg"), 2, "two results at least"),
        (("trade-off", ".", "--output", "x.svg", "--against", "AWFR"), 2, "not all results have AWFR; all have"),
        (("map", "bm25", "--output", "x.svg", "--name", "bm=B"), 2, "unknown name 'bm': did you mean bm25"),
        (("map", "nowhere", "--output", "x.svg"), 3, "no such file or folder"),
    ],
)
def test_what_cannot_be_drawn_gets_one_line_and_no_file(folder, arguments, exit_code, message):
    assert message in one_line(xlir_bench("plot", *arguments, cwd=folder), exit_code)
    assert not (folder / "x.svg").exists()


def test_an_edited_figure_is_not_drawn(folder, tmp_path):
    for path in (folder / "bm25").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = result_in(tmp_path)
    path.write_text(re.sub(r'"AWRF@100": ?0\.\d+', '"AWRF@100": 0.99', path.read_text(), count=1))
    assert "AWRF@100: the result says 0.99" in one_line(
        xlir_bench("plot", "bias", path, "--output", tmp_path / "x.svg"), 2
    )


CELLS = [{"query_language": "de", "document_language": "th", "value": 0.5}]


def test_letters_without_a_font_are_refused_where_they_would_be_boxes():
    svg = as_file(map_chart(CELLS, "AP", "A \N{GREEK SMALL LETTER ALPHA} and \u0378"))
    with pytest.raises(MissingResourceError, match=r"no font here has .*--fonts, or write an SVG"):
        chart_files.converted(svg, "png")
    assert "\u0378" in chart_files.converted(svg, "svg").decode()
    assert chart_files.converted(as_file(map_chart(CELLS, "AP", "A")), "png").startswith(b"\x89PNG")


def test_a_folder_without_fonts_is_refused(tmp_path):
    with pytest.raises(InputError, match="no fonts in it"):
        chart_files.add_fonts(tmp_path)


@pytest.mark.parametrize(
    "title",
    [
        "ไทย",
        "العربية",
        "中文",
        "日本語",
        "한국어",
        "हिन्दी",
        "Ελληνικά",
        "Русский",
        "বাংলা",
        "తెలుగు",
        "Tiếng Việt",
        "አማርኛ",
    ],
)
def test_a_title_in_any_script_is_drawn_or_refused(title):
    svg = as_file(map_chart(CELLS, "AP", title))
    assert title in words(svg)
    if chart_files.letters_without_font(svg):
        with pytest.raises(MissingResourceError):
            chart_files.converted(svg, "pdf")
    else:
        assert chart_files.converted(svg, "pdf").startswith(b"%PDF-")


def test_a_file_of_a_site_stands_alone_and_its_names_are_text():
    hostile = "</text><script>alert(1)</script>"
    figure = scatter([Point(1, 2, hostile, "a.html"), Point(2, 1, "b", "b.html", measured=False)], "x", "y")
    assert isinstance(figure, Figure)
    assert hostile in words(figure.file)
    root = ElementTree.fromstring(figure.file)
    assert not list(root.iter(f"{SVG}script"))
    assert "currentColor" not in figure.file
    assert "href" not in figure.file
    assert {"measured", "imported"} <= set(words(figure.file))


positions = st.tuples(st.floats(0.01, 1), st.floats(0, 1), st.sampled_from(["a", "xlir-hybrid-static", "LaBSE"]))


@settings(max_examples=60, deadline=None)
@given(st.lists(positions, min_size=2, max_size=5, unique_by=lambda one: (round(one[0], 1), round(one[1], 1))))
def test_no_name_lies_on_another_or_outside(found):
    points = [Point(x, y, name) for x, y, name in found]
    area = Area.of(points, logarithmic=False)
    boxes = []
    for point, label in zip(points, area.labels(points), strict=True):
        x = (label.x - area.x[0]) / (area.x[1] - area.x[0]) * WIDTH
        y = HEIGHT * (1 - (label.y - area.y[0]) / (area.y[1] - area.y[0]))
        width = text_width(point.name)
        left = {"left": x, "right": x - width, "center": x - width / 2}[label.align]
        boxes.append((left, y - 6, left + width, y + 6))
        assert left > -1
        assert left + width < WIDTH + 90
    for number, one in enumerate(boxes):
        for other in boxes[:number]:
            assert min(one[2], other[2]) <= max(one[0], other[0]) or min(one[3], other[3]) <= max(one[1], other[1])
