"""The page as a browser's parser sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "input", "hr", "base", "source"}


@dataclass
class Element:
    """An element with what it holds."""

    tag: str
    attributes: dict[str, str | None]
    children: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text inside, with runs of white space made one space."""
        return " ".join("".join(c if isinstance(c, str) else f" {c.text} " for c in self.children).split())

    @property
    def raw(self) -> str:
        """The text directly inside, as it stands."""
        return "".join(child for child in self.children if isinstance(child, str))

    def all(self, *tags: str, **attributes: str) -> list[Element]:
        """Every element below with one of the tags (any, if none) and these attributes; `class_` asks for one class."""
        found = []
        for child in self.children:
            if isinstance(child, str):
                continue
            wanted_class = attributes.get("class_")
            fits = (not tags or child.tag in tags) and (
                wanted_class is None or wanted_class in (child.attributes.get("class") or "").split()
            )
            others = {name: value for name, value in attributes.items() if name != "class_"}
            if fits and all(child.attributes.get(name) == value for name, value in others.items()):
                found.append(child)
            found += child.all(*tags, **attributes)
        return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> states an attribute twice: {names}"
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data):
        self.open[-1].children.append(data)


def read(html: str) -> Element:
    """The tree of a page; an element that is not closed in order is an error."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == [reader.root], f"not closed: {[element.tag for element in reader.open[1:]]}"
    return reader.root
