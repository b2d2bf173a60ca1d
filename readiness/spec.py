"""`@check` and `@probe`: plain functions with what the engine must know about them, validated where they are written.

A decorated function stays itself; its specification is an attribute that the loader finds. Importing a module of
checks therefore has no side effect.
"""

from __future__ import annotations

import inspect
import re
import textwrap
import types
import typing
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, Union

from readiness.budget import Budget
from readiness.errors import PackError
from readiness.facts.base import Facts
from readiness.model import CHECKLIST, COMPONENTS, ON_DEMAND, RUNTIMES, STACKS, TOOLS, Finding, Severity, Status
from readiness.names import Names
from readiness.pace import Pace
from readiness.settings import Expectations, Limits, Section
from readiness.trust import Trust
from readiness.window import Window

F = TypeVar("F", bound=Callable[..., Finding])
P = TypeVar("P", bound=Callable[..., Awaitable[Facts]])

ATTRIBUTE = "__readiness__"
EFFORTS = ("minutes", "hours", "days", "weeks")
EXPECTATIONS = tuple(Expectations.model_fields)
ID = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
VERDICTS = (Status.PASS, Status.WARN, Status.FAIL)


@dataclass(frozen=True, slots=True)
class Context:
    """What every probe may use besides its settings."""

    window: Window
    limits: Limits
    user_agent: str
    canary: str  # random per run: marks this audit's requests in the target's logs
    budget: Budget = field(default_factory=lambda: Budget(Limits().requests))
    secrets: set[str] = field(default_factory=set)  # credentials found outside the configuration: probes add theirs
    trust: Trust = field(default_factory=Trust)
    names: Names = field(default_factory=Names)
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True, slots=True)
class Input:
    """A parameter filled by type. An optional one is None where its system is not configured."""

    type: type[Facts] | type[Section]
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """A keyword-only parameter: a setting of the check, reachable from the configuration."""

    annotation: Any
    default: Any


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """One check. `title` and `explanation` come from its docstring, `inputs` and `settings` from its signature.

    `fixes` holds the fix for one stack each (a key of `STACKS`), in the author's order of preference; `fix` is what is
    shown where none of them fits, written for `fix_for`, or for any stack where that is empty.
    """

    id: str
    component: str
    severity: Severity
    title: str
    explanation: str
    fix: str
    effort: str
    reference: str
    verify: str
    requires: tuple[str, ...]
    privilege: str
    phase: int | None
    item: str | None
    expectation: str | None
    verdicts: tuple[Status, ...]
    function: Callable[..., Finding]
    inputs: Mapping[str, Input]
    settings: Mapping[str, Parameter]
    source: str
    fixes: Mapping[str, str] = field(default_factory=dict)
    fix_for: str = ""

    def fix_in(self, stack: Collection[str]) -> tuple[str, str]:
        """The fix for a deployment in which `stack` was recognised, and the stack that it is written for.

        Where none fits, the general one, or an example that says so: of a framework on the known runtime if possible.
        """
        runtimes = {RUNTIMES[name] for name in stack if name in RUNTIMES}
        for name, text in self.fixes.items():
            if name in {*stack, *runtimes, *TOOLS}:
                return text, name
        if not self.fix_for:
            return self.fix, ""
        nearest = next((name for name in self.fixes if RUNTIMES.get(name) in stack), self.fix_for)
        return f"Example for {STACKS[nearest]}:\n{self.fixes[nearest]}", ""


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """One probe, keyed by the facts that it returns. `needs` is the configuration key without which it cannot run."""

    facts: type[Facts]
    needs: str
    windowed: bool
    section: tuple[str, type[Section]] | None
    drivers: tuple[str, ...]
    account: Callable[[Any], str] | None
    function: Callable[..., Awaitable[Facts]]
    inputs: Mapping[str, type]
    source: str
    replaces: str = ""


