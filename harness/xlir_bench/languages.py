"""Languages: what they are called, and the codes that stand for them in suites, results and on the command line.

`normalise` turns any BCP 47 or ISO 639 tag into the one code that the harness uses:

- the language as ISO 639-1 where it has such a code, else ISO 639-3, by the registry in the package `langcodes`: `zho`
  is `zh`, `iw` is `he`, `tl` and `tgl` are `fil` (Filipino is the standard form of Tagalog);
- a member of a macrolanguage that stands for the whole, in CLDR's judgement, has the code of the whole: `cmn` is `zh`,
  `arb` is `ar`, `swh` is `sw`. So has `nb` that of Norwegian, `no`, and `pbt` that of Pashto, `ps`. Nynorsk (`nn`),
  Dari (`prs`), Twi (`tw`), Fante (`fat`) and Cusco Quechua (`quz`) keep codes of their own: collections hold them
  beside the language that they would be taken for;
- a script only where it is not the one in which the language is usually written: `zh-Hant` stays, `zh-Hans` is `zh`,
  and `eng_Latn` is `en`. A region counts only where it implies such a script: `zh-TW` is `zh-Hant`, `pt-BR` is `pt`.

The table `LANGUAGES` lists what is known of a language; `tools/languages/build.py` generates it from WALS, Joshi et al.
2020, Glottolog and CLDR. A code outside the table is measured like any other, but belongs to no family and no class.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from importlib import resources

from xlir_bench.errors import InputError

UNKNOWN_LANGUAGE = "und"
"""ISO 639's code for a language that nobody stated."""

_NO_LANGUAGE = frozenset({"und", "mul", "mis", "zxx"})
_NO_SCRIPT = frozenset({"Zyyy", "Zzzz"})
# Members of a macrolanguage that stand for the whole beside those that CLDR names, and those that do not.
_WHOLE = {"nb": "no", "pbt": "ps"}
_APART = frozenset({"tw", "fat", "quz"})
# Codes of ISO 15924 that say the same of one language in more or less detail.
_WRITTEN_IN = {
    "Jpan": {"Jpan", "Hrkt", "Hira", "Kana", "Hani"},
    "Kore": {"Kore", "Hang"},
    "Hans": {"Hans", "Hani"},
    "Hant": {"Hant", "Hani"},
    "Arab": {"Arab", "Aran"},
}


@dataclass(frozen=True, slots=True)
class Language:
    """One row of the table.

    Attributes:
        code: what suites, results and the command line call it.
        name: in English.
        family: top-level family (WALS); None where it is not known.
        genus: the group below it whose relation is obvious without reconstruction (WALS); None where it is not known.
        script: ISO 15924 code of the script in which it is usually written (CLDR).
        resource_class: 0 to 5 (Joshi et al. 2020); None where their list has no entry that is certainly this language.
    """

    code: str
    name: str
    family: str | None
    genus: str | None
    script: str
    resource_class: int | None


def _read_table() -> dict[str, Language]:
    lines = (resources.files("xlir_bench") / "languages.tsv").read_text(encoding="utf-8").splitlines()
    return {
        row["code"]: Language(
            row["code"],
            row["name"],
            row["family"] or None,
            row["genus"] or None,
            row["script"],
            int(row["resource_class"]) if row["resource_class"] else None,
        )
        for row in csv.DictReader(lines, delimiter="\t")
    }


LANGUAGES: dict[str, Language] = _read_table()
"""Code -> language, sorted by code."""


def known(code: str) -> Language | None:
    """The row of a code; of a code with a script, such as `zh-Hant`, that of its language in this script.

    Returns:
        None where the table does not list the language.
    """
    if code in LANGUAGES:
        return LANGUAGES[code]
    base, _, script = code.partition("-")
    if not script or base not in LANGUAGES:
        return None
    row = LANGUAGES[base]
    return replace(row, code=code, name=f"{row.name} ({script})", script=script)


def described(code: str) -> str:
    """A language for a message: `Greek (el)`; the code alone where the table does not list it."""
    row = known(code)
    return f"{row.name} ({code})" if row is not None else code


def language(code: str) -> Language:
    """The row of the language that a tag names.

    Raises:
        InputError: this is no language, or the table does not list it.
    """
    row = known(normalise(code))
    if row is None:
        raise InputError(f"unknown language {code!r}: the table does not list {full_name(code)}. {_suggestion(code)}")
    return row


