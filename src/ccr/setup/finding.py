"""What a check found: one line for the person, with the remedy. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from ccr.protocol.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STATUS_COLUMN: Final = 9
CHECK_COLUMN: Final = 14

Status = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """check: what was looked at. text: what was found. remedy: what to do, "" when there is nothing to do."""

    check: str
    status: Status
    text: str
    remedy: str = ""


def is_failed(findings: Iterable[Finding]) -> bool:
    """Tell whether any check failed; warnings do not count."""
    return any(finding.status == "failed" for finding in findings)


def findings_as_text(findings: Sequence[Finding]) -> str:
    """Return one line a finding, its remedy indented below; what looks like a token is masked."""
    gap = "\n" + " " * (STATUS_COLUMN + CHECK_COLUMN)
    lines = []
    for finding in findings:
        check = f"{finding.check:<{CHECK_COLUMN - 2}}"
        lines.append(f"{finding.status:<{STATUS_COLUMN}}{check}  " + finding.text.replace("\n", gap))
        if finding.remedy:
            lines.append(f"{gap[1:]}-> {finding.remedy}")
    return redacted("\n".join(lines))


def findings_as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the document of ``--json``."""
    return {
        "ok": not is_failed(findings),
        "checks": [{name: redacted(text) for name, text in asdict(each).items()} for each in findings],
    }
