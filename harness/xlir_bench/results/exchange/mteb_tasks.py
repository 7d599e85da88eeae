"""mteb's retrieval tasks beside our words for the same things: suites, rows, measures, language codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from xlir_bench.languages import known
from xlir_bench.measures import parse

Pair = tuple[str, str]
"""Query language, document language."""


@dataclass(frozen=True)
class MtebTask:
    """One task, as mteb publishes its results.

    Attributes:
        name: mteb's.
        splits: those that are evaluated.
        revision: the newest revision of the dataset that published results are on. Results on any other are stale: they
            are shown, apart, and never averaged or ranked with these.
        subsets: mteb's subset -> our pair of codes.
        suite: our suite of the same texts and judgements, if there is one.
        iso3: codes that this task writes otherwise than `alpha3`.
    """

    name: str
    splits: tuple[str, ...]
    revision: str
    subsets: Mapping[str, Pair]
    suite: str | None = None
    iso3: Mapping[str, str] = field(default_factory=dict)


_PAIRS = """
ar:ara bg:bul bn:ben cs:ces da:dan de:deu el:ell en:eng es:spa et:est fa:fas fi:fin fr:fra he:heb hi:hin
hr:hrv hu:hun id:ind it:ita ja:jpn ka:kat ko:kor lt:lit mi:mri nl:nld no:nor pl:pol pt:por qu:que ro:ron
ru:rus sk:slk sl:slv sr:srp sv:swe sw:swa ta:tam te:tel th:tha tr:tur uk:ukr ur:urd vi:vie yo:yor zh:zho
"""
ALPHA3: Mapping[str, str] = MappingProxyType(dict(pair.split(":") for pair in _PAIRS.split()))
"""ISO 639-1 -> ISO 639-3, of languages that retrieval suites use."""


def alpha3(code: str) -> str:
    """The ISO 639-3 code of one of ours, without its script; ours are of three letters where ISO 639-1 has none."""
    name = code.partition("-")[0]
    if name in ALPHA3 or len(name) != 2:
        return ALPHA3.get(name, name)
    from langcodes import Language

    return Language.get(name, normalize=False).to_alpha3()


def language_script(code: str, task: MtebTask | None = None) -> str:
    """A language as mteb writes it, e.g. `deu-Latn`."""
    row = known(code)
    script = row.script if row is not None else code.partition("-")[2] or "Zyyy"
    # mteb names the alphabets that ISO 15924 puts together for Korean.
    return f"{(task.iso3 if task else {}).get(code, alpha3(code))}-{'Hang' if script == 'Kore' else script}"


def _monolingual(codes: str) -> Mapping[str, Pair]:
    return MappingProxyType({code: (code, code) for code in codes.split()})


def _corpus_first(codes: str) -> Mapping[str, Pair]:
    """Every ordered pair, named `corpus-query` by codes of three letters, as MLQARetrieval does."""
    listed = codes.split()
    return MappingProxyType({f"{alpha3(d)}-{alpha3(q)}": (q, d) for d in listed for q in listed})


_ENGLISH: Mapping[str, Pair] = MappingProxyType({"default": ("en", "en")})
_MIRACL = _monolingual("ar bn de en es fa fi fr hi id ja ko ru sw te th yo zh")
_ARAB = MappingProxyType({"ar": "arb"})

_TABLE = (
    MtebTask(
        "XQuADRetrieval",
        ("validation",),
        "51adfef1c1287aab1d2d91b5bead9bcfb9c68583",
        _monolingual("ar de el en es hi ro ru th tr vi zh"),
        "xquad",
        _ARAB,
    ),
    MtebTask(
        "MLQARetrieval",
        ("validation", "test"),
        "5bef8b6e2601af974fb1a1cca03fd702229be4b6",
        _corpus_first("ar de en es hi vi zh"),
    ),
    MtebTask("MIRACLRetrieval", ("dev",), "9c09abc13478308c27598f350e31d8f06b9b5481", _MIRACL, "miracl"),
    MtebTask(
        "MIRACLRetrievalHardNegatives",
        ("dev",),
        "d7d94fa4b946cec4a27c84653aa0cf6b33f74a3c",
        _MIRACL,
        "miracl-hard-negatives",
    ),
    *(
        MtebTask(name, (split,), revision, _ENGLISH, suite)
        for name, split, revision, suite in (
            ("ArguAna", "test", "c22ab2a51041ffd869aaddef7af8d8215647e41a", "arguana"),
            ("ClimateFEVER", "test", "47f2ac6acb640fc46020b02a5b59fdda04d39380", "climate-fever"),
            ("DBPedia", "test", "c0f706b76e590d620bd6618b3ca8efdd34e2d659", "dbpedia-entity"),
            ("FEVER", "test", "bea83ef9e8fb933d90a2f1d5515737465d613e12", "fever"),
            ("FiQA2018", "test", "27a168819829fe9bcd655c2df245fb19452e8e06", "fiqa"),
            ("HotpotQA", "test", "ab518f4d6fcca38d87c25209f94beba119d02014", "hotpotqa"),
            ("MSMARCO", "dev", "c5a29a104738b98a9e76336939199e264163d4a0", "msmarco"),
            ("NFCorpus", "test", "ec0fa4fe99da2ff19ca1214b7966684033a58814", "nfcorpus"),
            ("NQ", "test", "b774495ed302d8c44a3a7ea25c90dbce03968f31", "nq"),
            ("QuoraRetrieval", "test", "e4e08e0b7dbe3c8700f0daef558ff32256715259", "quora"),
            ("SCIDOCS", "test", "f8c2fcf00f625baaa80f62ec5bd9e1fff3b8ae88", "scidocs"),
            ("SciFact", "test", "d56462d0e63a25450459c4f213e49ffdb866f7f9", "scifact"),
            ("TRECCOVID", "test", "bb9466bac8153a0349341eb1b22e06409e78ef4e", "trec-covid"),
            ("Touche2020", "test", "a34f9a33db75fa0cbb21bb5cfc3dae8dc8bec93f", "webis-touche2020"),
        )
    ),
)

MTEB_TASKS: Mapping[str, MtebTask] = MappingProxyType({task.name: task for task in _TABLE})
MTEB_TASK_OF_SUITE: Mapping[str, MtebTask] = MappingProxyType({t.suite: t for t in _TABLE if t.suite is not None})

_MEASURES = {"nDCG": "ndcg", "AP": "map", "R": "recall", "P": "precision", "RR": "mrr", "Success": "hit_rate"}
_CUTOFFS = (1, 3, 5, 10, 20, 100, 1000)


def mteb_key(measure: str) -> str | None:
    """The key that mteb has for a measure at a cut-off, e.g. `ndcg_at_10`; None where mteb has no such measure."""
    name, _, cutoff = measure.partition("@")
    return f"{_MEASURES[name]}_at_{cutoff}" if cutoff and name in _MEASURES else None


def mteb_measures() -> dict[str, str]:
    """Every key that mteb writes for a retrieval task by default, with our name of the measure."""
    pairs = ((f"{name}@{k}", f"{theirs}_at_{k}") for name, theirs in _MEASURES.items() for k in _CUTOFFS)
    return {key: str(parse(measure)) for measure, key in pairs}
