"""What differs between the context that was executed and the one that would be: why a well is done again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hcs_lib.contexts.lazy import is_lazy
from hcs_lib.core.canonical import canonical_json

_CAUSES = ("threads", "bad_planes", "plane_shape", "plane_dtype", "metadata")
"""What a context holds of the plate and the configuration, beside what has a comparison of its own."""

_NOTHING = object()
_LONGEST = 60
"""Characters of a value that are shown."""

Path = tuple[str, ...]
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One part of a context that changed.

    Attributes
    ----------
    text
        What changed, from what to what.
    about
        The same for wells of which the same is to be said, whatever their files are called.
    """

    text: str
    about: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "about", self.about or self.text)


def compare_contexts(old: Json, new: Json) -> list[Change]:
    """Return what changed between two contexts, as plain JSON values: causes, and where none is found, all the rest.

    A change of the pipeline shows in many places of a context: another pixel size, in the metadata, in arguments and
    in what is written. The first is told.
    """
    steps = list(_steps(old, new))
    found = [
        *_engine(old["engine"], new["engine"]),
        *_functions(old["functions"], new["functions"]),
        *steps,
        *_files(old, new),
        *_planes(old, new, added_and_gone=not steps),
        *(Change(f"stage {stage} before it changed") for stage in _differing(old["before"], new["before"])),
        *(
            Change(f"{'.'.join(path)} {_arrow(before, after)}")
            for name in _CAUSES
            for path, before, after in _leaves(old[name], new[name], (name,))
        ),
    ]
    return list(dict.fromkeys(found)) or list(_rest(old, new))


def _engine(old: Json, new: Json) -> Iterator[Change]:
    if old["digest"] != new["digest"]:
        yield Change("the code of the executor changed")
    yield from _versions(old["versions"], new["versions"])


def _versions(old: Json, new: Json) -> Iterator[Change]:
    for name in _differing(old, new):
        yield Change(f"{name} {old.get(name, 'nothing')} → {new.get(name, 'nothing')}")


def _functions(old: list[Json], new: list[Json]) -> Iterator[Change]:
    """Compare what is known of the functions that both contexts call."""
    before = {function["id"]: function for function in old}
    for function in new:
        name, earlier = function["id"], before.get(function["id"])
        if earlier is None or earlier == function:
            continue
        versions = list(_versions(earlier["dependencies"], function["dependencies"]))
        if earlier["source_digest"] != function["source_digest"]:
            yield Change(f"the code of {name} changed")
        elif earlier["version"] != function["version"]:
            versions.insert(0, Change(f"{function['library']} {earlier['version']} → {function['version']}"))
        elif not versions:
            yield Change(f"what is known of {name} changed")
        yield from versions


def _steps(old: Json, new: Json) -> Iterator[Change]:
    """Compare what the user asked of each step, by name."""
    before = {state["name"]: state for state in old["step_state_map"].values()}
    after = {state["name"]: state for state in new["step_state_map"].values()}
    yield from (Change(f"step '{name}' is gone from the stage") for name in before if name not in after)
    for name, state in after.items():
        if name not in before:
            yield Change(f"step '{name}' is new in the stage")
            continue
        for path, earlier, later in _leaves(before[name], state, ()):
            yield Change(f"step '{name}' {_place(path)} {_arrow(earlier, later)}")
    if [name for name in before if name in after] != [name for name in after if name in before]:
        yield Change("the order of the steps changed")


def _place(path: Path) -> str:
    """Name a place in what the user asked of a step: `argument sigma`, with the route where there is one."""
    if path[0] != "func":
        return f"key {'.'.join(path)}"
    route = f" of {path[1]}" if len(path) > 1 and not path[1].isdigit() else ""
    if "args" in path:
        return f"argument {'.'.join(path[path.index('args') + 1 :])}{route}".rstrip()
    return f"function{route}"


