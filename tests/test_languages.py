"""Languages: any tag becomes one code, and the table holds what its sources say."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import defaultdict
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langcodes import Language as Tag
from langcodes.data_dicts import LANGUAGE_ALPHA3, LIKELY_SUBTAGS, NORMALIZED_MACROLANGUAGES

from xlir_bench.errors import InputError
from xlir_bench.languages import LANGUAGES, described, distinct, is_listed, known, language, normalise

BUILD = Path(__file__).parents[1] / "tools" / "languages" / "build.py"


def words(text):
    """The words of a text."""
    return text.split()


# The codes of FLORES-200, from its README.
FLORES = words(
    """
    ace_Arab ace_Latn acm_Arab acq_Arab aeb_Arab afr_Latn ajp_Arab aka_Latn amh_Ethi apc_Arab arb_Arab arb_Latn
    ars_Arab ary_Arab arz_Arab asm_Beng ast_Latn awa_Deva ayr_Latn azb_Arab azj_Latn bak_Cyrl bam_Latn ban_Latn
    bel_Cyrl bem_Latn ben_Beng bho_Deva bjn_Arab bjn_Latn bod_Tibt bos_Latn bug_Latn bul_Cyrl cat_Latn ceb_Latn
    ces_Latn cjk_Latn ckb_Arab crh_Latn cym_Latn dan_Latn deu_Latn dik_Latn dyu_Latn dzo_Tibt ell_Grek eng_Latn
    epo_Latn est_Latn eus_Latn ewe_Latn fao_Latn fij_Latn fin_Latn fon_Latn fra_Latn fur_Latn fuv_Latn gla_Latn
    gle_Latn glg_Latn grn_Latn guj_Gujr hat_Latn hau_Latn heb_Hebr hin_Deva hne_Deva hrv_Latn hun_Latn hye_Armn
    ibo_Latn ilo_Latn ind_Latn isl_Latn ita_Latn jav_Latn jpn_Jpan kab_Latn kac_Latn kam_Latn kan_Knda kas_Arab
    kas_Deva kat_Geor knc_Arab knc_Latn kaz_Cyrl kbp_Latn kea_Latn khm_Khmr kik_Latn kin_Latn kir_Cyrl kmb_Latn
    kmr_Latn kon_Latn kor_Hang lao_Laoo lij_Latn lim_Latn lin_Latn lit_Latn lmo_Latn ltg_Latn ltz_Latn lua_Latn
    lug_Latn luo_Latn lus_Latn lvs_Latn mag_Deva mai_Deva mal_Mlym mar_Deva min_Arab min_Latn mkd_Cyrl plt_Latn
    mlt_Latn mni_Beng khk_Cyrl mos_Latn mri_Latn mya_Mymr nld_Latn nno_Latn nob_Latn npi_Deva nso_Latn nus_Latn
    nya_Latn oci_Latn gaz_Latn ory_Orya pag_Latn pan_Guru pap_Latn pes_Arab pol_Latn por_Latn prs_Arab pbt_Arab
    quy_Latn ron_Latn run_Latn rus_Cyrl sag_Latn san_Deva sat_Beng scn_Latn shn_Mymr sin_Sinh slk_Latn slv_Latn
    smo_Latn sna_Latn snd_Arab som_Latn sot_Latn spa_Latn als_Latn srd_Latn srp_Cyrl ssw_Latn sun_Latn swe_Latn
    swh_Latn szl_Latn tam_Taml tat_Cyrl tel_Telu tgk_Cyrl tgl_Latn tha_Thai tir_Ethi taq_Latn taq_Tfng tpi_Latn
    tsn_Latn tso_Latn tuk_Latn tum_Latn tur_Latn twi_Latn tzm_Tfng uig_Arab ukr_Cyrl umb_Latn urd_Arab uzn_Latn
    vec_Latn vie_Latn war_Latn wol_Latn xho_Latn ydd_Hebr yor_Latn yue_Hant zho_Hans zho_Hant zsm_Latn zul_Latn
    """
)
M2M100 = words(
    """
    af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha he hi hr ht hu hy
    id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no oc or pa pl ps pt ro ru sd si
    sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo xh yi yo zh zu
    """
)
XLM_R = words(
    """
    af am ar as az be bg bn br bs ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu ha he hi hr hu hy id is it
    ja jv ka kk km kn ko ku ky la lo lt lv mg mk ml mn mr ms my ne nl no om or pa pl ps pt ro ru sa sd si sk sl so sq
    sr su sv sw ta te th tl tr ug uk ur uz vi xh yi zh
    """
)


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ("zho cmn zh zh-CN zh_CN zh-Hans ZH cmn-Hans zho_Hans chi", "zh"),
        ("zh-Hant zh-TW zh_HK cmn-Hant zho_Hant", "zh-Hant"),
        ("pt-BR pt_PT por por_Latn pt", "pt"),
        ("nb nob nob_Latn no nor no-NO no-bok", "no"),
        ("nn nno nno_Latn no-nyn", "nn"),
        ("iw he heb heb_Hebr", "he"),
        ("EN eng eng-Latn eng_Latn en-GB en", "en"),
        ("arb ar ara arb_Arab ar-EG", "ar"),
        ("arb_Latn ar-Latn", "ar-Latn"),
        ("tl tgl fil fil-PH", "fil"),
        ("fa pes fas per", "fa"),
        ("prs fa-AF prs_Arab", "prs"),
        ("ps pbt pus", "ps"),
        ("jpn jpn-Jpan jpn-Hira", "ja"),
        ("kor_Hang ko-Kore", "ko"),
        ("in ind", "id"),
        ("BG bul bg", "bg"),
        ("ur urd", "ur"),
        ("quz", "quz"),
        ("twi tw", "tw"),
        ("pa-PK pa-Arab", "pa-Arab"),
    ],
)
def test_tags_of_one_language_have_one_code(tags, code):
    assert {tag: normalise(tag) for tag in tags.split()} == dict.fromkeys(tags.split(), code)


def test_every_language_of_flores_200_is_in_the_table_and_no_two_of_its_codes_are_merged():
    assert len(FLORES) == 204
    assert [tag for tag in FLORES if not is_listed(tag)] == []
    assert len(distinct(FLORES, "FLORES-200")) == 204


def test_every_language_of_m2m_100_and_xlm_r_is_in_the_table():
    assert [tag for tag in (*M2M100, *XLM_R) if not is_listed(tag)] == []


def test_every_language_of_mtebs_retrieval_tasks_is_in_the_table():
    mteb = pytest.importorskip("mteb", reason="install the extra `mteb`")
    tags = set()
    for task in mteb.get_tasks(task_types=["Retrieval"]):
        declared = task.metadata.eval_langs
        tags |= {tag for listed in (declared.values() if isinstance(declared, dict) else [declared]) for tag in listed}
    texts = sorted(tag for tag in tags if not tag.endswith("-Code"))
    assert len(texts) > 100
    assert [tag for tag in texts if not is_listed(tag)] == []


_TAGS = sorted({*LIKELY_SUBTAGS, *LANGUAGE_ALPHA3, *LANGUAGE_ALPHA3.values(), *NORMALIZED_MACROLANGUAGES, *FLORES})
_PARTS = st.tuples(
    st.sampled_from(_TAGS),
    st.sampled_from(["", "", "-Latn", "-Cyrl", "-Arab", "-Hant", "-Hans", "-Hira"]),
    st.sampled_from(["", "", "-TW", "-BR", "-IR", "-US", "-419"]),
)


@settings(max_examples=1500, deadline=None)
@given(_PARTS.map("".join))
def test_a_code_is_its_own_code(tag):
    code, refusal = attempted(tag)
    assert refusal is None or repr(tag) in refusal
    if code is not None:
        assert normalise(code) == code
        assert {normalise(tag.upper()), normalise(tag.lower()), normalise(tag.replace("-", "_"))} == {code}


@settings(max_examples=800, deadline=None)
@given(_PARTS.map("".join))
def test_the_script_of_a_tag_is_never_lost(tag):
    code, _ = attempted(tag)
    if code is None or Tag.get(tag).language not in LIKELY_SUBTAGS or code.partition("-")[0] not in LIKELY_SUBTAGS:
        return
    same = {"Hira": "Jpan", "Hang": "Kore"}  # the parts that ISO 15924 puts together
    before, after = Tag.get(tag).maximize().script, Tag.get(code, normalize=False).maximize().script
    assert same.get(before, before) == same.get(after, after)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=12))
def test_any_text_is_a_language_or_refused_with_the_text_named(tag):
    code, refusal = attempted(tag)
    assert (code is None) != (refusal is None)
    assert refusal is None or repr(tag) in refusal
    assert code is None or normalise(code) == code


@pytest.mark.parametrize(
    ("tag", "meant"),
    [
        ("english", r"did you mean English \(en\)\?"),
        ("chines", r"did you mean Chinese \(zh\)"),
        ("jp", r"did you mean Japanese \(ja\)\?"),
        ("cz", r"did you mean Czech \(cs\)\?"),
        ("scifact", "A BCP 47 tag is expected, such as en, pt-BR or zh-Hant"),
        ("data", "unknown language 'data'"),
        ("und", "unknown language 'und'"),
        ("mul", "unknown language 'mul'"),
        ("x-own", "unknown language 'x-own'"),
        ("en-train", "unknown language 'en-train'"),
        ("my-own", "unknown language 'my-own'"),
        ("", "unknown language ''"),
    ],
)
def test_what_is_no_language_is_refused_with_the_nearest_that_are(tag, meant):
    with pytest.raises(InputError, match=meant):
        normalise(tag)


def test_an_unknown_language_is_accepted_only_where_it_is_asked_for():
    assert normalise("und", unknown=True) == "und"
    with pytest.raises(InputError):
        normalise("mul", unknown=True)


def test_two_tags_of_one_language_are_never_merged():
    assert distinct(["pt-BR", "zh", "zh-TW"], "a list") == {"pt": "pt-BR", "zh": "zh", "zh-Hant": "zh-TW"}
    with pytest.raises(InputError, match=r"a list has both pt and pt-BR, which is one language, Portuguese \(pt\)"):
        distinct(["pt", "en", "pt-BR"], "a list")
    with pytest.raises(InputError, match="a list has zh twice"):
        distinct(["zh", "zh"], "a list")


def test_a_code_with_a_script_has_the_row_of_its_language():
    row = known("zh-Hant")
    assert (row.family, row.genus, row.script, row.resource_class) == ("Sino-Tibetan", "Chinese", "Hant", 5)
    assert described("zh-Hant") == "Chinese (Hant) (zh-Hant)"
    assert language("cmn-Hant") == row


def test_a_language_outside_the_table_has_a_code_and_no_row():
    assert (normalise("abk"), known("ab"), described("ab"), is_listed("abk")) == ("ab", None, "ab", False)
    with pytest.raises(InputError, match="unknown language 'abk': the table does not list Abkhazian"):
        language("abk")


def test_the_table_has_cldrs_names_and_scripts():
    ours = {"bn": "Bengali", "ilo": "Ilocano", "kac": "Jingpho", "luo": "Luo", "mi": "Maori"}
    tags = {code: Tag.get(code, normalize=False) for code in LANGUAGES}
    assert {code: row.name for code, row in LANGUAGES.items()} == {
        code: ours.get(code) or tag.language_name() for code, tag in tags.items()
    }
    likely = {code: tag.maximize().script for code, tag in tags.items() if code in LIKELY_SUBTAGS}
    assert len(likely) > 180
    assert {code: LANGUAGES[code].script for code in likely} == likely


def test_a_script_that_cldr_does_not_know_is_that_of_flores_200():
    written = defaultdict(set)
    for tag in FLORES:
        written[normalise(tag).partition("-")[0]].add(tag.partition("_")[2])
    rest = [code for code in LANGUAGES if code not in LIKELY_SUBTAGS and code != "quz"]
    assert {code: {LANGUAGES[code].script} for code in rest} == {code: written[code] for code in rest}


def test_the_codes_of_the_table_are_codes_in_order():
    assert list(LANGUAGES) == sorted(LANGUAGES)
    assert all(normalise(code) == code == row.code for code, row in LANGUAGES.items())
    assert all(row.resource_class in {None, *range(6)} for row in LANGUAGES.values())


def test_a_genus_is_of_one_family_and_of_one_family_of_glottologs():
    families = json.loads((resources.files("mteb.languages") / "language_family.json").read_text("utf-8"))
    of_genus, of_glottolog = defaultdict(set), defaultdict(set)
    for code, row in LANGUAGES.items():
        if row.genus is not None:
            of_genus[row.genus].add(row.family)
            glottolog = families.get(Tag.get(code, normalize=False).to_alpha3(), {}).get("level0")
            of_glottolog[row.genus] |= {glottolog} if glottolog else set()
    assert {genus: found for genus, found in of_genus.items() if len(found) > 1} == {}
    assert {genus: found for genus, found in of_glottolog.items() if len(found) > 1} == {}
    assert sum(bool(found) for found in of_glottolog.values()) > 40


@pytest.mark.parametrize(
    ("code", "family", "genus", "resource_class"),
    [
        ("sw", "Niger-Congo", "Bantu", 2),
        ("mi", "Austronesian", "Oceanic", 1),
        ("no", "Indo-European", "Germanic", 1),
        ("nn", "Indo-European", "Germanic", 1),
        ("hr", "Indo-European", "Slavic", 4),
        ("vi", "Austro-Asiatic", "Vietic", 4),
        ("yo", "Niger-Congo", "Defoid", 2),
        ("fil", "Austronesian", "Greater Central Philippine", 3),
        ("eo", None, None, 1),
        ("quz", "Quechuan", "Quechuan", None),
    ],
)
def test_rows_say_what_wals_and_joshi_et_al_say(code, family, genus, resource_class):
    row = LANGUAGES[code]
    assert (row.family, row.genus, row.resource_class) == (family, genus, resource_class)


def test_the_library_of_tags_is_not_loaded_before_it_is_needed():
    check = "import sys, xlir_bench.languages as l; l.normalise('en'); sys.exit('langcodes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


SELECTION = [
    ("code", "name", "script", "iso639_3", "wals", "joshi"),
    ("sw", "", "", "swh", "swa", "swahili"),
    ("zu", "", "", "", "zul", "zulu"),
    ("lua", "", "", "", "", ""),
    ("pap", "", "", "", "pap", "papiamentu"),
    ("kea", "", "", "", "", ""),
    ("pt", "", "", "", "por", "portuguese"),
    ("fur", "", "", "", "", "friulian"),
    ("la", "", "", "", "family", "latin"),
    ("eo", "", "", "", "", ""),
    ("acq", "Yemeni", "Arab", "", "", ""),
    ("no", "", "", "nob", "nor", "norwegian (bokmål)"),
]
ROMANCE = ["Indo-European", "Italic", "Romance"]
LINEAGES = {
    "swh": ["Atlantic-Congo", "Bantu", "Swahili"],
    "zul": ["Atlantic-Congo", "Bantu", "Nguni"],
    "lua": ["Atlantic-Congo", "Bantu", "Luba"],
    "pap": [*ROMANCE, "Ibero-Romance", "Upper Guinea"],
    "kea": [*ROMANCE, "Ibero-Romance", "Upper Guinea"],
    "por": [*ROMANCE, "Ibero-Romance"],
    "fur": [*ROMANCE, "Rhaetian"],
    "lat": ["Indo-European", "Italic"],
    "epo": ["Artificial Language"],
}


@pytest.fixture
def sources(tmp_path):
    """Small files in the layout of each source."""
    (tmp_path / "selection.tsv").write_text("\n".join("\t".join(row) for row in SELECTION) + "\n", "utf-8")
    (tmp_path / "languages.csv").write_text(
        "ID,Name,Macroarea,Family,Subfamily,Genus\nswa,Swahili,Africa,Niger-Congo,Benue-Congo,Bantu\n"
        "zul,Zulu,Africa,Niger-Congo,Benue-Congo,Bantu\npap,Papiamentu,,other,,Creoles and Pidgins\n"
        "por,Portuguese,Eurasia,Indo-European,,Romance\nnor,Norwegian,Eurasia,Indo-European,,Germanic\n",
        "utf-8",
    )
    (tmp_path / "lang2tax.txt").write_text(
        "swahili,2\nzulu,2\npapiamentu,1\nportuguese,4\nfriulian,1\nlatin,3\nnorwegian \\(bokmål\\),1\n", "utf-8"
    )
    lineages = {code: {f"level{n}": name for n, name in enumerate(names)} for code, names in LINEAGES.items()}
    (tmp_path / "families.json").write_text(json.dumps(lineages), "utf-8")
    return tmp_path


def build(folder):
    given = {"--wals": "languages.csv", "--joshi": "lang2tax.txt", "--glottolog": "families.json",
             "--selection": "selection.tsv", "--output": "table.tsv"}  # fmt: skip
    command = [sys.executable, BUILD, *(part for name, file in given.items() for part in (name, folder / file))]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_table_is_generated_from_its_sources(sources):
    assert build(sources).returncode == 0
    with (sources / "table.tsv").open(encoding="utf-8", newline="") as file:
        rows = {row.pop("code"): tuple(row.values()) for row in csv.DictReader(file, delimiter="\t")}
    assert rows == {
        "acq": ("Yemeni", "", "", "Arab", ""),
        "eo": ("Esperanto", "", "", "Latn", ""),
        "fur": ("Friulian", "Indo-European", "Romance", "Latn", "1"),
        "kea": ("Kabuverdianu", "other", "Creoles and Pidgins", "Latn", ""),
        "la": ("Latin", "Indo-European", "", "Latn", "3"),
        "lua": ("Luba-Lulua", "Niger-Congo", "Bantu", "Latn", ""),
        "no": ("Norwegian", "Indo-European", "Germanic", "Latn", "1"),
        "pap": ("Papiamento", "other", "Creoles and Pidgins", "Latn", "1"),
        "pt": ("Portuguese", "Indo-European", "Romance", "Latn", "4"),
        "sw": ("Swahili", "Niger-Congo", "Bantu", "Latn", "2"),
        "zu": ("Zulu", "Niger-Congo", "Bantu", "Latn", "2"),
    }
    assert list(rows) == sorted(rows)


def test_a_source_that_lacks_a_language_stops_the_generation(sources):
    (sources / "lang2tax.txt").write_text("swahili,2\n", "utf-8")
    ran = build(sources)
    assert ran.returncode != 0
    assert "KeyError" in ran.stderr
    assert not (sources / "table.tsv").exists()


def test_the_selection_names_the_languages_of_the_table():
    with (BUILD.parent / "selection.tsv").open(encoding="utf-8", newline="") as file:
        assert sorted(row["code"] for row in csv.DictReader(file, delimiter="\t")) == list(LANGUAGES)


def attempted(tag):
    """The code of a tag, and the refusal; one of the two is None."""
    try:
        return normalise(tag), None
    except InputError as error:
        return None, str(error)