def check(
    *,
    id: str,
    component: str,
    severity: str,
    effort: str,
    reference: str,
    fix: str = "",
    fixes: Mapping[str, str] | None = None,
    verify: str = "",
    requires: str | tuple[str, ...] = (),
    privilege: str = "",
    phase: int | None = None,
    item: str | None = None,
    expectation: str | None = None,
    verdicts: tuple[str, ...] = ("pass", "warn", "fail"),
) -> Callable[[F], F]:
    """Makes a check of a pure function over facts.

    The positional parameters are filled by type: facts models, or sections of the configuration. The keyword-only ones
    are settings. The first line of the docstring is the title, the rest is the explanation.

    Args:
        id: `component.noun_phrase`; it never changes its meaning.
        component: one of `readiness.model.COMPONENTS` or `ON_DEMAND`.
        severity: critical, high, medium, low or info: what happens to users if this is wrong.
        fix: what to do, ready to paste where possible; the first of `fixes` where it is left out.
        fixes: the same for one stack each: a key of `readiness.model.STACKS` -> text, which may be indented. A report
            shows the first whose stack was recognised.
        effort: minutes, hours, days or weeks.
        reference: the URL of the source.
        verify: a command with which the reader can look for himself.
        requires: ids of checks without whose pass this one cannot be judged.
        privilege: what the auditor's account must be allowed.
        phase, item: the phase and item of the checklist that this check is evidence for.
        expectation: the expectation whose measured value the finding carries in `measured`.
        verdicts: which of pass, warn and fail the check can return at all.

    Raises:
        PackError: at import, with the place, where any of this does not hold together.
    """

    def decorate(function: F) -> F:
        source = _source(function)
        where = f"{source}: check {id!r}"
        _demand(ID.fullmatch(id) is not None, where, "an id is lower-case words joined by dots")
        known = (*COMPONENTS, *ON_DEMAND)
        _demand(component in known, where, f"component must be one of {', '.join(known)}")
        _demand(id.startswith(component + "."), where, f"the id must begin with {component}.")
        _demand(severity in list(Severity), where, f"severity must be one of {', '.join(Severity)}")
        _demand(effort in EFFORTS, where, f"effort must be one of {', '.join(EFFORTS)}")
        _demand(reference.startswith("https://"), where, "reference must be an https URL")
        general, texts, written_for = _fixes(fix, fixes or {}, where)
        _demand(phase is None or phase in CHECKLIST, where, "phase must be 1, 2 or 3")
        _demand(
            item is None or (phase is not None and item in CHECKLIST[phase]),
            where,
            f"no item {item!r} in phase {phase} of the checklist",
        )
        _demand(expectation is None or expectation in EXPECTATIONS, where, f"unknown expectation {expectation!r}")
        _demand(set(verdicts) <= set(VERDICTS) and "pass" in verdicts, where, "verdicts are of pass, warn and fail")
        title, explanation = _docstring(function, where)
        inputs: dict[str, Input] = {}
        settings: dict[str, Parameter] = {}
        hints = _hints(function, where)
        for name, parameter in inspect.signature(function).parameters.items():
            _demand(name in hints, where, f"parameter {name} has no annotation")
            if parameter.kind is parameter.KEYWORD_ONLY:
                _demand(parameter.default is not parameter.empty, where, f"setting {name} has no default")
                settings[name] = Parameter(hints[name], parameter.default)
            else:
                inputs[name] = _input(hints[name], f"{where}: parameter {name}")
        _demand(
            any(issubclass(input.type, Facts) for input in inputs.values()), where, "a check needs at least one fact"
        )
        _demand(hints.get("return") is Finding, where, "a check returns Finding")
        spec = CheckSpec(
            id=id,
            component=component,
            severity=Severity(severity),
            title=title,
            explanation=explanation,
            fix=general,
            effort=effort,
            reference=reference,
            verify=verify,
            requires=(requires,) if isinstance(requires, str) else requires,
            privilege=privilege,
            phase=phase,
            item=item,
            expectation=expectation,
            verdicts=tuple(Status(verdict) for verdict in verdicts),
            function=function,
            inputs=inputs,
            settings=settings,
            source=source,
            fixes=texts,
            fix_for=written_for,
        )
        setattr(function, ATTRIBUTE, spec)
        return function

    return decorate