def normalise(tag: str, *, unknown: bool = False) -> str:
    """The code of the language that a BCP 47 or ISO 639 tag names; see the module.

    Args:
        tag: e.g. `pt-BR`, `zho`, `eng_Latn`, in any case and with hyphens or underscores.
        unknown: accept `und`, the code of an unknown language.

    Raises:
        InputError: the tag names no language; the message names it and the nearest that do.
    """
    if tag in LANGUAGES:
        return tag
    if unknown and tag.strip().lower() == UNKNOWN_LANGUAGE:
        return UNKNOWN_LANGUAGE
    code = _code_of(tag)
    if code is None:
        raise InputError(f"unknown language {tag!r}: {_suggestion(tag)}")
    return code


def is_listed(tag: str) -> bool:
    """Whether a tag names a language of the table. Names of folders and files that do are taken for languages."""
    code = tag if tag in LANGUAGES else _code_of(tag)
    return code is not None and known(code) is not None


def distinct(tags: Iterable[str], where: str, *, unknown: bool = False) -> dict[str, str]:
    """Code -> tag, of tags of which each must name another language.

    Args:
        tags: what a list, a folder or a file calls its languages.
        where: which one, for messages.
        unknown: see `normalise`.

    Raises:
        InputError: a tag names no language, or two name the same.
    """
    found: dict[str, str] = {}
    for tag in tags:
        code = normalise(tag, unknown=unknown)
        if code in found:
            both = f"{found[code]} twice" if found[code] == tag else f"both {found[code]} and {tag}"
            raise InputError(f"{where} has {both}, which is one language, {described(code)}: keep one of them")
        found[code] = tag
    return found


def full_name(tag: str) -> str:
    """The English name of a language, listed or not; CLDR's."""
    from langcodes import Language as Tag

    row = known(tag)
    return row.name if row is not None else Tag.get(tag).display_name()


@lru_cache(maxsize=4096)
def _code_of(tag: str) -> str | None:
    """The code of a tag; None where it names no language."""
    from langcodes import Language as Tag
    from langcodes.tag_parser import LanguageTagError

    try:
        parsed = Tag.get(tag.strip())
        valid = parsed.is_valid()
    except LanguageTagError:
        return None
    stated = name = parsed.language
    # Of a tag such as `my-own` the second part is read as an extension of the language; those that exist are replaced.
    if not valid or parsed.extlangs or stated is None or name is None or name in _NO_LANGUAGE or name.startswith("x-"):
        return None
    if name == "fa" and parsed.territory == "AF":  # the registry replaces `prs` by this
        name = "prs"
    elif name in _WHOLE:
        name = _WHOLE[name]
    elif name not in _APART:
        name = Tag.make(language=name).prefer_macrolanguage().language or name
    return _with_script(name, _script(stated, parsed.script, parsed.territory))


def _script(name: str, stated: str | None, territory: str | None) -> str | None:
    """The script that a tag states, or that its region implies."""
    from langcodes import Language as Tag
    from langcodes.data_dicts import LIKELY_SUBTAGS

    if stated is not None:
        return None if stated in _NO_SCRIPT else stated
    if territory is not None and f"{name}-{territory}" in LIKELY_SUBTAGS:
        return Tag.make(language=name, territory=territory).maximize().script
    return None


def _with_script(name: str, script: str | None) -> str:
    from langcodes import Language as Tag
    from langcodes.data_dicts import LIKELY_SUBTAGS

    usual: str | None = None
    if name in LANGUAGES:
        usual = LANGUAGES[name].script
    elif name in LIKELY_SUBTAGS:
        usual = Tag.make(language=name).maximize().script
    if script is None or script == usual or script in _WRITTEN_IN.get(usual or "", ()):
        return name
    return f"{name}-{script}"


def _suggestion(tag: str) -> str:
    """What may have been meant by a tag that names no language: by its spelling, or as a name in English."""
    from langcodes import Language as Tag
    from langcodes.data_dicts import LIKELY_SUBTAGS

    names = {row.name.lower(): code for code, row in LANGUAGES.items()}
    wanted = tag.strip().lower()
    region = f"und-{wanted.upper()}"
    if wanted in names:
        near = [names[wanted]]
    elif region in LIKELY_SUBTAGS and (spoken := Tag.get(region).maximize().language) is not None:
        near = [spoken]  # a region's code instead of its language's, such as `jp`
    else:
        codes = names | {code: code for code in LANGUAGES}
        near = [codes[found] for found in get_close_matches(wanted, list(codes), n=3, cutoff=0.6)]
    meant = f"did you mean {' or '.join(described(code) for code in dict.fromkeys(near))}? " if near else ""
    return f"{meant}A BCP 47 tag is expected, such as en, pt-BR or zh-Hant"
