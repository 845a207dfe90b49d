"""Times and answers are spelled as on the wire."""

from __future__ import annotations

import json
import uuid

from ringback.api.responses import account_time, date, no_content, precise_time, reply, session_time

MOMENT = 1_495_459_069_050


def test_times() -> None:
    assert account_time(MOMENT, "Asia/Kolkata") == "2017-05-22 18:47:49+05:30"
    assert account_time(MOMENT, "America/New_York") == "2017-05-22 09:17:49-04:00"
    assert account_time(MOMENT, "UTC") == "2017-05-22 13:17:49+00:00"
    assert account_time(None, "UTC") is None
    assert precise_time(MOMENT) == "2017-05-22 13:17:49.050000+00:00"
    assert session_time(MOMENT) == "2017-05-22 13:17:49.050000"
    assert session_time(MOMENT - 50) == "2017-05-22 13:17:49.000000"
    assert date(MOMENT) == "2017-05-22"


def test_unknown_time_zone_falls_back_to_utc() -> None:
    for name in ("Nowhere/Land", "", "../../etc/passwd", "\x00"):
        assert account_time(MOMENT, name) == "2017-05-22 13:17:49+00:00"


def test_every_answer_has_an_id_of_its_own() -> None:
    first, second = (json.loads(bytes(reply(201, {"message": "x"}).body)) for _ in range(2))
    assert first["message"] == "x"
    assert uuid.UUID(first["api_id"]) != uuid.UUID(second["api_id"])


def test_no_content_has_no_body() -> None:
    assert (no_content().status_code, no_content().body) == (204, b"")
