"""One loader for the bundled pack, third-party packs (entry points) and a user's own folder.

Every pack is a package whose files are imported and searched for decorated functions. The bundled one has no
privilege. A folder becomes an anonymous package, so that nothing on `sys.path` changes and no module is ever called
`checks`.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from readiness import __version__
from readiness.errors import ConfigError, PackError
from readiness.facts.base import Facts
from readiness.model import Pack, Severity
from readiness.settings import Section, Settings
from readiness.spec import ATTRIBUTE, CheckSpec, ProbeSpec

ENTRY_POINTS = "readiness.packs"
BUNDLED = ("readiness.probes", "readiness.checks")


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything that was loaded: checks by id, probes by the facts that they return."""

    checks: Mapping[str, CheckSpec]
    probes: Mapping[type[Facts], ProbeSpec]
    packs: tuple[Pack, ...]

    @property
    def sections(self) -> dict[str, type[Section]]:
        """The configuration sections that packs brought along."""
        return dict(spec.section for spec in self.probes.values() if spec.section is not None)


@dataclass(slots=True)
class _Builder:
    checks: dict[str, CheckSpec] = field(default_factory=dict)
    probes: dict[type[Facts], ProbeSpec] = field(default_factory=dict)
    packs: list[Pack] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def add_pack(self, name: str, version: str, packages: Sequence[ModuleType]) -> None:
        digest, before = hashlib.sha256(), len(self.checks)
        for package in packages:
            for module_name, file in _modules(package):
                digest.update(file.read_bytes())
                try:
                    module = importlib.import_module(module_name)
                except PackError as error:
                    self.errors.append(str(error))
                except Exception as error:
                    self.errors.append(f"{_place(error, file)}: {type(error).__name__}: {error}")
                else:
                    self._add_module(module)
        self.packs.append(Pack(name, version, len(self.checks) - before, digest.hexdigest()))

    def _add_module(self, module: ModuleType) -> None:
        for value in list(vars(module).values()):
            spec = getattr(value, ATTRIBUTE, None)
            if getattr(value, "__module__", None) != module.__name__:
                continue
            if isinstance(spec, CheckSpec):
                known = self.checks.setdefault(spec.id, spec)
                if known is not spec:
                    self.errors.append(f"{spec.source}: check {spec.id!r} is already defined at {known.source}")
            elif isinstance(spec, ProbeSpec):
                other = self.probes.setdefault(spec.facts, spec)
                if other is not spec:
                    self.errors.append(f"{spec.source}: {spec.facts.__name__} already has a probe at {other.source}")

    def validate(self) -> None:
        for spec in self.checks.values():
            for parent in spec.requires:
                if parent not in self.checks:
                    self.errors.append(f"{spec.source}: check {spec.id!r} requires {parent!r}, which does not exist")
                elif self.checks[parent].severity is Severity.INFO:
                    self.errors.append(f"{spec.source}: {parent!r} has no weight, so nothing can require it")
            for name, wanted in spec.inputs.items():
                if issubclass(wanted.type, Facts) and wanted.type not in self.probes:
                    self.errors.append(f"{spec.source}: parameter {name}: no probe returns {wanted.type.__name__}")
        self._validate_sections()
        if not self.errors:
            try:
                in_order(self.checks)
            except PackError as error:
                self.errors.append(str(error))

    def _validate_sections(self) -> None:
        """A section of a pack has a name of its own, and defaults for every key, because it may be left out."""
        sections: dict[str, type[Section]] = {}
        for probe in self.probes.values():
            if probe.section is None:
                continue
            name, model = probe.section
            if name in Settings.model_fields or sections.setdefault(name, model) is not model:
                self.errors.append(f"{probe.source}: the section {name!r} is there already")
            elif required := [key for key, field in model.model_fields.items() if field.is_required()]:
                self.errors.append(f"{probe.source}: the section {name!r} has no default for {', '.join(required)}")
        for probe in self.probes.values():
            if probe.replaces and probe.replaces not in {*Settings.model_fields, *sections}:
                self.errors.append(f"{probe.source}: replaces {probe.replaces!r}, which is no section")


def load(folders: Sequence[Path] = ()) -> Registry:
    """Loads every pack there is.

    Args:
        folders: the user's own folders of checks.

    Raises:
        ConfigError: a folder that does not exist.
        PackError: anything that cannot be loaded, all of it in one message with files and lines.
    """
    builder = _Builder()
    builder.add_pack("bundled", __version__, [importlib.import_module(name) for name in BUNDLED])
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        version = point.dist.version if point.dist else "?"
        try:
            builder.add_pack(point.name, version, [importlib.import_module(point.value)])
        except Exception as error:
            builder.errors.append(f"pack {point.name} ({point.value}): {type(error).__name__}: {error}")
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"no folder {folder}", place="packs", hint="a folder with Python files of checks")
        if folder.resolve() not in _own():
            if is_bundled(folder):
                hint = "they are loaded anyway; name a folder of your own, such as mychecks"
                raise ConfigError(f"{folder} holds a copy of the bundled checks", place="packs", hint=hint)
            builder.add_pack(folder.name, "local", [_anonymous(folder.resolve())])
    builder.validate()
    if builder.errors:
        raise PackError("\n".join(builder.errors))
    return Registry(builder.checks, builder.probes, tuple(builder.packs))


def is_bundled(folder: Path) -> bool:
    """Whether a folder is that of the bundled checks, or a copy such as that of a clone beside an installation."""
    if folder.resolve() in _own():
        return True
    root = Path(str(importlib.import_module("readiness.checks").__file__)).resolve().parent
    bundled = [file.relative_to(root) for _, file in _files(root)]
    return sum((folder / file).is_file() for file in bundled) > len(bundled) / 2


def _own() -> set[Path]:
    return {Path(str(importlib.import_module(name).__file__)).resolve().parent for name in BUNDLED}


def in_order(checks: Mapping[str, CheckSpec]) -> list[CheckSpec]:
    """The checks with every parent before its children. Raises PackError where they require each other in a circle."""
    done: dict[str, CheckSpec] = {}
    open_: list[str] = []

    def visit(spec: CheckSpec) -> None:
        if spec.id in done:
            return
        if spec.id in open_:
            raise PackError(f"{spec.source}: checks require each other: {' -> '.join([*open_, spec.id])}")
        open_.append(spec.id)
        for parent in spec.requires:
            visit(checks[parent])
        open_.pop()
        done[spec.id] = spec

    for spec in checks.values():
        visit(spec)
    return list(done.values())


def _modules(package: ModuleType) -> Iterator[tuple[str, Path]]:
    """Module names and files below a package; by files, because pkgutil skips folders without an `__init__.py`."""
    for root in map(Path, package.__path__):
        for parts, file in _files(root):
            yield ".".join((package.__name__, *parts)), file


def _files(root: Path) -> Iterator[tuple[tuple[str, ...], Path]]:
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        if not any(part.startswith(("_", ".")) for part in parts):
            yield parts, file


def _anonymous(folder: Path) -> ModuleType:
    name = "_readiness_local_" + hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    if name not in sys.modules:
        module = ModuleType(name, f"The checks in {folder}.")
        module.__path__ = [str(folder)]
        sys.modules[name] = module
    return sys.modules[name]


def _place(error: Exception, file: Path) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    trace, line = error.__traceback__, 0
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename) == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{file}:{line}" if line else str(file)
