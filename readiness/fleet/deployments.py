"""fleet.yaml -> deployments: inline, in files, by pattern, and as variations of a base; everything validated."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from readiness import __version__, audit, config
from readiness.config import Location, Source
from readiness.errors import ConfigError
from readiness.loader import Registry, load

MAX_BYTES = 50_000_000
MAX_DEPLOYMENTS = 100_000
SHOWN = 20
"""Of the deployments that cannot be used, how many the message names."""
KEYS = ("fleet", "extends", "worker_environment", "deployments")
OWN_KEYS = ("name", "extends", "file", "region")
"""Keys of a deployment besides those of a configuration."""
_SLUG = re.compile(r"[^A-Za-z0-9._-]+")
_WILD = re.compile(r"[*?\[]")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment, ready to be audited.

    `data` is its whole configuration, secrets included, so it is left out of `repr`; values of `worker_environment` are
    still names in it. `slug` names its files, `digest` tells whether anything but a secret has changed.
    """

    name: str
    slug: str
    place: str
    digest: str
    service: str
    environment: str
    target: str
    region: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Fleet:
    """`worker_environment` are the variables that every worker reads from its own environment."""

    name: str
    deployments: tuple[Deployment, ...]
    worker_environment: tuple[str, ...] = ()


Flags = tuple[tuple[str, Any, str], ...]
"""Dotted key, value and name of every flag that overrides all deployments."""


def read(path: Path, flags: Flags = (), environment: Mapping[str, str] = os.environ) -> Fleet:
    """Reads a fleet and validates every deployment of it; nothing is contacted.

    Raises:
        ConfigError: the first problem of the file itself, or all unusable deployments, with file, line and name.
        PackError: a pack that cannot be loaded.
    """
    return _Reader(path, flags, environment).fleet()


@dataclass(frozen=True, slots=True)
class _Entry:
    """One deployment as it is written: its own keys, and the node or file of its configuration."""

    name: str
    place: str
    region: str | None
    extends: tuple[Path, ...]
    file: Path | None
    node: yaml.Node | None


class _Symbols(dict[str, str]):
    """An environment in which some variables stand for themselves: their values are filled in somewhere else."""

    def __init__(self, environment: Mapping[str, str], symbols: Callable[[str], bool]) -> None:
        super().__init__(environment)
        self._symbols = symbols

    def get(self, name: str, default: Any = None) -> Any:
        return f"${{{name}}}" if self._symbols(name) else super().get(name, default)


