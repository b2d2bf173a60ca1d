"""Writes the reference pages from what the code says of itself: python docs/generate.py

A page for each check from its docstring, one for the configuration from its types, one for the commands from their
help. The pages are committed, so that they can be read anywhere; a test compares them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from typer.main import get_command

from readiness import loader
from readiness.cli import app
from readiness.commands.common import EXIT_CODES
from readiness.descriptions import CONFIGURATION
from readiness.facts.base import Facts
from readiness.loader import Registry
from readiness.model import COMPONENTS, ON_DEMAND, STACKS
from readiness.settings import Settings
from readiness.spec import CheckSpec

DOCS = Path(__file__).parent
ROOT = DOCS.parent
NAMES = {**COMPONENTS, **ON_DEMAND}


def pages() -> dict[str, str]:
    """The text of every generated page, by its path below docs/."""
    registry = loader.load()
    own = [spec for spec in registry.checks.values() if Path(_file(spec)).is_relative_to(ROOT / "checks")]
    own.sort(key=lambda spec: spec.id)
    made = {f"checks/{spec.id}.md": check_page(spec, registry, own) for spec in own}
    made["checks/index.md"] = index_page(own)
    made["configuration.md"] = configuration_page()
    made["commands.md"] = commands_page()
    return made


def stale() -> list[str]:
    """Pages that are not what would be generated now, or are generated no more."""
    made = pages()
    there = {f"checks/{path.name}" for path in (DOCS / "checks").glob("*.md")}
    return sorted({name for name, text in made.items() if _read(name) != text} | (there - set(made)))


def main() -> None:
    made = pages()
    (DOCS / "checks").mkdir(exist_ok=True)
    for name in stale():
        path = DOCS / name
        if name in made:
            path.write_text(made[name], encoding="utf-8")
        else:
            path.unlink()
        print(f"{'wrote' if name in made else 'removed'} docs/{name}")


def _read(name: str) -> str | None:
    path = DOCS / name
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _file(spec: CheckSpec) -> str:
    return spec.source.rpartition(":")[0]


# --- checks ----------------------------------------------------------------------------------------------------------


def index_page(specs: Sequence[CheckSpec]) -> str:
    lines = ["# Checks", "", f"{len(specs)} checks, by component. `readiness explain ID` prints any of them.", ""]
    for component, name in NAMES.items():
        own = [spec for spec in specs if spec.component == component]
        lines += [f"## {name}", "", "| check | severity | what is so where it passes |", "|---|---|---|"]
        lines += [f"| [{spec.id}]({spec.id}.md) | {spec.severity} | {_cell(spec.title)} |" for spec in own]
        lines.append("")
    return "\n".join(lines)


def check_page(spec: CheckSpec, registry: Registry, specs: Sequence[CheckSpec]) -> str:
    return "\n".join([f"# {_prose(spec.title)}", "", *_facts(spec, registry, specs), "", _prose(spec.explanation), "",
                      *_settings(spec), *_fixes(spec), *_verify(spec)])  # fmt: skip


def _facts(spec: CheckSpec, registry: Registry, specs: Sequence[CheckSpec]) -> Iterator[str]:
    children = [other.id for other in specs if spec.id in other.requires]
    needs = dict.fromkeys(
        f"`{registry.probes[wanted.type].needs}`" + (" (optional)" if wanted.optional else "")
        for wanted in spec.inputs.values()
        if issubclass(wanted.type, Facts)
    )
    rows = {
        "id": f"`{spec.id}`",
        "component": NAMES[spec.component],
        "severity": str(spec.severity),
        "needs in the configuration": ", ".join(needs),
        "right of the auditor's account": f"`{spec.privilege}`" if spec.privilege else "",
        "requires": ", ".join(f"[{id}]({id}.md)" for id in spec.requires),
        "required by": ", ".join(f"[{id}]({id}.md)" for id in children)
        if len(children) < 4
        else f"{len(children)} checks",
        "checklist": f"phase {spec.phase}" + (f", {spec.item}" if spec.item else "") if spec.phase else "",
        "effort of the fix": spec.effort,
        "reference": f"<{spec.reference}>",
        "source": f"`{Path(_file(spec)).relative_to(ROOT)}`",
    }
    yield "| | |"
    yield "|---|---|"
    yield from (f"| {name} | {value} |" for name, value in rows.items() if value)


def _settings(spec: CheckSpec) -> Iterator[str]:
    if not spec.settings:
        return
    values = {name: _plain(entry.default) for name, entry in spec.settings.items()}
    shown = ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
    yield from ("## Settings", "", "With their defaults, in `readiness.yaml`:", "")
    yield from _code("yaml", f"checks:\n  {spec.id}: {{{shown}}}")


def _fixes(spec: CheckSpec) -> Iterator[str]:
    yield from ("## Fix", "")
    if not spec.fix_for:
        yield from _code("text", spec.fix)
    for name, text in spec.fixes.items():
        yield from (f"### {STACKS[name]}", "")
        yield from _code("text", text)


def _verify(spec: CheckSpec) -> Iterator[str]:
    if spec.verify:
        yield from ("## See for yourself", "")
        yield from _code("sh", spec.verify)


# --- configuration ---------------------------------------------------------------------------------------------------


def configuration_page() -> str:
    schema = Settings.model_json_schema()
    lines = [
        "# Configuration",
        "",
        "Every key of `readiness.yaml`. `readiness init URL` writes a first one, `readiness validate` checks it,",
        "`readiness schema config` prints a JSON Schema for editors.",
        "`${NAME}` and `${NAME:-default}` read the environment.",
        "",
    ]
    sections: dict[str, str] = {}
    top: list[str] = []
    for name, entry in schema["properties"].items():
        reference = _model(entry)
        about = CONFIGURATION.get(f"Settings.{name}") or entry.get("description", "")
        if reference is None:
            top.append(_row(name, "Settings", entry, schema))
        else:
            sections[name] = about
            many = {"array": f"{name}[]", "object": f"{name}.NAME"}.get(entry.get("type", ""), name)
            sections[name] = "\n".join([f"## {many}", "", f"{_sentence(about)}", "", *_table(reference, schema)])
    lines += ["## At the top", "", *_HEADER, *top, ""]
    return "\n".join([*lines, *sections.values()])


_HEADER = ("| key | type | default | |", "|---|---|---|---|")


def _table(type: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from _HEADER
    for name, entry in schema["$defs"][type]["properties"].items():
        yield _row(name, type, entry, schema)
    yield ""


def _row(name: str, type: str, entry: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    about = entry.get("description") or CONFIGURATION.get(f"{type}.{name}", "")
    default = entry.get("default")
    required = name in schema["$defs"].get(type, {}).get("required", [])
    shown = "required" if required else ("" if default in (None, [], {}) else f"`{json.dumps(default)}`")
    return f"| `{name}` | {_cell(_type(entry, schema))} | {shown} | {_cell(about)} |"


def _model(entry: Mapping[str, Any]) -> str | None:
    """The section behind a key of the top level, also where there are several by name or in a list."""
    for each in (entry, *entry.get("allOf", ()), entry.get("items", {}), entry.get("additionalProperties", {})):
        if isinstance(each, dict) and "$ref" in each:
            return str(each["$ref"]).rpartition("/")[2]
    return None


def _type(entry: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if "$ref" in entry:
        found = schema["$defs"][entry["$ref"].rpartition("/")[2]]
        return "section" if "properties" in found else _type(found, schema)
    if "enum" in entry:
        return ", ".join(map(str, entry["enum"]))
    if "anyOf" in entry:
        return " or ".join(dict.fromkeys(_type(each, schema) for each in entry["anyOf"] if each.get("type") != "null"))
    match entry.get("type"):
        case "array":
            return f"list of {_type(entry.get('items', {}), schema)}"
        case "object":
            values = entry.get("additionalProperties")
            return f"map to {_type(values, schema)}" if isinstance(values, dict) and values else "map"
        case "string":
            return {"password": "secret", "path": "file", "date": "day"}.get(entry.get("format", ""), "text")
        case None:
            return "anything"
        case other:
            return str(other) + _bounds(entry)


def _bounds(entry: Mapping[str, Any]) -> str:
    words = {"exclusiveMinimum": "above", "minimum": "from", "maximum": "to", "exclusiveMaximum": "below"}
    found = [f"{word} {entry[key]:g}" for key, word in words.items() if key in entry]
    return f" {' '.join(found)}" if found else ""


# --- commands --------------------------------------------------------------------------------------------------------


def commands_page() -> str:
    group: Any = get_command(app)
    lines = ["# Commands", "", "As `readiness COMMAND --help` prints them.", ""]
    for name, command in group.commands.items():
        arguments = [param for param in command.params if param.param_type_name == "argument"]
        options = [param for param in command.params if param.param_type_name == "option" and param.name != "help"]
        usage = " ".join([f"readiness {name}", *(["[OPTIONS]"] if options else []), *map(_argument, arguments)])
        lines += [f"## {name}", "", *_code("text", usage)]
        lines += [_prose(paragraph) + "\n" for paragraph in re.split(r"\n\s*\n", (command.help or "").strip())]
        described = [(f"`{_argument(each)}`", each.help) for each in arguments if getattr(each, "help", None)]
        described += [(f"`{_option(each)}`", each.help) for each in options]
        if described:
            lines += ["| | |", "|---|---|"]
            lines += [*(f"| {_bar(left)} | {_cell(about or '')} |" for left, about in described), ""]
    lines += ["## Exit codes", "", "| exit | meaning |", "|---|---|"]
    lines += [f"| {code} | {_cell(meaning)} |" for code, meaning in re.findall(r"(?m)^ +(\d+)  (.+)$", EXIT_CODES)]
    return "\n".join(lines) + "\n"


def _argument(param: Any) -> str:
    name = (param.metavar or param.name).strip("[].").upper()
    text = f"{name}..." if param.nargs == -1 or getattr(param, "multiple", False) else name
    return text if param.required else f"[{text}]"


def _option(param: Any) -> str:
    names = ", ".join(sorted(param.opts, key=len))
    return names if param.is_flag else f"{names} {param.metavar or 'TEXT'}"


# --- Markdown --------------------------------------------------------------------------------------------------------


def _prose(text: str) -> str:
    """Text in which only code between backticks means anything to Markdown."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return _escaped(text.replace("`", "'"))
    return "`".join(part if number % 2 else _escaped(part) for number, part in enumerate(parts))


def _escaped(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([*\[\]\\])", r"\\\1", text)


def _cell(text: str) -> str:
    return _bar(_prose(" ".join(text.split())))


def _bar(text: str) -> str:
    return text.replace("|", "\\|")


def _sentence(text: str) -> str:
    text = _prose(text)
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _code(language: str, text: str) -> Iterator[str]:
    fence = "````" if "```" in text else "```"
    yield from (f"{fence}{language}", text.rstrip("\n"), fence, "")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(map(_plain, value), key=str)
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
