"""Bundled, third-party and local packs come through one door, and what is broken is named."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from readiness import loader
from readiness.errors import ConfigError, PackError

GOOD = '''
from readiness.api import Fact, Facts, Finding, ABSENT, Context, Section, check, probe, expect

class MailSettings(Section):
    host: str | None = None

class MailFacts(Facts):
    queue: Fact[int] = ABSENT

@probe(needs="mail.host", section=("mail", MailSettings))
async def mail(settings: MailSettings, context: Context) -> MailFacts:
    return MailFacts(queue=3)

@check(
    id="monitoring.mail.queue", component="monitoring", severity="low", effort="minutes",
    fix="mailq", reference="https://example.com",
)
def queue(mail: MailFacts, *, at_most: int = 10) -> Finding:
    """The mail queue is short.

    Mail that waits is mail that somebody waits for.
    """
    return expect(mail.queue, what="the queue", at_most=at_most)
'''


def folder(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        path = tmp_path / name.replace("__", "/")
        path = path.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_a_local_folder_brings_probe_check_and_section(tmp_path: Path) -> None:
    before = list(sys.path)
    registry = loader.load([folder(tmp_path, sub__mail=GOOD)])
    assert "monitoring.mail.queue" in registry.checks
    assert "mail" in registry.sections
    assert registry.packs[-1].checks == 1
    assert sys.path == before
    assert "checks" not in sys.modules


def test_the_bundled_pack_named_as_a_folder_is_not_loaded_twice() -> None:
    checks = Path(__file__).parent.parent / "checks"
    assert len(loader.load([checks]).packs) == len(loader.load().packs)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('severity="low"', 'severity="grave"'), "severity must be one of"),
        (("The mail queue is short.\n\n", ""), "docstring"),
        (("https://example.com", "http://example.com"), "https"),
        (('id="monitoring.mail.queue"', 'id="queue"'), "an id is"),
        (("monitoring.mail.queue", "security.mail.queue"), "must begin with monitoring."),
        (('effort="minutes"', 'effort="soon"'), "effort must be"),
        (("at_most: int = 10", "at_most: int"), "has no default"),
        (("mail: MailFacts, *", "mail: int, *"), "neither a facts model"),
        (("-> Finding", "-> bool"), "returns Finding"),
        (("import Fact", "import Fact, nonsense"), "ImportError"),
        (("class MailFacts", "clas MailFacts"), "SyntaxError"),
        (("effort=", 'requires="monitoring.none", effort='), "does not exist"),
        (('section=("mail"', 'section=("http"'), "the section 'http' is there already"),
        (("host: str | None = None", "host: str"), "has no default for host"),
        (('needs="mail.host"', 'needs="mail.host", replaces="post"'), "replaces 'post', which is no section"),
        (("effort=", 'requires="monitoring.mail.queue", effort='), "in a circle"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    path = folder(tmp_path, mail=GOOD.replace(*change))
    with pytest.raises(PackError) as caught:
        loader.load([path])
    assert says.replace("in a circle", "require each other") in str(caught.value)
    assert "mail.py:" in str(caught.value)


def test_two_checks_with_one_id_name_both_places(tmp_path: Path) -> None:
    other = GOOD[GOOD.index("@check") :]
    path = folder(tmp_path, mail=GOOD, more="from .mail import *\n" + other)
    with pytest.raises(PackError, match=r"more\.py.*already defined at .*mail\.py"):
        loader.load([path])


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder"):
        loader.load([tmp_path / "none"])


def test_every_bundled_check_is_well_described() -> None:
    for spec in loader.load().checks.values():
        assert not spec.title.lower().startswith("ensure"), spec.id
        assert spec.verify, f"{spec.id} has no command to verify it by hand"
        assert len(spec.explanation) > 40, spec.id
