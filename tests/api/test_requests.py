"""Bad requests of every kind are problems, whatever is wrong with them."""

from __future__ import annotations

import gzip
import io
import string
import zlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import MultiDict
from structlog.testing import capture_logs

from indexer.api.pages import cursor, listing, place_of
from indexer.api.parameters import INT64, Query, address, chain_id, rfc3339, token
from indexer.errors import Refused
from tests.api.conftest import HttpClient, Serve, World, problem_of
from tests.api.fakes import ALICE, CHAINS, USDC

Value = TypeVar("Value")

BALANCES = "/api/v1/balances"
ONE = f"{BALANCES}/1/{USDC}/{ALICE}"
JSON = {"Content-Type": "application/json"}
MIB = 1024**2


@pytest.mark.parametrize(
    "path", ["/nope", "/api/v1", "/api/v1/", "/api/v1/nope", "/api/v2/balances", "/docs/", "/%00", "/ü"]
)
async def test_an_unknown_path_is_a_problem(client: HttpClient, path: str) -> None:
    await problem_of(await client.get(path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/v1/solvers", "GET, HEAD, OPTIONS, POST"),
        ("DELETE", "/api/v1/solvers", "GET, HEAD, OPTIONS, POST"),
        ("GET", f"{ONE}/refresh", "OPTIONS, POST"),
        ("PATCH", "/api/v1/solvers/bob", "DELETE, OPTIONS"),
        ("PROPFIND", "/health", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_wrong_method_is_a_problem_that_names_the_right_ones(
    client: HttpClient, method: str, path: str, allowed: str
) -> None:
    answer = await client.request(method, path)
    await problem_of(answer, 405)
    assert answer.headers["Allow"] == allowed


async def test_options_names_the_methods_and_head_is_get_without_a_body(client: HttpClient) -> None:
    options = await client.options("/api/v1/solvers")
    assert (options.status, options.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    head = await client.head(ONE)
    assert (head.status, head.content_type, await head.read()) == (200, "application/json", b"")


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        (f"{BALANCES}?limit=0", 400, "limit"),
        (f"{BALANCES}?limit=1001", 400, "limit"),
        (f"{BALANCES}?limit=-1", 400, "limit"),
        (f"{BALANCES}?limit=ten", 400, "limit"),
        (f"{BALANCES}?limit=", 400, "limit"),
        (f"{BALANCES}?limit=1e3", 400, "limit"),
        (f"{BALANCES}?limit=%D9%A1", 400, "limit"),
        (f"{BALANCES}?limit=10&limit=20", 400, "limit"),
        (f"{BALANCES}?limit={'9' * 5000}", 400, "limit"),
        (f"{BALANCES}?limt=10", 400, "limt"),
        (f"{BALANCES}?chain=mars", 404, "chain"),
        (f"{BALANCES}?chain=5", 404, "chain"),
        (f"{BALANCES}?chain=", 404, "chain"),
        (f"{BALANCES}?token=usdc", 400, "token"),
        (f"{BALANCES}?solver=native", 400, "solver"),
        (f"{BALANCES}?solver=0x{'0' * 40}", 422, "solver"),
        (f"{BALANCES}?cursor=", 400, "cursor"),
        (f"{BALANCES}?cursor=!!", 400, "cursor"),
        (f"{BALANCES}/mars/{USDC}/{ALICE}", 404, "chain"),
        (f"{BALANCES}/-1/{USDC}/{ALICE}", 404, "chain"),
        (f"{BALANCES}/1/0x12/{ALICE}", 400, "token"),
        (f"{BALANCES}/1/{USDC}/0x{'g' * 40}", 400, "solver"),
        (f"{ONE}?block=-1", 400, "block"),
        (f"{ONE}?block=latest", 400, "block"),
        (f"{ONE}?block={2**63}", 400, "block"),
        (f"{ONE}?at=yesterday", 400, "at"),
        (f"{ONE}?at=2026-11-21", 400, "at"),
        (f"{ONE}?at=2026-11-21T01:02:03", 400, "at"),
        (f"{ONE}?at=2026-02-30T01:02:03Z", 400, "at"),
        (f"{ONE}?at=0000-01-01T00:00:00Z", 400, "at"),
        (f"{ONE}?at=0001-01-01T00:00:00%2B14:00", 400, "at"),
        (f"{ONE}?at=9999-12-31T23:59:59-14:00", 400, "at"),
        (f"{ONE}?at=9999-12-31T23:59:60Z", 400, "at"),
        (f"{ONE}?at=2016-12-30T23:59:60Z", 400, "at"),
        (f"{ONE}?at=2016-12-31T23:58:60Z", 400, "at"),
        (f"{ONE}?at=2016-12-31T23:59:61Z", 400, "at"),
        (f"{ONE}?limit=1", 400, "limit"),
        (f"{ONE}/history?before=x", 400, "before"),
        (f"{ONE}/history?from=1700000000", 400, "from"),
        (f"{ONE}/stats?to=", 400, "to"),
        ("/api/v1/events?stream=chain:1&after=-1", 400, "after"),
        ("/api/v1/status?x=1", 400, "x"),
    ],
)
async def test_a_bad_part_of_path_or_query_is_refused_by_name(
    client: HttpClient, path: str, status: int, field: str
) -> None:
    await problem_of(await client.get(path), status, field)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60.999Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2015-06-30T16:59:60-07:00", datetime(2015, 7, 1, tzinfo=UTC)),
        ("2015-07-01T05:29:60 05:30", datetime(2015, 7, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:59.9Z", datetime(2016, 12, 31, 23, 59, 59, 900_000, UTC)),
    ],
)
def test_a_leap_second_is_read_as_the_first_moment_of_the_next(text: str, moment: datetime) -> None:
    assert rfc3339(text, "at") == moment


async def test_a_mistyped_parameter_is_told_what_was_meant(client: HttpClient) -> None:
    assert "'limit'" in (await problem_of(await client.get(f"{BALANCES}?limt=1"), 400, "limt"))["detail"]
    detail = (await problem_of(await client.get(f"{BALANCES}?chain=etherum"), 404, "chain"))["detail"]
    assert "'ethereum'" in detail


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"nope",
        b"[]",
        b'"x"',
        b"null",
        b"1",
        b"\xff\xfe",
        b'{"name": NaN}',
        b"[" * 5000,
        b'{"name":"\xed\xa0\x80"}',
    ],
)
async def test_a_body_that_is_no_json_object_is_malformed(client: HttpClient, raw: bytes) -> None:
    await problem_of(await client.post("/api/v1/solvers", data=raw, headers=JSON), 400)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "nonsense"]
)
async def test_another_content_type_is_refused(client: HttpClient, content_type: str) -> None:
    answer = await client.post("/api/v1/solvers", data=b"{}", headers={"Content-Type": content_type})
    await problem_of(answer, 415)


