"""`ringback webhook explain UUID`: what was signed, and what common mistakes make of it."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from ringback.cli.api_call import platform_api, whole_uuid
from ringback.cli.call_show import all_events
from ringback.cli.failure import ExitCode, Failure
from ringback.cli.output import printable, write_json, write_result


def webhook_explain(
    call: Annotated[str, Parameter(help="A CallUUID, its first 4 characters or more, or `last`.")],
    /,
    *,
    event: Annotated[str, Parameter(help="Only this X-Ringback-Event-Id, or its beginning.")] = "",
    computed: Annotated[str, Parameter(help="The signature that your application computed: its line is marked.")] = "",
    seen_url: Annotated[str, Parameter(help="The URL that your application believes it was asked for.")] = "",
    token: Annotated[str, Parameter(help="The auth token your application uses, if it may be another one.")] = "",
    value: Annotated[
        tuple[str, ...],
        Parameter(help='NAME=VALUE of what is not recorded because the document said log="false"; repeat for more.'),
    ] = (),
    url: Annotated[str, Parameter(help="The server. Default: the nearest development server.")] = "",
    json: Annotated[bool, Parameter(help="Print JSON Lines.")] = False,
) -> int:
    """Print the exact text behind X-Plivo-Signature-V3 of a call's webhooks, and what each common mistake computes.

    Exits 1 when `--computed` is given and fits nothing.
    """
    from ringback.webhooks.explain import SignedCallback, computations, nonce_of
    from ringback.webhooks.request import HIDDEN

    told = {name: text for name, _, text in (pair.partition("=") for pair in value)}
    api = platform_api(url)
    whole = whole_uuid(api, call)
    shown = matched = 0
    for fact in all_events(api, whole):
        fields = fact["fields"]
        if fact["kind"] != "webhook" or not str(fields.get("event_id", "")).startswith(event.lower()):
            continue
        nonce = nonce_of(str(fields.get("signed", "")))
        if not nonce:
            continue
        shown += 1
        params = {name: told.get(name, text) if text == HIDDEN else text for name, text in fields["params"].items()}
        hidden = [name for name, text in params.items() if text == HIDDEN]
        if hidden:
            # The record lacks what was signed: whatever were computed from it would be wrong.
            _report_hidden(fields, hidden, json=json)
            continue
        signed = SignedCallback(fields["method"], fields["url"], tuple(params.items()), nonce)
        found = computations(signed, api.auth_token, seen_url, token)
        fits = [one.signature == computed for one in found]
        matched += any(fits)
        if json:
            rows = [_row(one, fit) for one, fit in zip(found, fits, strict=True)]
            write_json(
                {"event_id": fields["event_id"], "target": fields["target"], "nonce": nonce, "computations": rows}
            )
        else:
            _print(fields, nonce, [_row(one, fit) for one, fit in zip(found, fits, strict=True)])
    if not shown:
        raise Failure("RB6003", f"no signed webhook in call {whole}", fix="look: ringback call show " + whole)
    return ExitCode.FAILED if computed and not matched else ExitCode.DONE


def _report_hidden(fields: dict[str, Any], hidden: list[str], *, json: bool) -> None:
    if json:
        write_json({"event_id": fields["event_id"], "target": fields["target"], "hidden": hidden, "computations": []})
        return
    write_result(printable(f"{fields['target']}  {fields['method']} {fields['url']}  event {fields['event_id']}"))
    names = ", ".join(hidden)
    write_result(f'  {names}: not recorded (log="false"), so no signature can be computed; add --value {hidden[0]}=…')


def _row(computation: Any, is_yours: bool) -> dict[str, Any]:
    return {
        "mistake": computation.mistake,
        "fix": computation.fix,
        "signed": computation.text,
        "signature": computation.signature,
        "is_yours": is_yours,
    }


def _print(fields: dict[str, Any], nonce: str, rows: list[dict[str, Any]]) -> None:
    from ringback.webhooks.explain import marked

    write_result(printable(f"{fields['target']}  {fields['method']} {fields['url']}  event {fields['event_id']}"))
    write_result(f"  X-Plivo-Signature-V3-Nonce: {nonce}")
    for row in rows:
        mark = "▶" if row["is_yours"] else " "
        name = f"if {row['mistake']}" if row["mistake"] else "right"
        write_result(printable(f"{mark} {row['signature']}  {name}"))
        if not row["mistake"] or row["is_yours"]:
            write_result(f"      {marked(row['signed'])}")
        if row["mistake"] and row["is_yours"]:
            write_result(printable(f"      fix: {row['fix']}"))
