#!/usr/bin/env python3
"""Write the language table of the package, `harness/xlir_bench/languages.tsv`, from its sources.

    python tools/languages/build.py --wals languages.csv --joshi lang2tax.txt --glottolog language_family.json

Sources, none of which is kept in this repository:

- WALS (Dryer and Haspelmath, https://wals.info), CLDF release v2020.4, `cldf/languages.csv` of
  https://github.com/cldf-datasets/wals: CSV with the columns ID, Family and Genus. Licence CC BY 4.0.
- Joshi et al. 2020 (arXiv 2004.09095), `lang2tax.txt` of https://microsoft.github.io/linguisticdiversity: lines
  `name,class`, the name in lower case; a parenthesis may be escaped with a backslash.
- Glottolog's classification by ISO 639-3, as mteb ships it in `mteb/languages/language_family.json`:
  {"acq": {"level0": "Afro-Asiatic", "level1": "Semitic", ...}}. Licence CC BY 4.0.
- CLDR through the package `langcodes` with `language_data`: English names and likely scripts.

Which languages, and which row of a source is which language, is stated by `selection.tsv` beside this script:

- code: as in suites and results. name: where CLDR's English name is not used. script: where CLDR has none.
- iso639_3: the individual language, where the code stands for a macrolanguage.
- wals: ID in WALS. joshi: name in `lang2tax.txt`; empty where the list has no entry that is certainly this language. It
  names some languages twice, once with class 0 from a list of WALS names; the name here is the other one.

A language that WALS does not list, `wals` being empty, has the family and the genus of those languages of this table
that share the smallest group of Glottolog with it, where they all agree; `family` instead of an ID takes only the
family. WALS puts creoles into the family `other` and Glottolog beside the language that gave them their words, so a
creole counts only among creoles. What no source says is left empty in the table.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "harness" / "xlir_bench" / "languages.tsv"
_NO_FAMILY = "other"
COLUMNS = ("code", "name", "family", "genus", "script", "resource_class")
Kin = tuple[str, str]
"""Family and genus; an empty text for what is not known."""


def main() -> None:
    """Read the sources that the arguments name and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--wals", type=Path, required=True, help="languages.csv of WALS")
    parser.add_argument("--joshi", type=Path, required=True, help="lang2tax.txt of Joshi et al. 2020")
    parser.add_argument("--glottolog", type=Path, required=True, help="language_family.json of mteb")
    parser.add_argument("--selection", type=Path, default=HERE / "selection.tsv")
    parser.add_argument("--output", type=Path, default=TABLE)
    args = parser.parse_args()
    selection = read_rows(args.selection, "\t")
    rows = table(selection, read_wals(args.wals), read_classes(args.joshi), read_lineages(args.glottolog))
    with args.output.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    sys.stderr.write(f"{args.output}: {len(rows)} languages\n")


def table(
    selection: list[dict[str, str]],
    wals: Mapping[str, Kin],
    classes: Mapping[str, str],
    lineages: Mapping[str, tuple[str, ...]],
) -> list[tuple[str, ...]]:
    """The rows of the table, sorted by code.

    Args:
        selection: rows of `selection.tsv`.
        wals: ID -> family and genus.
        classes: name -> resource class.
        lineages: ISO 639-3 code -> Glottolog's groups from the family down.

    Raises:
        KeyError: a source lacks what the selection names.
    """
    from langcodes import Language
    from langcodes.data_dicts import LIKELY_SUBTAGS

    listed: dict[str, Kin] = {}
    groups: dict[str, tuple[str, ...]] = {}
    for row in selection:
        code = row["code"]
        groups[code] = lineages.get(row["iso639_3"] or Language.get(code, normalize=False).to_alpha3(), ())
        if row["wals"] not in ("", "family"):
            listed[code] = wals[row["wals"]]
    rows = []
    for row in sorted(selection, key=lambda one: one["code"]):
        code = row["code"]
        family, genus = listed[code] if code in listed else kin_of_relatives(groups[code], groups, listed)
        language = Language.get(code, normalize=False)
        likely = language.maximize().script if code in LIKELY_SUBTAGS else None
        name, script = row["name"] or language.language_name(), likely or row["script"]
        genus = "" if row["wals"] == "family" else genus
        rows.append((code, name, family, genus, script, classes[row["joshi"]] if row["joshi"] else ""))
    return rows


def kin_of_relatives(lineage: tuple[str, ...], groups: Mapping[str, tuple[str, ...]], listed: Mapping[str, Kin]) -> Kin:
    """Family and genus that the listed languages of the smallest group of a lineage share; empty where they do not."""
    for depth in range(len(lineage), 0, -1):
        kin = {listed[code] for code, other in groups.items() if code in listed and other[:depth] == lineage[:depth]}
        kin = {one for one in kin if one[0] != _NO_FAMILY} or kin
        if kin:
            families, genera = {family for family, _ in kin}, {genus for _, genus in kin}
            return (families.pop() if len(families) == 1 else "", genera.pop() if len(genera) == 1 else "")
    return "", ""


def read_rows(path: Path, delimiter: str) -> list[dict[str, str]]:
    """The rows of a table with a heading."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def read_wals(path: Path) -> dict[str, Kin]:
    """ID -> family and genus."""
    return {row["ID"]: (row["Family"], row["Genus"]) for row in read_rows(path, ",")}


def read_classes(path: Path) -> dict[str, str]:
    """Name -> resource class."""
    lines = (line.strip().rpartition(",") for line in path.read_text("utf-8").splitlines() if line.strip())
    return {name.replace("\\", "").strip('"'): number for name, _, number in lines}


def read_lineages(path: Path) -> dict[str, tuple[str, ...]]:
    """ISO 639-3 code -> Glottolog's groups from the family down."""
    found = json.loads(path.read_text("utf-8"))
    return {code: tuple(levels[name] for name in sorted(levels, key=_depth)) for code, levels in found.items()}


def _depth(level: str) -> int:
    return int(level.removeprefix("level"))


if __name__ == "__main__":
    main()