def _files(old: Json, new: Json) -> Iterator[Change]:
    """Compare the files that arguments name: a step asks for the same, and it has other bytes."""
    before, after = _named_files(old), _named_files(new)
    for step, files in after.items():
        for name, digests in files.items():
            earlier = before.get(step, {}).get(name, digests)
            if earlier != digests:
                yield Change(f"step '{step}' file {name} {_short(earlier)} → {_short(digests)}")


def _named_files(context: Json) -> dict[str, dict[str, set[str]]]:
    """Return the digests of the files that each step refers to, by the name of the step and of the file."""
    found: dict[str, dict[str, set[str]]] = {}
    for plan in context["step_plans"].values():
        files = found.setdefault(plan["step_name"], {})
        for file in _references(plan["func"]):
            files.setdefault(file["name"], set()).add(file["sha256"])
    return found


def _references(value: Any) -> Iterator[Json]:
    if is_lazy(value):
        yield value
    elif isinstance(value, Mapping | list):
        for member in value.values() if isinstance(value, Mapping) else value:
            yield from _references(member)


def _short(digests: set[str]) -> str:
    return ", ".join(sorted(digest[:12] for digest in digests))


def _planes(old: Json, new: Json, *, added_and_gone: bool) -> Iterator[Change]:
    """Compare raw files. Where the steps changed, they may read other files, and none was added."""
    before = {plane["file"]: plane for plane in old["planes"]}
    after = {plane["file"]: plane for plane in new["planes"]}
    found = []
    for file, plane in after.items():
        earlier = before.get(file)
        if earlier is None:
            if added_and_gone:
                found.append(f"file {file} added")
        elif any(earlier[key] != plane[key] for key in ("size", "mtime_ns", "sha256")):
            found.append(f"file {file} changed ({_facts(earlier, plane)})")
    if added_and_gone:
        found += [f"file {file} missing" for file in before if file not in after]
        if not found:
            wrong = [problem["message"] for problem in new["problems"] if problem not in old["problems"]]
            found = wrong or [f"no longer: {p['message']}" for p in old["problems"] if p not in new["problems"]]
    if found:
        others = f", and {len(found) - 1} more" if len(found) > 1 else ""
        yield Change(f"{found[0]}{others}", about="raw files")


def _facts(old: Json, new: Json) -> str:
    if old["size"] != new["size"]:
        return f"{old['size']} → {new['size']} bytes"
    if old["sha256"] and new["sha256"]:
        return "other bytes"
    return "time stamp" if old["sha256"] is new["sha256"] is None else "fingerprint"


def _rest(old: Json, new: Json) -> Iterator[Change]:
    """Tell the first places that differ where no cause was found: what the compiler made of the same."""
    names = {index: plan["step_name"] for index, plan in new["step_plans"].items()}
    for path, before, after in list(_leaves(old, new, ()))[:3]:
        place = ".".join(path)
        if path[0] == "step_plans" and len(path) > 2 and path[1] in names:
            place = f"step '{names[path[1]]}' as planned: {'.'.join(path[2:])}"
        yield Change(f"{place} {_arrow(before, after)}")


def _differing(old: Json, new: Json) -> list[str]:
    return [name for name in {**old, **new} if old.get(name, _NOTHING) != new.get(name, _NOTHING)]


def _leaves(old: Any, new: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    """Yield the places where two JSON values differ, as deep as both have the same form."""
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in _differing(old, new):
            yield from _leaves(old.get(name, _NOTHING), new.get(name, _NOTHING), (*path, name))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new) and any(map(_is_deep, old)):
        for number, pair in enumerate(zip(old, new, strict=True)):
            yield from _leaves(*pair, (*path, str(number)))
    else:
        yield path, old, new


def _is_deep(value: Any) -> bool:
    return isinstance(value, Mapping | list)


def _arrow(old: Any, new: Any) -> str:
    return f"{_shown(old)} → {_shown(new)}"


def _shown(value: Any) -> str:
    if value is _NOTHING:
        return "not given"
    text = value if isinstance(value, str) else canonical_json(value).decode().strip()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
