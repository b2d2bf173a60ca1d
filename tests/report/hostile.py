"""A report in which every text comes from an enemy."""

from __future__ import annotations

from typing import Any

from readiness.model import Report
from readiness.report.json_format import from_data, to_data

TEXT = (
    "<script>alert(1)</script><img src=x onerror=alert(1)> \"' onclick='x' [/nope] [bold]b[/bold] [x](javascript:1) "
    "![i](http://evil.example/i.png) \x1b[31mred\x1b[0m \x9b31m \x07\x00\x7f \u202egnp\u2066 \ud800 "
    "`tick` ``` | cell | *a* _b_ # h $x$ ~~s~~ &lt;b&gt; {{7*7}} {% raw %} </style></details> -->\r\n# heading"
    "\rcarriage\u2028separator\x85next\n\n"
    "- [ ] task\n1. one @octocat https://evil.example www.evil.example \U000e0041"
)
EVALUATED = "13579"  # three times 4526 and one
INJECTIONS = (
    "{{ 4526*3+1 }}",
    "{% print(4526*3+1) %}{# x #}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ config }}{{ self }}",
    "${4526*3+1} #{4526*3+1} <%= 4526*3+1 %> {4526*3+1}",
    "=4526*3+1",
    "@SUM(4526*3+1)",
    "+4526*3+1|x",
    "-4526*3+1\t=cmd|' /C calc'!A0",
    "\x1b[2J\x1b]0;title\x07\x1b]8;;https://evil.example\x1b\\x\x1b]8;;\x1b\\",
    "|---|---|\n| a | b |\n\n---\n***\n",
    "%s %(x)s %n {0} {x!r}",
)
"""Texts that some format, template or reader would compute, obey or take for structure."""
ENUMS = {"status", "severity", "rating", "state", "unwaived_status", "schema_version", "reference", "cause"}
LINKS = ("javascript:alert(1)", "http://evil.example/", 'https://evil.example/" onclick="x', "https://evil.example/<b>")


def poison(data: Any, text: str = TEXT, key: str = "") -> Any:
    """Every string of a report, but for the values of enumerations, replaced by `text`."""
    match data:
        case str():
            return data if key in ENUMS else text
        case list() | tuple():
            return [poison(item, text, key) for item in data]
        case dict() if key in ("current", "recommended"):
            return {name: poison(item, text, name) for name, item in data.items()} | {f"{text} key": text}
        case dict() if key in ("facts", "absences", "evidence", "stack"):
            return {f"{text} {n}": poison(item, text) for n, (_, item) in enumerate(data.items())}
        case dict():
            return {name: poison(item, text, name) for name, item in data.items()}
        case _:
            return data


def hostile(report: Report, text: str = TEXT) -> Report:
    data = poison(to_data(report), text)
    for n, check in enumerate(data["checks"]):
        check["reference"] = LINKS[n % len(LINKS)]
    for n, item in enumerate(data["checklist"]):
        item["state"] = text if n % 2 else item["state"]
    made: Report = from_data(data)
    return made
