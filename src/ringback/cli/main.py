"""The entry point: finds the verb, runs it, turns its outcome into an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ringback import __version__
from ringback.cli.failure import ExitCode, Failure
from ringback.cli.output import write_note, write_result

if TYPE_CHECKING:
    from cyclopts import App

_CALL_NOUNS = frozenset({"show", "list", "start", "--help", "-h"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words in (["--version"], ["-V"]):
        write_result(f"ringback {__version__}")
        return ExitCode.DONE
    if words[:1] == ["call"] and len(words) > 1 and words[1] not in _CALL_NOUNS:
        words.insert(1, "start")
    return _run(words)


def _run(words: list[str]) -> int:
    from cyclopts import CycloptsError

    try:
        result = build_app()(words or ["--help"], exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        message = " ".join(str(error).split())
        return _fail(Failure("RB5002", message[:1].lower() + message[1:], fix="see `ringback --help`"), words)
    except Failure as failure:
        return _fail(failure, words)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return int(result) if isinstance(result, int) else ExitCode.DONE


def _fail(failure: Failure, words: list[str]) -> int:
    write_note(failure.to_json() if "--json" in words else str(failure))
    return failure.exit_code


def build_app() -> App:
    """Return the command tree; verbs are imported when they are run."""
    from cyclopts import App

    app = App(
        name="ringback",
        help="Plivo's Calls and Audio Streams APIs on your own machine: SIP on one side, your agent on the other.",
        version=__version__,
        version_flags=["--version", "-V"],
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    for verb, target, text in (
        ("dev", "dev:dev", "Run everything on this machine, for development."),
        ("up", "up:up", "Run the server in production."),
        ("creds", "creds:creds", "Print the account id and token of the development server."),
        ("doctor", "doctor:doctor", "Check this machine and the running server; say what to fix."),
        ("version", "version:version", "Print versions."),
    ):
        app.command(f"ringback.cli.{target}", name=verb, help=text)
    call = App(name="call", help="Call a number or sip: URI with a phone of our own, or look at calls.")
    call.command("ringback.cli.call_start:call_start", name="start", help="Call; the word may be left out.")
    call.command("ringback.cli.call_show:call_show", name="show", help="Print what happened in a call.")
    call.command("ringback.cli.call_list:call_list", name="list", help="Print calls, newest first.")
    app.command(call)
    webhook = App(name="webhook", help="Look at callbacks, send them again, explain their signatures.")
    webhook.command("ringback.cli.webhook_list:webhook_list", name="list", help="Print callbacks, newest first.")
    webhook.command("ringback.cli.webhook_show:webhook_show", name="show", help="Print a callback and its attempts.")
    webhook.command("ringback.cli.webhook_replay:webhook_replay", name="replay", help="Send a callback again.")
    webhook.command(
        "ringback.cli.webhook_explain:webhook_explain",
        name="explain",
        help="Print what was signed, and mistakes.",
    )
    app.command(webhook)
    config = App(name="config", help="Look at the settings.")
    config.command("ringback.cli.config_show:config_show", name="show", help="Print every setting and its source.")
    config.command("ringback.cli.config_check:config_check", name="check", help="Check the settings; exit 2 if wrong.")
    config.command("ringback.cli.config_schema:config_schema", name="schema", help="Print the JSON Schema of the file.")
    app.command(config)
    return app


if __name__ == "__main__":
    raise SystemExit(main())
