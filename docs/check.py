"""Checks of the documentation itself: every relative link leads somewhere, every ADR is listed, the changelog is open.

Run by `make check`. Prints one line per fault and exits 1 when there is one.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
EXTERNAL = ("http://", "https://", "mailto:")


def pages() -> list[Path]:
    """Every Markdown page of the project, tools' folders left out."""
    return sorted(
        page
        for page in ROOT.rglob("*.md")
        if not any(part.startswith(".") or part in {"vendor", "node_modules"} for part in page.relative_to(ROOT).parts)
    )


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6}\s+(.*)$", FENCE.sub("", text), re.MULTILINE):
        plain = re.sub(r"[`*_]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def broken_links(page: Path) -> list[str]:
    """One sentence per link of the page that leads nowhere."""
    faults = []
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if target.startswith(EXTERNAL):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            faults.append(f"{page.relative_to(ROOT)}: {target} leads nowhere")
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text()):
            faults.append(f"{page.relative_to(ROOT)}: {target} has no such heading")
    return faults


def unlisted_decisions() -> list[str]:
    """ADRs that docs/adr/README.md does not list."""
    index = (ROOT / "docs/adr/README.md").read_text()
    records = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
    return [f"docs/adr/README.md does not list {record.name}" for record in records if record.name not in index]


def main() -> int:
    faults = [fault for page in pages() for fault in broken_links(page)] + unlisted_decisions()
    if "## [Unreleased]" not in (ROOT / "CHANGELOG.md").read_text():
        faults.append("CHANGELOG.md has no [Unreleased] section")
    for fault in faults:
        print(fault)
    print(f"{len(pages())} pages, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
