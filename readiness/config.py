"""readiness.yaml + flags + ${ENV} -> Settings. Every error names the file, the line and the nearest valid key."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError, create_model

from readiness import secrets
from readiness.errors import ConfigError
from readiness.loader import Registry
from readiness.settings import Section, Settings, WaiverSettings

DEFAULT_FILE = Path("readiness.yaml")
MAX_BYTES = 1_000_000
MAX_NODES = 20_000
MAX_DEPTH = 50
MAX_PROBLEMS = 20
"""So many lines of one file are enough to go on with."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")

Location = tuple[str | int, ...]


@dataclass(slots=True)
class Source:
    """Configuration data with the place of every value: `readiness.yaml:12`, or the flag that gave it.

    `unset` holds the locations whose environment variable is not set, with its name; only a lenient `read` has any.
    """

    data: dict[str, Any] = field(default_factory=dict)
    places: dict[Location, str] = field(default_factory=dict)
    unset: dict[Location, str] = field(default_factory=dict)

    def place(self, location: Location) -> str:
        """The place of a value, or of the nearest enclosing one that has a place."""
        for length in range(len(location), -1, -1):
            if location[:length] in self.places:
                return self.places[location[:length]]
        return "configuration"

    def open(self, location: Location) -> bool:
        """Whether nothing can be said of a location, because an unset variable is its value, or part of it."""
        return any(location[: len(each)] == each or each[: len(location)] == location for each in self.unset)

    def set(self, key: str, value: Any, flag: str) -> None:
        """Overrides the dotted key with a flag's value. `None` and empty lists mean that the flag was not given."""
        if value is None or value == []:
            return
        *parents, last = key.split(".")
        target = self.data
        for parent in parents:
            below = target.get(parent)
            target[parent] = target = below if isinstance(below, dict) else {}
        target[last] = value
        self.places[tuple(key.split("."))] = flag


def read(path: Path, environment: Mapping[str, str] = os.environ, *, lenient: bool = False) -> Source:
    """Reads a YAML file and fills in its environment variables; `lenient` notes those that are not set.

    Raises:
        ConfigError: unreadable, not YAML, a duplicate key, a missing variable; with file and line.
    """
    text = read_text(path, MAX_BYTES)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise not_yaml(error, text, path) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"is not YAML: {type(error).__name__}", place=str(path)) from None
    return parse(node, str(path), environment, lenient=lenient)


def not_yaml(error: yaml.MarkedYAMLError, text: str, path: Path) -> ConfigError:
    """What the parser says, with the line, and without what it quotes."""
    number = error.problem_mark.line + 1 if error.problem_mark else 1
    # An unquoted value that begins with * or & is taken for a name, and quoted: it may be a password.
    problem = re.sub(r"'([^']*)'", lambda quoted: quoted[0] if _harmless(quoted[1]) else "'…'", error.problem or "")
    line = next(iter(text.splitlines()[number - 1 : number]), "")
    return ConfigError(f"is not YAML: {problem}", place=f"{path}:{number}", hint=_quote(problem, line))


def _harmless(quoted: str) -> bool:
    return len(quoted) < 3 or quoted.startswith("<")


def _quote(problem: str, line: str) -> str:
    if re.search("alias|anchor", problem):
        return "put a value that begins with * or & into quotes"
    if re.search(r"[{\[,:]\s*\$\{", line) and "expected" in problem:
        return 'inside braces and brackets a variable needs quotes: "${NAME}"'
    return ""


def read_text(path: Path, limit: int = 50_000_000) -> str:
    """The file as text. Raises ConfigError where it cannot be read, is larger than `limit` bytes, or is not UTF-8."""
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
        if len(raw) > limit:
            raise ConfigError(f"larger than {limit:,} bytes", place=str(path))
        return raw.decode("utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", place=str(path)) from None
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8 text", place=str(path)) from None


def parse(node: yaml.Node | None, name: str, environment: Mapping[str, str], *, lenient: bool = False) -> Source:
    """Plain data with places from a composed YAML document. `name` is the file in the error messages."""
    walker = _Walker(name, environment, lenient)
    data = walker.value(node, (), 0) if node is not None else {}
    if walker.problems:
        raise together(walker.problems)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigError("expected keys and values at the top level", place=f"{name}:1")
    return Source(data, walker.places, walker.unset)


