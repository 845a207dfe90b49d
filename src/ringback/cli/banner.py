"""What `ringback dev` prints when calls can come: where everything is and what to do next. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BannerFacts:
    """What is true of a server that has just become ready."""

    version: str
    data_dir: str
    database: str
    api_url: str
    sip: str
    auth_id: str
    auth_token: str
    numbers: Sequence[tuple[str, str]]
    """Number and what answers it, the number to try first at the head."""
    every_other_number: str = ""
    trunks: Sequence[str] = ()
    remarks: Sequence[str] = field(default=())
    """Such as a port that was taken."""


def draw_banner(facts: BannerFacts) -> str:
    """Return the banner, one fact per line."""
    rows = [
        ("API", f"{facts.api_url}/v1/Account/{facts.auth_id}/"),
        ("SIP", facts.sip),
        ("Auth", f"{facts.auth_id} / {_shortened(facts.auth_token)}   (all of it: ringback creds)"),
    ]
    rows += [
        ("Numbers" if not index else "", f"{number:<14}{answer}")
        for index, (number, answer) in enumerate(facts.numbers)
    ]
    rows.append(("", f"any other     {facts.every_other_number or 'is refused with 404'}"))
    rows.append(("Trunks", ", ".join(facts.trunks) or "none: calls to the public network are off"))
    rows.append(
        ("Next", f"in a second terminal:  ringback call {facts.numbers[0][0]}" if facts.numbers else "add a number")
    )
    lines = [f"  ringback {facts.version}   no account, no telemetry, data in {facts.data_dir} ({facts.database})"]
    lines += [f"  {label:<10}{text}" for label, text in rows]
    lines += [f"  note      {remark}" for remark in facts.remarks]
    return "\n".join(lines)


def _shortened(token: str) -> str:
    return token[:6] + "…" if len(token) > 8 else "…"