async def _chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65536 + 1):
        yield b" " * 65536


@pytest.mark.parametrize("path", ["/api/v1/solvers", "/api/v1/tokens", "/api/v1/reload"])
async def test_a_body_over_a_mebibyte_is_too_large(client: HttpClient, path: str) -> None:
    await problem_of(await client.post(path, data=io.BytesIO(b" " * (MIB + 1)), headers=JSON), 413)


@pytest.mark.parametrize(("method", "path", "status"), [("POST", "/nope", 404), ("PUT", "/api/v1/solvers", 405)])
async def test_a_body_that_is_too_large_hides_no_wrong_path_or_method(
    client: HttpClient, method: str, path: str, status: int
) -> None:
    await problem_of(await client.request(method, path, data=io.BytesIO(b" " * (MIB + 1)), headers=JSON), status)
    assert (await client.get("/health")).status == 200


async def test_a_body_is_counted_where_its_length_is_not_told_or_is_packed(client: HttpClient) -> None:
    await problem_of(await client.post("/api/v1/solvers", data=_chunks(2 * MIB), headers=JSON), 413)
    bomb = gzip.compress(b" " * (4 * MIB))
    answer = await client.post("/api/v1/solvers", data=bomb, headers=JSON | {"Content-Encoding": "gzip"})
    await problem_of(answer, 413)


