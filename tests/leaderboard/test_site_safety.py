"""A site runs nothing that a result brings along, loads nothing from elsewhere, and is written whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import posixpath
import re
import shlex
from pathlib import Path

import pytest
from leaderboard.reading import read
from leaderboard.site_pages import encoder, files, pages, scripts, suite

from xlir_bench.errors import MissingResourceError
from xlir_bench.leaderboard import build
from xlir_bench.leaderboard.entrant import measured

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><style>*{display:none}</style>",
    "{{ 7 * 7 }}{% raw %}",
    "-->]]></title></table><a href='javascript:alert(1)'>",
)


class TestUntrustedText:
    @pytest.fixture
    def hostile(self, make_result):
        a, b, c, d, e, f = HOSTILE
        return make_result(
            a,
            suite={"name": b, "fingerprint": c + "0" * 64, "languages": ("en", d)},
            model={"name": e, "revision": f, "prompts": {a: b}, "details": {c: [d, e], "dimensions": f}},
            harness={"version": a, b: c},
            environment={d: e},
            created=f,
        )

    def test_is_shown_and_never_becomes_an_element_or_an_attribute(self, hostile):
        expected = {"index": 2, "suite": 2, "encoder": 2, "compare": 2, "history": 1}
        for name, content in files([hostile]).items():
            if not name.endswith(".html"):
                continue
            root = read(content.decode())
            kind = re.match(r"[a-z]+", name.rpartition("/")[2])[0]
            assert (len(scripts(root)), len(root.all("style"))) == (expected[kind], 1)
            assert not root.all("img", "iframe", "object", "embed", "base")
            handlers = [n for element in root.all() for n in element.attributes if n.startswith("on") or n == "style"]
            assert handlers == []
        shown = encoder(hostile).text
        for text in HOSTILE:
            assert " ".join(text.split()) in shown

    def test_does_not_end_the_element_that_holds_the_data(self, hostile):
        for kind in ("index", "compare"):
            (root,) = pages([hostile], kind)
            (data,) = [script for script in root.all("script") if script.attributes.get("type") == "application/json"]
            assert HOSTILE[0] in json.dumps(json.loads(data.raw), ensure_ascii=False)
            assert "<" not in data.raw

    def test_is_escaped_in_the_names_of_settings_and_measures_too(self, make_result):
        result = make_result().model_dump()
        for score in result["scores"]:
            score["measure"] = HOSTILE[1] if score["measure"] == "AP" else HOSTILE[0]
        result["summary"] = {HOSTILE[2]: {HOSTILE[1]: 0.5}, "monolingual": {HOSTILE[0]: 0.5}}
        result["primary"] = {"cross-lingual": HOSTILE[1], "monolingual": HOSTILE[1]}
        for root in pages([make_result().model_validate(result)]):
            assert not root.all("img")
            assert all(not name.startswith("on") for element in root.all() for name in element.attributes)

    def test_is_text_in_charts(self, make_result):
        results = [make_result(f"{HOSTILE[0]}{n}", quality=0.5 + n / 10, model={"fingerprint": str(n)}) for n in (1, 2)]
        root = suite(results)
        assert root.all("figure")
        assert all(not drawing.all("script", "image", "foreignObject") for drawing in root.all("svg"))
        assert any(HOSTILE[0] in title.text for title in root.all("title"))

    def test_of_a_card_is_no_html_and_links_to_the_web_alone(self, make_result):
        card = "# Title\n\n<b onclick=x>bold</b> [a](javascript:alert(1)) [b](https://example.org) ![p](https://x.y/z.png)\n\n|a|\n|-:|\n|1|"
        (page,) = (
            read(content.decode())
            for name, content in files([measured(make_result(), card=card)]).items()
            if name.startswith("pages/encoder-")
        )
        (prose,) = page.all("div", class_="prose")
        assert [link.attributes["href"] for link in prose.all("a")] == ["https://example.org", "https://x.y/z.png"]
        assert prose.all("h3")[0].text == "Title"
        assert not prose.all("b", "img", "h1")
        assert all("style" not in element.attributes for element in prose.all())

    def test_is_quoted_in_the_command_so_that_pasting_it_runs_one_program(self, make_result):
        root = encoder(make_result("x; rm -rf ~ #`id`", suite={"name": "a && b"}))
        (command,) = root.all("clipboard-copy")
        assert shlex.split(command.attributes["value"]) == [
            "xlir-bench",
            "run",
            "x; rm -rf ~ #`id`",
            "--suite",
            "a && b",
        ]
        assert command.attributes["value"] == root.all("div", class_="command")[0].all("code")[0].text

    def test_ids_on_a_page_are_unique_and_every_link_on_the_site_has_its_target(self, hostile, five_encoders):
        everything = files([hostile, *five_encoders])
        ids = {}
        for name, content in everything.items():
            if name.endswith(".html"):
                root = read(content.decode())
                found = [element.attributes["id"] for element in root.all() if "id" in element.attributes]
                assert len(found) == len(set(found)), name
                ids[name] = set(found)
                labelled = [e.attributes["aria-labelledby"] for e in root.all() if "aria-labelledby" in e.attributes]
                assert {identifier for names in labelled for identifier in names.split()} <= set(found)
        for name in ids:
            for link in read(everything[name].decode()).all("a"):
                page, _, fragment = link.attributes["href"].partition("#")
                target = posixpath.normpath(posixpath.join(posixpath.dirname(name), page)) if page else name
                assert target in everything
                assert not fragment or "=" in fragment or fragment in ids[target], (name, link.attributes["href"])


class TestSelfContained:
    def test_the_policy_names_exactly_the_inlined_style_and_scripts(self, five_encoders):
        for root in pages(five_encoders):
            policy = next(m for m in root.all("meta") if "http-equiv" in m.attributes).attributes["content"]
            directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
            for elements, directive in ((root.all("style"), "style-src"), (scripts(root), "script-src")):
                digests = [hashlib.sha256(element.raw.encode()).digest() for element in elements]
                expected = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
                assert directives[directive] == expected
            assert directives["default-src"] == "'none'"
            assert directives["img-src"] == "data:"

    def test_nothing_is_loaded_from_anywhere(self, five_encoders):
        for root in pages(five_encoders):
            for element in root.all():
                for name in ("src", "srcset", "action", "poster", "data"):
                    assert name not in element.attributes
                address = element.attributes.get("href") or "#"
                assert (
                    element.tag in ("a", "link")[: 1 if address.startswith("..") else 2]
                    or address.startswith("#")
                    or not address.startswith(("http", "//"))
                )
                if element.tag == "link":
                    assert element.attributes["rel"] in ("icon", "alternate")
                    assert element.attributes["rel"] == "alternate" or address.startswith("data:")
            style = root.all("style")[0].raw
            assert "@import" not in style
            assert "url(" not in style

    def test_the_policy_comes_before_anything_that_it_governs(self, five_encoders):
        for name, content in files(five_encoders).items():
            if name.endswith(".html"):
                html = content.decode()
                governed = (html.index("<style"), html.index("<script"), html.index("<link"))
                assert html.index("Content-Security-Policy") < min(governed)
                assert html.lower().startswith("<!doctype html>")


class TestWriting:
    def test_makes_the_folder_and_returns_the_index(self, make_result, tmp_path):
        path = build([make_result()], tmp_path / "new" / "site")
        assert path == tmp_path / "new" / "site" / "index.html"
        assert read(path.read_text("utf-8")).all("main")
        assert sorted(p.name for p in path.parent.iterdir()) == ["feed.atom", "index.html", "leaderboard.json", "pages"]

    def test_is_readable_by_a_web_server_like_any_new_file(self, make_result, tmp_path):
        plain = tmp_path / "plain"
        plain.touch()
        assert build([make_result()], tmp_path).stat().st_mode == plain.stat().st_mode

    def test_a_failure_while_writing_leaves_the_old_index(self, make_result, tmp_path, monkeypatch):
        (tmp_path / "index.html").write_text("old")

        def full(descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(MissingResourceError, match="No space"):
            build([make_result()], tmp_path)
        assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"index.html": "old"}

    def test_the_index_comes_last_and_no_page_is_ever_seen_half_written(self, make_result, tmp_path, monkeypatch):
        seen = []
        replace = Path.replace
        monkeypatch.setattr(Path, "replace", lambda s, t: (seen.append((t.name, s.read_bytes())), replace(s, t)))
        build([make_result()], tmp_path)
        assert seen[-1][0] == "index.html"
        assert all(draft.rstrip().endswith(b"</html>") for name, draft in seen if name.endswith(".html"))

    def test_removes_pages_of_encoders_that_are_gone_and_nothing_else(self, make_result, tmp_path):
        build([make_result("one"), make_result("two")], tmp_path)
        before = {p.name for p in (tmp_path / "pages").iterdir()}
        (tmp_path / "pages" / "mine.html").write_text("kept")
        build([make_result("one")], tmp_path)
        after = {p.name for p in (tmp_path / "pages").iterdir()}
        assert {name.rpartition("-")[0] for name in before - after} == {"encoder-two"}
        assert after - before == {"mine.html"}

    def test_removes_the_files_of_charts_that_are_gone(self, make_result, five_encoders, tmp_path):
        build(five_encoders, tmp_path)
        folder = tmp_path / "pages" / "charts"
        (folder / "mine.svg").write_text("kept")
        assert len(list(folder.iterdir())) > 5
        build([make_result("one", suite={"languages": ("de",)})], tmp_path)
        assert not [path.name for path in folder.glob("*-bias.svg")]
        assert (folder / "mine.svg").is_file()

    def test_the_same_results_on_the_same_date_give_the_same_bytes(self, five_encoders, tmp_path, monkeypatch):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1768478400")
        first, second = tmp_path / "a", tmp_path / "b"
        build(five_encoders, first)
        build(five_encoders[::-1], second)
        written = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
        assert len([name for name in written if "charts" not in name.parts]) == 3 + 1 + 5 + 2
        assert {name.suffix for name in written if "charts" in name.parts} == {".svg", ".png"}
        assert all((first / name).read_bytes() == (second / name).read_bytes() for name in written)
        assert b"2026-01-15 12:00 UTC" in (first / "index.html").read_bytes()
