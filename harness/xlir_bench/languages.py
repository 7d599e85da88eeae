"""The languages that the suites speak: one table, keyed by the code that suites and results use.

A code is ISO 639-1 where there is one, else ISO 639-3. Family and genus follow WALS (https://wals.info); script is the
ISO 15924 code of the script that the suites' texts use; the resource class is that of Joshi et al. 2020, "The State and
Fate of Linguistic Diversity and Inclusion in the NLP World" (arXiv 2004.09095): 0, left behind, to 5, the winners.
"""

from __future__ import annotations

from dataclasses import dataclass

from xlir_bench.errors import unknown_name


@dataclass(frozen=True, slots=True)
class Language:
    """One row of the table.

    Attributes:
        code: what suites, results and the command line call it.
        name: in English.
        family: top-level family.
        genus: the group below it whose relation is obvious without reconstruction (WALS).
        script: ISO 15924 code.
        resource_class: 0 to 5 (Joshi et al. 2020); None where their list has no entry that is certainly this language.
    """

    code: str
    name: str
    family: str
    genus: str
    script: str
    resource_class: int | None


_TABLE = (
    Language("ar", "Arabic", "Afro-Asiatic", "Semitic", "Arab", 5),
    Language("bn", "Bengali", "Indo-European", "Indic", "Beng", 3),
    Language("cs", "Czech", "Indo-European", "Slavic", "Latn", 4),
    Language("da", "Danish", "Indo-European", "Germanic", "Latn", 3),
    Language("de", "German", "Indo-European", "Germanic", "Latn", 5),
    Language("el", "Greek", "Indo-European", "Greek", "Grek", 3),
    Language("en", "English", "Indo-European", "Germanic", "Latn", 5),
    Language("es", "Spanish", "Indo-European", "Romance", "Latn", 5),
    Language("fa", "Persian", "Indo-European", "Iranian", "Arab", 4),
    Language("fi", "Finnish", "Uralic", "Finnic", "Latn", 4),
    Language("fil", "Filipino", "Austronesian", "Greater Central Philippine", "Latn", None),
    Language("fr", "French", "Indo-European", "Romance", "Latn", 5),
    Language("he", "Hebrew", "Afro-Asiatic", "Semitic", "Hebr", 3),
    Language("hi", "Hindi", "Indo-European", "Indic", "Deva", 4),
    Language("hr", "Croatian", "Indo-European", "Slavic", "Latn", 4),
    Language("hu", "Hungarian", "Uralic", "Ugric", "Latn", 4),
    Language("id", "Indonesian", "Austronesian", "Malayo-Sumbawan", "Latn", 3),
    Language("it", "Italian", "Indo-European", "Romance", "Latn", 4),
    Language("ja", "Japanese", "Japanese", "Japanese", "Jpan", 5),
    Language("ko", "Korean", "Korean", "Korean", "Kore", 4),
    Language("mi", "Maori", "Austronesian", "Oceanic", "Latn", None),
    Language("nl", "Dutch", "Indo-European", "Germanic", "Latn", 4),
    Language("no", "Norwegian", "Indo-European", "Germanic", "Latn", None),
    Language("pl", "Polish", "Indo-European", "Slavic", "Latn", 4),
    Language("pt", "Portuguese", "Indo-European", "Romance", "Latn", 4),
    Language("quz", "Cusco Quechua", "Quechuan", "Quechuan", "Latn", None),
    Language("ro", "Romanian", "Indo-European", "Romance", "Latn", 3),
    Language("ru", "Russian", "Indo-European", "Slavic", "Cyrl", 4),
    Language("sv", "Swedish", "Indo-European", "Germanic", "Latn", 4),
    Language("sw", "Swahili", "Niger-Congo", "Bantoid", "Latn", 2),
    Language("te", "Telugu", "Dravidian", "Dravidian", "Telu", 1),
    Language("th", "Thai", "Tai-Kadai", "Kam-Tai", "Thai", 3),
    Language("tr", "Turkish", "Altaic", "Turkic", "Latn", 4),
    Language("uk", "Ukrainian", "Indo-European", "Slavic", "Cyrl", 3),
    Language("vi", "Vietnamese", "Austro-Asiatic", "Vietic", "Latn", 4),
    Language("yo", "Yoruba", "Niger-Congo", "Defoid", "Latn", 2),
    Language("zh", "Chinese", "Sino-Tibetan", "Chinese", "Hans", 5),
)

LANGUAGES: dict[str, Language] = {language.code: language for language in _TABLE}


def language(code: str) -> Language:
    """The row of a code.

    Raises:
        InputError: no language has this code.
    """
    try:
        return LANGUAGES[code]
    except KeyError:
        raise unknown_name("language", code, LANGUAGES, f"known codes: {' '.join(LANGUAGES)}") from None
