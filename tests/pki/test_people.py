"""What people paste, as files: each case of `cases/people.json` has exactly these findings, and stores exactly this.

A finding is written as code, field and place. `same_as` names the file whose bundle comes out of it too. The files of
`cases/people/` were made by OpenSSL, keytool and the `cryptography` library; their keys protect nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from service.cli.check import check

HERE = Path(__file__).parent / "cases"
CASES: list[dict[str, Any]] = json.loads((HERE / "people.json").read_text())
AT = "2026-12-01"


def answer(*arguments: str) -> tuple[int, dict[str, Any]]:
    """What `keystead check ARGUMENTS --json` says of files in `cases/people/`."""
    paths = [str(HERE / "people" / one) if (HERE / "people" / one).is_file() else one for one in arguments]
    result = CliRunner().invoke(check, [*paths, "--json", "--at", AT], catch_exceptions=False)
    return result.exit_code, json.loads(result.stdout)


def written(finding: dict[str, Any]) -> str:
    return " ".join(str(part) for part in (finding["code"], finding["field"], finding.get("position")) if part)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["what"].replace(" ", "-"))
def test_a_case_has_exactly_its_findings(case: dict[str, Any]):
    code, said = answer(*case["arguments"])
    assert [written(finding) for finding in said["findings"]] == case["findings"]
    assert code == case["exit"]
    if "same_as" in case:
        _, other = answer(case["same_as"])
        assert said["normalized"]["certificate"] == other["normalized"]["certificate"] != ""
        assert [block["kept_in"] for block in said["blocks"]].count("private_key") == 1


def test_every_file_belongs_to_a_case_and_both_ways_out_are_taken():
    used = {argument for case in CASES for argument in case["arguments"]}
    assert {file.name for file in (HERE / "people").iterdir()} <= used
    assert Counter(case["exit"] for case in CASES) == {0: 58, 1: 44}
    assert len({finding.split()[0] for case in CASES for finding in case["findings"]}) > 50


def test_no_answer_holds_a_line_of_a_key():
    _, plain = answer("plain.pem")
    lines = (HERE / "people" / "key.pem").read_text().splitlines()[1:-1]
    said = [json.dumps(answer(*case["arguments"])[1]) for case in CASES]
    assert json.dumps(plain) in said
    assert not any(line in one for line in lines for one in said)