def _fixes(fix: str, fixes: Mapping[str, str], where: str) -> tuple[str, Mapping[str, str], str]:
    """The general fix, those for one stack, and what the general one is written for: it may be the first of them."""
    unknown = sorted(set(fixes) - set(STACKS))
    _demand(not unknown, where, f"fixes are for {', '.join(STACKS)}, not {', '.join(unknown)}")
    texts = {name: textwrap.dedent(text).strip() for name, text in fixes.items()}
    _demand(all(texts.values()), where, "a fix is empty")
    _demand(bool(fix or texts), where, "a fix is missing")
    written_for = "" if fix else next(iter(texts))
    return fix or texts[written_for], types.MappingProxyType(texts), written_for


def probe(
    *,
    needs: str,
    windowed: bool = False,
    section: tuple[str, type[Section]] | None = None,
    drivers: tuple[str, ...] = (),
    account: Callable[[Any], str] | None = None,
    replaces: str = "",
) -> Callable[[P], P]:
    """Makes a probe of an asynchronous function; the facts that it returns are its key.

    Its parameters are filled by type: sections of the configuration, `Context`, or the facts of another probe, which
    is then collected first. It raises `ProbeError` where the system cannot be read at all.

    Args:
        needs: the configuration key that enables it, such as `redis.url`.
        windowed: whether it takes part in the shared quiet window.
        section: name and model of a configuration section that the probe brings along.
        drivers: modules to import before it runs. Imports of one package in two threads can deadlock, so the engine
            does them one after the other; `needs` keeps them out of audits that have no use for them.
        account: from the facts, or None where they could not be had, how to create an account with the least rights.
        replaces: the section of a system that this one stands in for, such as "mongodb" for another database. Where
            this one is configured and nothing of that section is, checks of that system are not applicable instead of
            untested, and cost no coverage.
    """

    def decorate(function: P) -> P:
        source = _source(function)
        where = f"{source}: probe {function.__name__}"
        hints = _hints(function, where)
        facts = hints.pop("return", None)
        _demand(isinstance(facts, type) and issubclass(facts, Facts), where, "a probe returns a facts model")
        _demand(inspect.iscoroutinefunction(function), where, "a probe is an async function")
        for name in inspect.signature(function).parameters:
            kind = hints.get(name)
            _demand(
                kind is Context or (isinstance(kind, type) and issubclass(kind, (Facts, Section))),
                where,
                f"parameter {name} is neither a section, nor facts, nor Context",
            )
        spec = ProbeSpec(
            facts=typing.cast(type[Facts], facts),
            needs=needs,
            windowed=windowed,
            section=section,
            drivers=drivers,
            account=account,
            function=function,
            inputs=hints,
            source=source,
            replaces=replaces,
        )
        setattr(function, ATTRIBUTE, spec)
        return function

    return decorate


def _demand(condition: bool, where: str, message: str) -> None:
    if not condition:
        raise PackError(f"{where}: {message}")


def _source(function: Callable[..., Any]) -> str:
    return f"{Path(function.__code__.co_filename)}:{function.__code__.co_firstlineno}"


def _docstring(function: Callable[..., Any], where: str) -> tuple[str, str]:
    lines = (inspect.getdoc(function) or "").splitlines()
    _demand(len(lines) > 2 and bool(lines[0].strip()), where, "the docstring needs a title line and an explanation")
    title = lines[0].strip().removesuffix(".")
    _demand(len(title) <= 90, where, "the title is longer than 90 characters")
    return title, "\n".join(lines[1:]).strip()


def _hints(function: Callable[..., Any], where: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except NameError as error:
        raise PackError(f"{where}: {error}; names in annotations must be imported at run time") from None


def _input(annotation: Any, where: str) -> Input:
    optional = False
    if typing.get_origin(annotation) in (Union, types.UnionType):
        options = [option for option in typing.get_args(annotation) if option is not type(None)]
        optional = len(options) == 1 and len(typing.get_args(annotation)) == 2
        annotation = options[0] if optional else annotation
    _demand(
        isinstance(annotation, type) and issubclass(annotation, (Facts, Section)),
        where,
        "is neither a facts model nor a section of the configuration",
    )
    return Input(annotation, optional)
