"""What a check found: one line for the person, with the remedy. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from ccr.protocol.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    width = max((len(finding.check) for finding in findings), default=0)
    lines = []
    for finding in findings:
        text = finding.text.replace("\n", "\n" + " " * (11 + width))
        lines.append(f"{finding.status:<7}  {finding.check:<{width}}  {text}")
        if finding.remedy:
            lines.append(f"{'':<7}  {'':<{width}}  -> {finding.remedy}")
    return redacted("\n".join(lines))


def findings_as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the document of ``--json``."""
    return {
        "ok": not is_failed(findings),
        "checks": [{name: redacted(text) for name, text in asdict(each).items()} for each in findings],
    }
