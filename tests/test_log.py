"""The log: one line per event, and no secret in it."""

from __future__ import annotations

import io
import json
import logging
import warnings
from typing import Any

import pytest
import structlog

from indexer import log

URL = "https://user:hush-pass@node/v3/hush1234hush"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


pytestmark = pytest.mark.usefixtures("log_as_it_was")


def _fail(error: Exception, cause: Exception | None = None, _local: str = "") -> None:
    raise error from cause


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_programs_get_one_json_object_per_event() -> None:
    stream = io.StringIO()
    log.configure("auto", stream=stream)
    structlog.get_logger("x").info("head_arrived", chain=1, balance=2**256 - 1)
    try:
        _fail(ValueError("one\ntwo"))
    except ValueError:
        structlog.get_logger("x").exception("actor_died")
    first, second = lines(stream)
    assert (first["event"], first["level"], first["chain"], first["balance"]) == ("head_arrived", "info", 1, 2**256 - 1)
    assert first["time"].endswith("Z")
    assert "ValueError: one\ntwo" in second["exception"]


def test_people_get_a_line_that_no_value_can_break() -> None:
    stream = Terminal()
    log.configure("auto", stream=stream)
    structlog.get_logger().info("token\nfound", symbol="A\nB\x1b[31m")
    assert stream.getvalue().count("\n") == 1
    assert "\x1b[31m" not in stream.getvalue().replace("\x1b[31m\x1b[1m", "")


def test_the_format_can_be_said_whatever_the_stream_is() -> None:
    plain, terminal = io.StringIO(), Terminal()
    log.configure("console", stream=plain)
    structlog.get_logger().info("a", b="c")
    log.configure("json", stream=terminal)
    structlog.get_logger().info("a", b="c")
    assert "b=c" in plain.getvalue()
    assert lines(terminal)[0]["b"] == "c"


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_secret_gets_through(log_format: str) -> None:
    stream = io.StringIO()
    log.configure(log_format, secrets=["hush-known"], stream=stream)
    log.hide(["hush-later"])
    logger = structlog.get_logger()
    error = ConnectionError(f"cannot connect to {URL}")
    logger.warning("a", url=URL, error=error, known="x hush-known", deep={"list": [URL, ("hush-later",)]})
    logger.warning("b", api_key="hush-a", headers={"Authorization": "hush-b", "hush-known": 1})
    logger.warning("Bearer hush-c", context={"password": "hush-d"})
    try:
        _fail(RuntimeError("hush-known"), error)
    except RuntimeError:
        logger.exception("hush-later")
    logging.getLogger("foreign").error("failed at %s", URL)
    assert "hush" not in stream.getvalue()
    assert stream.getvalue().count("***") >= 12


def test_a_traceback_shows_no_local_variables() -> None:
    stream = Terminal()
    log.configure("console", stream=stream)
    try:
        _fail(RuntimeError("plain"), None, "local".upper())
    except RuntimeError:
        structlog.get_logger().exception("died")
    assert "RuntimeError: plain" in stream.getvalue()
    assert "LOCAL" not in stream.getvalue()


def test_libraries_are_heard_from_warning_up() -> None:
    stream = io.StringIO()
    log.configure("json", stream=stream)
    for name in ("pykka", "aiohttp.access", "aiohttp.server", "motor", "web3.providers", "asyncio"):
        logging.getLogger(name).info("unheard")
        logging.getLogger(name).warning("heard %d", 1)
    assert [line["logger"] for line in lines(stream)] == [
        "pykka",
        "aiohttp.access",
        "aiohttp.server",
        "motor",
        "web3.providers",
        "asyncio",
    ]
    assert {line["event"] for line in lines(stream)} == {"heard 1"}


def test_warnings_are_logged_too() -> None:
    stream = io.StringIO()
    log.configure("json", stream=stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old ways", UserWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    assert "old ways" in lines(stream)[0]["event"]


def test_configuring_again_does_not_double_a_line() -> None:
    stream = io.StringIO()
    log.configure("json", stream=stream)
    log.configure("json", stream=stream)
    logging.getLogger("foreign").error("once")
    assert len(lines(stream)) == 1


def test_debug_is_for_those_who_ask() -> None:
    stream = io.StringIO()
    log.configure("json", stream=stream)
    structlog.get_logger().debug("unheard")
    log.configure("json", stream=stream, verbose=True)
    structlog.get_logger().debug("heard")
    assert [line["event"] for line in lines(stream)] == ["heard"]
