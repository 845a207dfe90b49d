"""The menu behind 15550002000: an ordinary customer application of documents alone. Pure.

A caller hears the choices, presses a key, and comes back to them. Where no voice is installed the prompts are silent
and a beep says when to press.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

PATH = "/menu"
_WELCOME = (
    "Welcome to Ringback. Press 1 to hear the number you are calling from. Press 2 to talk to an echo. "
    "Press 3 to enter a secret code. Press 9 to end the call."
)


def menu_document(path: str, params: Mapping[str, str], base_url: str, stream_document: bytes) -> bytes | None:
    """Return the document at a path of the menu, or `None` where there is none.

    Args:
        params: What Ringback sent.
        base_url: The application's `http://host:port`.
        stream_document: The document that talks to the echo.
    """
    menu = base_url + PATH
    digits = params.get("Digits", "")
    match path.removeprefix(PATH):
        case "":
            choice = _collect(f"{menu}/choice", _speak(_WELCOME), 'numDigits="1" timeout="10" retries="2"')
            return _response(choice, _speak("Goodbye."))
        case "/choice":
            return stream_document if digits == "2" else _chosen(menu, digits, params.get("From", ""))
        case "/code":
            said = _speak(f"You entered {spelled(digits)}. Only you and I know that.")
            return _response(said, _redirect(menu))
        case _:
            return None


def _chosen(menu: str, digits: str, caller: str) -> bytes:
    match digits:
        case "1":
            return _response(_speak(f"You are calling from {spelled(caller)}."), _redirect(menu))
        case "3":
            code = _collect(f"{menu}/code", _speak("Enter four digits."), 'numDigits="4" timeout="10" log="false"')
            return _response(code, _redirect(menu))
        case "9":
            return _response(_speak("Goodbye."))
        case _:
            return _response(_speak("There is no such choice."), _redirect(menu))


def spelled(text: str) -> str:
    """Return digits one by one, so that they are said like a number of a phone; a SIP URI by its user."""
    user = text.removeprefix("sip:").partition("@")[0]
    return ", ".join(user) if user.isascii() and user.isdigit() else user or "nobody"


def _collect(action: str, prompt: str, attributes: str) -> str:
    return f'<GetDigits action={quoteattr(action)} {attributes} finishOnKey="none" playBeep="true">{prompt}</GetDigits>'


def _speak(text: str) -> str:
    return f"<Speak>{escape(text)}</Speak>"


def _redirect(url: str) -> str:
    return f"<Redirect>{escape(url)}</Redirect>"


def _response(*elements: str) -> bytes:
    return ('<?xml version="1.0" encoding="UTF-8"?>\n<Response>' + "".join(elements) + "</Response>\n").encode()
