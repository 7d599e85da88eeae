"""Charts as files: SVG, PDF with text as text, PNG."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from html import unescape
from pathlib import Path
from typing import Literal

from xlir_bench.errors import InputError, MissingResourceError, unknown_name
from xlir_bench.files import replacing

Form = Literal["svg", "pdf", "png"]
FORMS: tuple[Form, ...] = ("svg", "pdf", "png")
SCALE = 2.0
"""Pixels of a PNG for one of the drawing."""

_TEXT = re.compile(r">([^<>]+)</(?:text|tspan)>")
_UNASSIGNED = "\u0378"
"""A code point that no font has."""


def form_of(path: Path) -> Form:
    """The form that the end of a file's name asks for.

    Raises:
        InputError: it is none of them.
    """
    ending = path.suffix.lower().removeprefix(".")
    for form in FORMS:
        if ending == form:
            return form
    raise unknown_name("form of a figure", path.suffix or path.name, FORMS, "write FILE.svg, FILE.pdf or FILE.png")


def write(svg: str, path: Path, *, scale: float = SCALE) -> None:
    """Write a drawing in the form that the file's name asks for.

    Raises:
        InputError: the name ends with no known form.
        MissingResourceError: a letter of it has no font here, or the file cannot be written.
    """
    content = converted(svg, form_of(path), scale=scale)
    with replacing(path) as draft:
        draft.write_bytes(content)


def converted(svg: str, form: Form, *, scale: float = SCALE) -> bytes:
    """The drawing in a form. An SVG keeps its text, and whoever shows it needs the fonts; the others hold them.

    Raises:
        MissingResourceError: a letter of it has no font here: it would be an empty box.
    """
    if form == "svg":
        return svg.encode("utf-8", "replace")
    import vl_convert

    if lacking := letters_without_font(svg):
        names = sorted({unicodedata.name(sign, "a sign").split()[0].capitalize() for sign in lacking})
        raise MissingResourceError(
            f"no font here has {lacking[:12]!r} ({', '.join(names[:6])}): install one, such as Google's Noto, or name "
            "its folder with --fonts, or write an SVG, which is drawn with the fonts of whoever looks at it"
        )
    return bytes(vl_convert.svg_to_pdf(svg) if form == "pdf" else vl_convert.svg_to_png(svg, scale=scale))


def letters_without_font(svg: str) -> str:
    """The letters of a drawing that no font here has, once each."""
    return without_font(unescape(text) for text in _TEXT.findall(svg))


def without_font(texts: Iterable[str]) -> str:
    """The letters that no font here has, once each."""
    signs = sorted({sign for text in texts for sign in text if ord(sign) > 0x17F and not sign.isspace()})
    return "".join(sign for sign in signs if _picture(sign) == _picture(_UNASSIGNED))


def add_fonts(folder: Path) -> None:
    """Use the fonts of a folder too.

    Raises:
        InputError: it has none.
    """
    import vl_convert

    if not any(path.suffix.lower() in {".ttf", ".otf", ".ttc"} for path in folder.rglob("*")):
        raise InputError(f"{folder}: no fonts in it (.ttf, .otf, .ttc)")
    vl_convert.register_font_directory(str(folder))
    _picture.cache_clear()


@cache
def _picture(sign: str) -> bytes:
    import vl_convert

    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30">'
        f'<text x="5" y="22" font-family="sans-serif" font-size="16">{sign}</text></svg>'
    )
    return bytes(vl_convert.svg_to_png(svg, scale=1.0))
