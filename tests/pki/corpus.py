"""The certificates, keys and files that the `cryptography-vectors` package holds, put to `keystead check`.

`python -m tests.pki.corpus` writes `tests/pki/cases/vectors.json` anew: what each file answers. Read its diff.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from service.cli.check import check

AT = "2025-01-01"
TABLE = Path(__file__).with_name("cases") / "vectors.json"
FOLDERS = ("asymmetric", "pkcs12", "pkcs7", "x509")
NO_MATERIAL = {".txt", ".rsp", ".eml", ".ldif", ".schema", ".py", ".md"}
"""Test scripts, mails and directory listings beside the material."""


def vectors() -> Iterator[tuple[str, Path]]:
    """Every file of key or certificate material: its name in the package, and its path."""
    root = Path(str(files("cryptography_vectors")))
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and path.suffix not in NO_MATERIAL and "__pycache__" not in path.parts:
                yield str(path.relative_to(root)), path


def answer(path: Path) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of `keystead check FILE --json`, in this process. Whatever it raises comes through."""
    result = CliRunner().invoke(check, [str(path), "--json", "--at", AT], catch_exceptions=False)
    return result.exit_code, json.loads(result.stdout)


def codes(found: dict[str, Any]) -> list[str]:
    """The codes of the findings, in order."""
    return [one["code"] for one in found["findings"]]


def main() -> None:
    """Write the table of the files whose answers are held exactly."""
    told = {name: codes(answer(path)[1]) for name, path in vectors() if is_exact(name)}
    TABLE.write_text(json.dumps(told, indent=1) + "\n")


def is_exact(name: str) -> bool:
    """PKITS has its own tests; its thousand files are only looked at for a crash here."""
    return "PKITS_data" not in name and not name.startswith("x509/ocsp")


if __name__ == "__main__":
    main()