class _Reader:
    def __init__(self, path: Path, flags: Flags, environment: Mapping[str, str]) -> None:
        self._path = path
        self._folder = path.parent
        self._flags = flags
        self._environment = environment
        self._remote: tuple[str, ...] = ()
        self._registries: dict[tuple[str, ...], Registry] = {}
        self._base = cache(self._read)  # a base is read once, not for every deployment

    def fleet(self) -> Fleet:
        top = self._top()
        name = self._text(top, "fleet") or self._path.stem
        self._remote = tuple(self._texts(top.get("worker_environment"), "worker_environment"))
        extends = self._extends(top.get("extends"))
        entries = list(self._entries(top["deployments"], extends))
        if len(entries) > MAX_DEPLOYMENTS:
            raise ConfigError(f"more than {MAX_DEPLOYMENTS:,} deployments", place=str(self._path))
        seen: dict[str, _Entry] = {}
        for entry in entries:
            if entry.name in seen:
                message = f"deployment {entry.name!r} is there twice, the first time at {seen[entry.name].place}"
                raise ConfigError(message, place=entry.place, hint="give each a `name` of its own")
            seen[entry.name] = entry
        return Fleet(name, tuple(self._validated(entries)), self._remote)

    # The file.

    def _top(self) -> dict[str, yaml.Node]:
        text = config.read_text(self._path, MAX_BYTES)
        try:
            node = yaml.compose(text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            raise config.not_yaml(error, text, self._path) from None
        except (yaml.YAMLError, RecursionError) as error:
            raise ConfigError(f"is not YAML: {type(error).__name__}", place=str(self._path)) from None
        top = self._mapping(node, "keys and values at the top level")
        for key, value in top.items():
            if key not in KEYS:
                raise ConfigError(f"unknown key {key!r}", place=self._at(value), hint=config.nearest(key, KEYS))
        listed = top.get("deployments")
        if not isinstance(listed, yaml.SequenceNode) or not listed.value:
            place = f"{self._path}:1" if listed is None else self._at(listed)
            raise ConfigError("deployments must be a list with at least one of them", place=place)
        return top

    def _entries(self, listed: yaml.Node, extends: tuple[Path, ...]) -> Iterator[_Entry]:
        for node in listed.value:
            if isinstance(node, yaml.ScalarNode):
                yield from self._files(self._scalar(node, "a deployment"), node, extends)
                continue
            keys = self._mapping(node, "a deployment: its keys, or the name of a file")
            own = self._extends(keys["extends"]) if "extends" in keys else extends
            name, region = self._text(keys, "name"), self._text(keys, "region")
            if "file" in keys:
                pattern = self._scalar(keys["file"], "file")
                for key in keys:
                    if key not in OWN_KEYS:
                        hint = "`extends: FILE` with more keys overrides what is in a file"
                        raise ConfigError(f"{key!r} beside `file`", place=self._at(keys[key]), hint=hint)
                found = list(self._files(pattern, keys["file"], own, region))
                if name and len(found) > 1:
                    message = f"one name for {len(found)} files"
                    raise ConfigError(message, place=self._at(keys["name"]), hint="leave it out: they have their own")
                yield from (replace(entry, name=name or entry.name) for entry in found)
            elif name:
                yield _Entry(name, self._at(node), region, own, None, node)
            else:
                raise ConfigError("a deployment has no `name`", place=self._at(node))

    def _files(
        self, pattern: str, node: yaml.Node, extends: tuple[Path, ...], region: str | None = None
    ) -> Iterator[_Entry]:
        """One deployment for each file; what a pattern matches is named by its path below the pattern's fixed part."""
        place = self._at(node)
        if not _WILD.search(pattern):
            path = self._folder / pattern
            yield _Entry(path.stem, place, region, extends, path, None)
            return
        parts = Path(pattern).parts
        fixed = next(number for number, part in enumerate(parts) if _WILD.search(part))
        root = self._folder.joinpath(*parts[:fixed])
        try:
            found = sorted(path for path in root.glob("/".join(parts[fixed:])) if path.is_file())
        except (OSError, ValueError, NotImplementedError) as error:
            raise ConfigError(f"{pattern!r} is no pattern: {error}", place=place) from None
        found = [path for path in found if path.resolve() != self._path.resolve()]
        if not found:
            raise ConfigError(f"no file matches {pattern!r}", place=place, hint=f"looked in {root}")
        for path in found:
            yield _Entry(path.relative_to(root).with_suffix("").as_posix(), place, region, extends, path, None)

    # One deployment.

    def _validated(self, entries: Iterable[_Entry]) -> Iterator[Deployment]:
        slugs: set[str] = set()
        unusable, count = [], 0
        for entry in entries:
            try:
                deployment = self._deployment(entry)
            except ConfigError as error:
                count += 1
                unusable.append(
                    ConfigError(
                        f"deployment {entry.name!r}: {error.message}", place=error.place or entry.place, hint=error.hint
                    )
                )
                del unusable[SHOWN:]
                continue
            slug = _slug(entry.name, slugs)
            if not unusable:
                yield replace(deployment, slug=slug)
        if count == 1:
            raise unusable[0]
        if unusable:
            more = f"\nand {count - len(unusable)} more" if count > len(unusable) else ""
            raise ConfigError(f"{count} deployments cannot be used:\n" + "\n".join(map(str, unusable)) + more)

    def _deployment(self, entry: _Entry) -> Deployment:
        resolved = self._source(entry, "resolved")
        registry = self._registry(resolved)
        if self._remote:
            config.validate_offline(self._source(entry, "lenient"), registry)
            settings = {"http": resolved.data.get("http", {})}
            target = str(settings["http"].get("url", "")) if isinstance(settings["http"], dict) else ""
        else:
            target = audit.prepare(resolved, registry=registry).settings.http.url or ""
        written = self._source(entry, "symbolic")
        packs = [f"{pack.name}@{pack.version}#{pack.sha256}" for pack in registry.packs]
        identity = json.dumps([__version__, entry.name, written.data, packs], sort_keys=True, default=str)
        return Deployment(
            name=entry.name,
            slug="",
            place=entry.place,
            digest=hashlib.sha256(identity.encode()).hexdigest(),
            service=str(resolved.data["service"]),
            environment=str(resolved.data.get("environment", "production")),
            target=target,
            region=entry.region,
            data=resolved.data,
        )

    def _registry(self, source: Source) -> Registry:
        folders = config.packs(source)
        key = tuple(map(str, folders))
        if key not in self._registries:
            self._registries[key] = load(folders)
        return self._registries[key]

    def _source(self, entry: _Entry, mode: str) -> Source:
        """The whole configuration of a deployment: its bases, then its own keys, then the flags."""
        sources = [self._base(path, mode) for path in entry.extends]
        own = self._base(entry.file, mode) if entry.file is not None else self._inline(entry, mode)
        made = Source(places={(): entry.place})
        for source in (*sources, own):
            _override(made, source)
        if "service" not in own.data:
            made.data["service"] = entry.name
        for key, value, flag in self._flags:
            made.set(key, value, flag)
        return made

    def _read(self, path: Path, mode: str) -> Source:
        return config.read(path, self._variables(mode), lenient=mode == "lenient")

    def _inline(self, entry: _Entry, mode: str) -> Source:
        assert isinstance(entry.node, yaml.MappingNode)
        rest = [(key, value) for key, value in entry.node.value if key.value not in OWN_KEYS]
        node = yaml.MappingNode(entry.node.tag, rest, entry.node.start_mark, entry.node.end_mark)
        return config.parse(node, str(self._path), self._variables(mode), lenient=mode == "lenient")

    def _variables(self, mode: str) -> Mapping[str, str]:
        match mode:
            case "resolved":
                return _Symbols(self._environment, self._remote.__contains__)
            case "symbolic":
                return _Symbols(self._environment, lambda name: True)
            case _:
                return {name: value for name, value in self._environment.items() if name not in self._remote}

    # Nodes.

    def _at(self, node: yaml.Node) -> str:
        return f"{self._path}:{node.start_mark.line + 1}"

    def _mapping(self, node: yaml.Node | None, what: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"expected {what}", place=self._at(node) if node else f"{self._path}:1")
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError("a key must be a plain word", place=self._at(key))
            if key.value in found:
                raise ConfigError(f"the key {key.value!r} appears twice", place=self._at(key))
            found[key.value] = value
        return found

    def _scalar(self, node: yaml.Node, what: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
            raise ConfigError(f"{what} must be a text", place=self._at(node))
        return str(node.value)

    def _text(self, keys: Mapping[str, yaml.Node], key: str) -> str | None:
        return self._scalar(keys[key], key) if key in keys else None

    def _texts(self, node: yaml.Node | None, what: str) -> list[str]:
        if node is None:
            return []
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
        return [self._scalar(item, what) for item in items]

    def _extends(self, node: yaml.Node | None) -> tuple[Path, ...]:
        return tuple(self._folder / name for name in self._texts(node, "extends"))


def _override(made: Source, source: Source) -> None:
    """Lays one configuration over another: mappings are merged, everything else is replaced, null removes."""
    _merge(made, source, made.data, source.data, ())


def _merge(made: Source, source: Source, below: dict[str, Any], above: Mapping[str, Any], location: Location) -> None:
    for key, value in above.items():
        here = (*location, key)
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            _merge(made, source, below[key], value, here)
            continue
        for places in (made.places, made.unset):
            for known in [each for each in places if each[: len(here)] == here]:
                del places[known]
        if value is None and key in below:
            del below[key]
            continue
        below[key] = deepcopy(value)
        made.places |= {each: place for each, place in source.places.items() if each[: len(here)] == here}
        made.unset |= {each: name for each, name in source.unset.items() if each[: len(here)] == here}


def _slug(name: str, taken: set[str]) -> str:
    """The name as a file name that no other deployment has, on any file system."""
    plain = _SLUG.sub("-", name).strip("-.")[:80] or "deployment"
    slug, number = plain, 1
    while slug.lower() in taken:
        number += 1
        slug = f"{plain}-{number}"
    taken.add(slug.lower())
    return slug


def filled(data: Any, names: Iterable[str], environment: Mapping[str, str]) -> Any:
    """Configuration data with the worker's own variables in place. Raises ConfigError where one is not set."""
    for name in names:
        if name not in environment:
            raise ConfigError(f"the environment variable {name} is not set on the worker")
    pattern = re.compile(r"\$\{(" + "|".join(map(re.escape, names)) + r")\}")

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            return pattern.sub(lambda match: environment[match[1]], value)
        if isinstance(value, Mapping):
            return {key: fill(item) for key, item in value.items()}
        return [fill(item) for item in value] if isinstance(value, list) else value

    return fill(data)
