"""From a name to suites: those that are shipped, and any collection of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from xlir_bench.errors import InputError, unknown_name
from xlir_bench.resources import folder
from xlir_bench.suites.own import declared_by_folder, declared_by_library
from xlir_bench.suites.schema import Group, Suite, read_declaration, read_suite

DEFAULT_SUITE = "xlir-mini"
_HINT = "see `xlir-bench suites list`, or give a suite's YAML file, a folder, mteb:TASK or ir_datasets:ID"


def shipped() -> list[str]:
    """Names of the suites that travel with the package, sorted."""
    return sorted(path.stem for path in folder("suites").glob("*.yaml"))


def shipped_groups() -> list[str]:
    """Names of the groups that travel with the package, sorted."""
    return sorted(path.stem for path in (folder("suites") / "groups").glob("*.yaml"))


def find(name: str) -> Suite:
    """The one suite of a name: shipped, a YAML file, a folder with a collection, `mteb:TASK` or `ir_datasets:ID`.

    Raises:
        InputError: nothing of that name; or it is a group, or no suite.
        MissingResourceError: `name` ends in .yaml and there is no such file; or a library is not installed.
    """
    found = look_up(name)
    if isinstance(found, Group):
        names = ", ".join(found.suites[:8]) + (", ..." if len(found.suites) > 8 else "")
        raise InputError(f"{name} is a group of suites: {names}; name one of them")
    return found


def look_up(name: str) -> Suite | Group:
    """The suite or group of a name; see `find`."""
    if name in shipped():
        return read_suite(folder("suites") / f"{name}.yaml")
    if name in shipped_groups():
        return read_declaration(folder("suites") / "groups" / f"{name}.yaml")
    if ":" in name and (of_library := declared_by_library(name)) is not None:
        return of_library
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        declared = read_declaration(path)
        if isinstance(declared, Group):
            return declared
        return declared.model_copy(update={"place": path.parent.resolve(), "file": path.parent.resolve() / path.name})
    if path.is_dir():
        return declared_by_folder(path)
    raise unknown_name("suite", name, [*shipped(), *shipped_groups()], _HINT)


def expand(names: Iterable[str]) -> list[Suite]:
    """The suites of some names in their order, groups replaced by what they name, each suite once.

    Folders that nobody declared are called after themselves; several of one name are several suites, which digits of
    their data tell apart. A declaration's name is its own: no other suite may have it.

    Raises:
        InputError: see `find`; a group that contains itself; or two suites of one name, of which one is declared.
        MissingResourceError: see `find`.
    """
    found: list[Suite] = []
    for name in names:
        found += [suite for suite in _expanded(name, ()) if suite not in found]
    refuse_namesakes(found)
    return found


def refuse_namesakes(suites: Iterable[Suite]) -> None:
    """Refuse two suites of one name that results could not tell apart.

    Raises:
        InputError: two have one name, and one of them is declared.
    """
    first: dict[str, Suite] = {}
    for suite in suites:
        other = first.setdefault(suite.name, suite)
        if other is not suite and not (other.by_layout and suite.by_layout):
            both = " and ".join(_origin(one) for one in (other, suite))
            raise InputError(f"two suites are named {suite.name}, {both}: give one of them another name, or name one")


def is_official(suite: Suite) -> bool:
    """Whether a suite's name means this suite: it is the shipped one, or no shipped one has its name."""
    return suite.name not in shipped() or (suite.place is None and suite.source.reader != "memory")


def labels(suites: Sequence[Suite]) -> list[str]:
    """What to call some suites so that they are told apart from each other and from those that are shipped.

    By name, and by place too where several have one name, or a shipped one has it.
    """
    names = [suite.name for suite in suites]
    return [suite.name if names.count(suite.name) == 1 and is_official(suite) else suite.key for suite in suites]


def _origin(suite: Suite) -> str:
    return f"of {suite.place}" if suite.place is not None else "of this release or of a library"


def mean_over(group: Group, summaries: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """Setting -> measure -> mean over the group's members that have it, each with equal weight.

    Args:
        group: a member that is itself a group counts once, by its own mean.
        summaries: `Suite.key` -> setting -> measure -> value. A suite that is missing is left out.
    """
    values: dict[str, dict[str, list[float]]] = {}
    for name in group.suites:
        member = look_up(name)
        of_member = mean_over(member, summaries) if isinstance(member, Group) else summaries.get(member.key, {})
        for setting, measures in of_member.items():
            for measure, value in measures.items():
                values.setdefault(setting, {}).setdefault(measure, []).append(value)
    return {
        setting: {measure: sum(found) / len(found) for measure, found in measures.items()}
        for setting, measures in values.items()
    }


def _expanded(name: str, within: Sequence[str]) -> list[Suite]:
    if name in within:
        raise InputError(f"group {name} contains itself: {' > '.join([*within, name])}")
    found = look_up(name)
    if isinstance(found, Suite):
        return [found]
    return [suite for member in found.suites for suite in _expanded(member, [*within, name])]