class _Walker:
    def __init__(self, name: str, environment: Mapping[str, str], lenient: bool) -> None:
        self.name = name
        self.environment = environment
        self.lenient = lenient
        self.unset: dict[Location, str] = {}
        self.problems: list[ConfigError] = []
        self.places: dict[Location, str] = {(): name}
        self.nodes = 0
        self._scalars = yaml.SafeLoader("")

    def at(self, node: yaml.Node) -> str:
        return f"{self.name}:{node.start_mark.line + 1}"

    def value(self, node: yaml.Node, location: Location, depth: int) -> Any:
        self.nodes += 1
        # Aliases make a small file expand without end.
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            raise ConfigError("too large or too deeply nested", place=self.at(node))
        self.places[location] = self.at(node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*location, n), depth + 1) for n, item in enumerate(node.value)]
        if node.tag == "tag:yaml.org,2002:str":
            return _VARIABLE.sub(lambda match: self._variable(match, node, location), node.value)
        try:
            return self._scalars.construct_object(node)
        # Its constructors raise whatever comes of a tag that does not suit its value.
        except (yaml.YAMLError, ValueError, AttributeError, LookupError, TypeError, ArithmeticError, RecursionError):
            kind = node.tag.rpartition(":")[2] if node.tag.startswith("tag:yaml.org,2002:") else "a tag of its own"
            hint = "" if kind != "a tag of its own" else "put a value that begins with ! into quotes"
            self.problems.append(ConfigError(f"cannot read this value ({kind})", place=self.at(node), hint=hint))
            return None

    def _mapping(self, node: yaml.MappingNode, location: Location, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(ConfigError("a key must be a plain word", place=self.at(key_node)))
                continue
            key = key_node.value
            if key in result:
                self.problems.append(ConfigError(f"the key {key!r} appears twice", place=self.at(key_node)))
            result[key] = self.value(value_node, (*location, key), depth + 1)
            self.places[(*location, key)] = self.at(key_node)
        return result

    def _variable(self, match: re.Match[str], node: yaml.Node, location: Location) -> str:
        name, default = match.groups()
        value = self.environment.get(name)
        if not value and default is not None:
            return default
        if value is None and self.lenient:
            self.unset[location] = name
            return ""
        if value is None:
            hint = f"or write ${{{name}:-default}}"
            message = f"the environment variable {name} is not set"
            self.problems.append(ConfigError(message, place=self.at(node), hint=hint))
            return ""
        return value


def packs(source: Source) -> list[Path]:
    """The folders of checks named in the configuration, needed before the rest can be validated."""
    value = source.data.get("packs", [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigError("packs must be a list of folders", place=source.place(("packs",)))
    return [Path(item) for item in value]


def settings_model(registry: Registry) -> type[Settings]:
    """The configuration's model: `Settings`, and the sections that the loaded packs bring along."""
    sections: dict[str, Any] = {name: (section, section()) for name, section in registry.sections.items()}
    return create_model("Settings", __base__=Settings, **sections) if sections else Settings


def validate(source: Source, registry: Registry) -> Settings:
    """Checks everything that was read, and all of it against the loaded packs.

    Raises:
        ConfigError: every problem in a line of its own, with its place and the way out.
    """
    secrets.remember(source.data)
    model = settings_model(registry)
    try:
        settings = model.model_validate(source.data)
    except ValidationError as error:
        raise together([*_problems(error, model, source), *_of_checks(source, registry)]) from None
    secrets.remember(settings.model_dump())
    parameters(settings, registry, source)
    return settings


def validate_offline(source: Source, registry: Registry) -> None:
    """The same, as far as it can be said without the variables that are unset."""
    secrets.remember(source.data)
    model = settings_model(registry)
    try:
        settings = model.model_validate(source.data)
    except ValidationError as error:
        if problems := _problems(error, model, source):
            raise together([*problems, *_of_checks(source, registry)]) from None
        settings = Settings.model_construct(checks=source.data.get("checks", {}))
    parameters(settings, registry, source)


def demand_valid(waivers: Sequence[WaiverSettings], checks: Iterable[str], source: Source, today: dt.date) -> None:
    """Refuses waivers that are none: those of unknown checks and those that have expired, all in one message.

    Without --strict such a waiver counts for nothing and every report names it.
    """
    known, wrong = set(checks), []
    for number, waiver in enumerate(waivers):
        if waiver.check not in known:
            hint = nearest(waiver.check, known)
            place = source.place(("waivers", number, "check"))
            wrong.append(f"{place}: a waiver for {waiver.check!r}, which is no check" + (f" ({hint})" if hint else ""))
        elif today > waiver.expires:
            place = source.place(("waivers", number, "expires"))
            wrong.append(f"{place}: the waiver of {waiver.check} by {waiver.owner} expired on {waiver.expires} (UTC)")
    if wrong:
        raise ConfigError("; ".join(wrong), hint="--strict accepts no such waiver")


def parameters(settings: Settings, registry: Registry, source: Source) -> dict[str, dict[str, Any]]:
    """The validated settings of single checks, by id and name."""
    result, problems = _parameters(settings.checks, registry, source)
    if problems:
        raise together(problems)
    return result


def _of_checks(source: Source, registry: Registry) -> list[ConfigError]:
    """What is wrong with the settings of single checks, where the rest of the configuration is not valid either."""
    given = source.data.get("checks")
    sound = {id: values for id, values in given.items() if isinstance(values, dict)} if isinstance(given, dict) else {}
    return _parameters(sound, registry, source)[1]


def _parameters(
    checks: Mapping[str, Mapping[str, Any]], registry: Registry, source: Source
) -> tuple[dict[str, dict[str, Any]], list[ConfigError]]:
    result: dict[str, dict[str, Any]] = {}
    problems: list[ConfigError] = []
    for id, values in checks.items():
        if id not in registry.checks:
            hint = nearest(id, registry.checks) or "readiness checks lists them"
            problems.append(ConfigError(f"no check {id!r}", place=source.place(("checks", id)), hint=hint))
            continue
        known = registry.checks[id].settings
        for name, value in values.items():
            place = source.place(("checks", id, name))
            if name not in known:
                problems.append(ConfigError(f"{id} has no setting {name!r}", place=place, hint=nearest(name, known)))
            elif not source.open(("checks", id, name)):
                try:
                    result.setdefault(id, {})[name] = TypeAdapter(known[name].annotation).validate_python(value)
                except ValidationError as error:
                    first = error.errors(include_url=False, include_input=False)[0]
                    problems.append(ConfigError(f"{id}.{name}: {_in_words(first)}", place=place))
    return result, problems


def together(problems: Sequence[ConfigError]) -> ConfigError:
    """One error that says them all, a line for each; the place is that of the first."""
    first, *others = problems[:MAX_PROBLEMS]
    if len(problems) == 1:
        return first
    message = first.message + (f" ({first.hint})" if first.hint else "")
    more = [f"and {len(problems) - MAX_PROBLEMS} more"] if len(problems) > MAX_PROBLEMS else []
    return ConfigError("\n".join([message, *map(str, others), *more]), place=first.place)


def _problems(error: ValidationError, model: type[BaseModel], source: Source) -> list[ConfigError]:
    """Unknown keys first, and nothing that may follow from them: the key that is missing is the one misspelt."""
    errors = [entry for entry in error.errors(include_url=False, include_input=False) if not _open(entry, source)]
    misspelt = {entry["loc"][:-1] for entry in errors if entry["type"] == "extra_forbidden"}
    errors = [entry for entry in errors if entry["type"] != "missing" or entry["loc"][:-1] not in misspelt]
    errors.sort(key=lambda entry: entry["type"] != "extra_forbidden")
    return [_problem(entry, model, source) for entry in errors]


def _problem(entry: Mapping[str, Any], model: type[BaseModel], source: Source) -> ConfigError:
    location: Location = entry["loc"]
    place = source.place(location)
    if entry["type"] == "extra_forbidden":
        key = str(location[-1])
        return ConfigError(f"unknown key {key!r}", place=place, hint=nearest(key, _keys(model, location[:-1])))
    if location[-1:] == ("[key]",):
        key = str(location[-2])
        hint = nearest(key, re.findall(r"'([^']+)'", str(entry.get("ctx", {}).get("expected", ""))))
        name = ".".join(map(str, location[:-1]))
        return ConfigError(f"{name}: there is no {key!r}", place=place, hint=hint)
    name = ".".join(map(str, location))
    if entry["type"] == "missing":
        return ConfigError(f"{name} is missing", place=place)
    message = _in_words(entry)
    if _holds_secret(model, location):  # validators of other packs may quote what they refuse
        message = secrets.Scrubber(_texts_at(source.data, location)).text(message)
    return ConfigError(f"{name}: {message}", place=place)


_EXPECTED = {
    "tuple": "a list, such as [a, b]",
    "list": "a list, such as [a, b]",
    "dict": "keys and values",
    "model": "keys and values",
    "string": "a text",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
}


def _in_words(entry: Mapping[str, Any]) -> str:
    """The library's message in the words of the configuration's language."""
    kind, _, what = str(entry["type"]).partition("_")
    if kind in _EXPECTED and what in ("type", "parsing", "from_float", "attributes_type"):
        return f"expected {_EXPECTED[kind]}"
    message = str(entry["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    for name in ("Input should be", "String should", "Tuple should", "List should", "Dictionary should"):
        if message.startswith(name):
            rest = message.removeprefix(name).strip()
            return f"must {'be ' if name.endswith('be') else ''}{rest}"
    return message[:1].lower() + message[1:]


def _holds_secret(model: type[BaseModel], location: Location) -> bool:
    current: Any = model
    for part in location:
        field = getattr(current, "model_fields", {}).get(part)
        if field is None:
            break
        if "SecretStr" in repr(field.annotation):
            return True
        current = next(iter(_models(field.annotation)), None)
    return False


def _texts_at(data: Any, location: Location) -> list[str]:
    for part in location:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            break
    return [data] if isinstance(data, str) else []


def _open(entry: Mapping[str, Any], source: Source) -> bool:
    """Whether an error may be owed to an unset variable: it is about its value, or about several values together."""
    location = entry["loc"]
    if any(location[: len(each)] == each for each in source.unset):
        return True
    return entry["type"] == "value_error" and source.open(location)


def _keys(model: type[BaseModel], location: Location) -> list[str]:
    """The keys that are valid at a place in the configuration."""
    current: Any = model
    for part in location:
        annotation = current.model_fields[part].annotation if part in getattr(current, "model_fields", {}) else current
        current = next(iter(_models(annotation)), current)
    return list(getattr(current, "model_fields", {}))


def _models(annotation: Any) -> Iterable[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models(argument)


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint with the most similar known name, or with all of them where they are few; may be empty."""
    names = list(known)
    close = get_close_matches(word, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"one of {', '.join(names)}" if 0 < len(names) <= 12 else ""