GOOD = b'{"name":"acme"}'
BENT = bytearray(gzip.compress(GOOD, mtime=0))
BENT[-6] ^= 0xFF
BARE = zlib.compressobj(wbits=-zlib.MAX_WBITS)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"{}"),
        ("gzip", gzip.compress(GOOD, mtime=0)[:-9]),
        ("gzip", gzip.compress(GOOD, mtime=0) + b"{}"),
        ("gzip", bytes(BENT)),
        ("gzip", b" "),
        ("deflate", b"{}"),
        ("deflate", zlib.compress(GOOD)[:-1]),
    ],
)
async def test_a_body_that_cannot_be_unpacked_is_malformed_and_no_mistake_of_ours(
    client: HttpClient, caplog: pytest.LogCaptureFixture, encoding: str, body: bytes
) -> None:
    with capture_logs() as logs:
        answer = await client.post("/api/v1/solvers", data=body, headers=JSON | {"Content-Encoding": encoding})
        problem = await problem_of(answer, 400)
        await client.get("/health")
    assert encoding in problem["detail"]
    assert (logs, caplog.records) == ([], [])


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(GOOD, mtime=0)),
        ("deflate", zlib.compress(GOOD)),
        ("deflate", BARE.compress(GOOD) + BARE.flush()),
        ("identity", GOOD),
    ],
)
async def test_a_packed_body_is_read_as_what_was_packed(client: HttpClient, encoding: str, body: bytes) -> None:
    answer = await client.post("/api/v1/solvers", data=body, headers=JSON | {"Content-Encoding": encoding})
    await problem_of(answer, 400, "address")


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"name":"acme","name":"acme"}', "name"),
        (b'{"name":"acme","chains":[1],"\\u006eame":"other"}', "name"),
        (b'{"name":"acme","chains":[{"id":1,"id":2}]}', "chains[0].id"),
        (b'{"a":[[{}],[0,{"b":{"c":1,"c":[]}}]],"d":1}', "a[1][1].b.c"),
        (b'{"a":{"b":1,"b":2},"a":1}', "a"),
        (b'{"' + b"x" * 100 + b'":1,"' + b"x" * 100 + b'":2}', "x" * 64),
        (b'{"a":' + b"[" * 300 + b'{"b":1,"b":2}' + b"]" * 300 + b"}", "a" + "[0]" * 66 + "….b"),
    ],
)
async def test_a_member_that_is_given_twice_is_refused_by_its_name(client: HttpClient, raw: bytes, field: str) -> None:
    problem = await problem_of(await client.post("/api/v1/solvers", data=raw, headers=JSON), 400, field)
    assert problem["detail"] == "given more than once"


async def test_a_body_that_is_nested_as_deep_as_json_may_be_is_refused(client: HttpClient) -> None:
    for depth in (900, 1_000, 1_020, 1_100):
        raw = b'{"name":' + b"[" * depth + b"]" * depth + b"}"
        assert (await client.post("/api/v1/solvers", data=raw, headers=JSON)).status == 400, depth


@pytest.mark.parametrize("path", ["/api/v1/reload", f"{ONE}/refresh"])
async def test_members_of_a_body_where_none_is_known_are_refused_by_name(client: HttpClient, path: str) -> None:
    await problem_of(await client.post(path, json={"force": True}), 400, "force")
    await problem_of(await client.post(path, data=b"force"), 415)
    assert (await client.post(path, json={})).status == (await client.post(path)).status == 200


@pytest.mark.parametrize("size", [2, 2 * MIB])
async def test_one_who_asks_first_is_told_before_sending(client: HttpClient, size: int) -> None:
    body = io.BytesIO(b"{" + b" " * (size - 2) + b"}")
    answer = await client.post(
        "/api/v1/solvers", data=body, headers=JSON | {"Content-Length": str(size)}, expect100=size == 2
    )
    await problem_of(answer, *((400, "name") if size == 2 else (413,)))
    await problem_of(await client.get("/health", headers={"Expect": "a miracle"}), 417)


async def test_an_unexpected_error_tells_nothing_and_is_logged_once(client: HttpClient, world: World) -> None:
    world.balances.failure = RuntimeError("password=hunter2")
    with capture_logs() as logs:
        body = await problem_of(await client.get(ONE), 500)
    assert "hunter2" not in str(body)
    assert [entry["event"] for entry in logs] == ["request_failed"]


