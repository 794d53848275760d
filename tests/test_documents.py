"""Pages of documentation that the code has to agree with."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("web", "inventory", "index", "records", "delivery", "worker")
_RAISED = re.compile(r'(?:\bcode=|default_code(?:: ClassVar\[str\])? = |\brefusal\(\s*)"([a-z.-]+)"')
_NAMED = re.compile(r'^[A-Z_]+: Final = "([a-z]+\.[a-z-]+)"', re.MULTILINE)


def codes_in_the_code() -> set[str]:
    """Every code that a problem of the web tier or the delivery plane is raised with."""
    files = [ROOT / "service/errors.py", *(file for room in ROOMS for file in (ROOT / "service" / room).rglob("*.py"))]
    return {code for file in files for found in (_RAISED, _NAMED) for code in found.findall(file.read_text())}


def codes_in(page: str) -> set[str]:
    """The codes in the first column of a page's tables."""
    rows = re.findall(r"^\| (`[^|]*) \|", (ROOT / page).read_text(), re.MULTILINE)
    return {code for row in rows for code in re.findall(r"`([a-z0-9.-]+)`", row)}


def test_every_error_has_its_row_and_every_row_its_error():
    raised, listed, findings = codes_in_the_code(), codes_in("docs/errors.md"), codes_in("docs/findings.md")
    assert raised - listed - findings == set()
    assert listed - raised == set()


def test_every_make_target_explains_itself():
    makefile = (ROOT / "Makefile").read_text()
    for target in ("run", "test", "demo", "check", "bench"):
        assert re.search(rf"^{target}:.*## \w", makefile, re.MULTILINE), target


def test_the_lock_files_name_no_registry():
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        assert all("--hash=sha256:" in block for block in re.split(r"\n(?=[a-z])", text))