async def test_an_error_after_the_answer_began_does_not_begin_another(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        raise RuntimeError("late")

    client = await serve(ws_handler=handler)
    async with client.ws_connect("/ws") as socket:
        assert (await socket.receive(timeout=5)).type.name in ("CLOSED", "CLOSE", "CLOSING", "ERROR")


# --- for all inputs ---

RICH = listing("balances", 1, None, "0x12")
SUBJECTS = st.lists(st.none() | st.integers(0, 3) | st.text(max_size=3), max_size=3).map(tuple)
JUNK = st.one_of(
    st.text(max_size=80),
    st.text(alphabet=string.digits + "+-.eExX_ ", max_size=30),
    st.integers().map(str),
    st.datetimes().map(str),
    st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")),
)


def refused(read: Callable[[], Value], field: str) -> Value | None:
    """What was read, or nothing where it was refused, which has to be under this field's name."""
    try:
        return read()
    except Refused as error:
        if error.field != field:
            raise
        return None


@settings(deadline=None)
@given(name=st.sampled_from(["limit", "before", "block", "after"]), text=JUNK)
def test_a_whole_number_is_read_or_refused_under_its_name(name: str, text: str) -> None:
    number = refused(lambda: Query(MultiDict({name: text})).whole(name, low=1, high=1000), name)
    assert number is None or 1 <= number <= 1000


@settings(deadline=None)
@given(text=JUNK)
def test_a_time_is_read_or_refused_under_its_name(text: str) -> None:
    time = refused(lambda: Query(MultiDict({"at": text})).time("at"), "at")
    assert time is None or time.utcoffset() is not None


@settings(deadline=None)
@given(text=JUNK | st.lists(st.integers(-(2**63), 2**64 - 1) | st.text()).map(lambda place: cursor("x", *place)))
def test_a_cursor_is_one_of_ours_or_refused(text: str) -> None:
    place = refused(lambda: place_of(Query(MultiDict({"cursor": text})), RICH, int, str, str), "cursor")
    assert place is None or cursor(RICH, *place) == text


@settings(deadline=None)
@given(place=st.tuples(st.integers(0, INT64), st.text(max_size=42), st.text(max_size=42)))
def test_every_cursor_that_we_make_is_read_back(place: tuple[int, str, str]) -> None:
    made = cursor(RICH, *place)
    assert place_of(Query(MultiDict({"cursor": made})), RICH, int, str, str) == list(place)
    assert quote(made, safe="") == made


@settings(deadline=None)
@given(one=SUBJECTS, other=SUBJECTS)
def test_a_cursor_leads_on_in_the_list_that_it_was_made_for_alone(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    query = Query(MultiDict({"cursor": cursor(listing("balances", *one), 7)}))
    place = refused(lambda: place_of(query, listing("balances", *other), int), "cursor")
    assert place == ([7] if one == other else None)


def test_a_cursor_from_before_lists_had_names_is_still_taken() -> None:
    assert place_of(Query(MultiDict({"cursor": cursor("balances", 7)})), RICH, int) == [7]


@settings(deadline=None)
@given(text=JUNK)
def test_chains_tokens_and_addresses_are_known_or_refused(text: str) -> None:
    assert refused(lambda: chain_id(text, CHAINS), "chain") in (None, 1, 8453)
    assert (refused(lambda: token(text), "token") or text).lower() == text.lower()
    assert (refused(lambda: address(text, "solver"), "solver") or text).lower() == text.lower()


async def test_junk_in_any_parameter_is_the_callers_mistake_and_never_ours(client: HttpClient) -> None:
    junk: list[Any] = [
        "",
        " ",
        "\0",
        "\udfff",
        "💥",
        "%",
        "null",
        "[]",
        "1" * 400,
        "-0",
        "0x",
        "../..",
        "$gt",
        "{}",
        "\r\n",
    ]
    calls = [
        *((BALANCES, name) for name in ("limit", "chain", "token", "solver", "cursor")),
        *((ONE, name) for name in ("block", "at")),
        *((f"{ONE}/history", name) for name in ("limit", "before", "from", "to", "cursor")),
        *((f"{ONE}/stats", name) for name in ("from", "to")),
        *(("/api/v1/events", name) for name in ("stream", "after", "limit", "cursor")),
        *(("/api/v1/tokens", name) for name in ("chain", "limit", "cursor")),
    ]
    for path, name in calls:
        for text in junk:
            answer = await client.get(f"{path}?{name}={quote(text, safe='', errors='surrogatepass')}")
            assert 400 <= answer.status < 500, (path, name, text)
            assert answer.content_type == "application/problem+json"
    for text in junk:
        quoted = quote(text, safe="", errors="surrogatepass")
        for path in (
            f"{BALANCES}/{quoted}/{USDC}/{ALICE}",
            f"{BALANCES}/1/{quoted}/{ALICE}",
            f"/api/v1/solvers/{quoted}",
        ):
            answer = await client.get(path)
            assert 400 <= answer.status < 500, path
            assert answer.content_type == "application/problem+json"


async def test_a_body_that_is_packed_in_an_unknown_way_is_refused(client: HttpClient) -> None:
    body = b'{"name":"acme"}'
    await problem_of(await client.post("/api/v1/solvers", data=body, headers=JSON | {"Content-Encoding": "lzma"}), 415)
    plain = await client.post("/api/v1/solvers", data=body, headers=JSON | {"Content-Encoding": "Identity"})
    await problem_of(plain, 400, "address")
