"""What is told of a file that is refused holds no secret, whatever is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from indexer.config import VenueKnown, load
from indexer.config.showing import show, show_url
from indexer.errors import ConfigError

SECRET: Final = "hunter2secret"
FILE: Final = Path(__file__).parents[2] / "chains.example.toml"


def told(tree: dict[str, Any], environ: dict[str, str] | None = None) -> str:
    """All problems of this tree, as the log, the API and `check` show them; nothing where there is none."""
    with patch("indexer.config.load.tomllib.loads", return_value=tree):
        try:
            load(FILE, environ or {}, lambda: {"binance": VenueKnown(("spot",))})
        except ConfigError as error:
            return "\n".join(map(str, error.problems))
    return ""


def at(place: str, value: Any) -> dict[str, Any]:
    """A file in which all is well but for what stands there."""
    tree: dict[str, Any] = {"chains": {"ethereum": {"chain_id": 1, "rpc_urls": ["http://node"]}}}
    *tables, key = place.split(".")
    table = tree
    for name in tables:
        table = table.setdefault(name, {})
    table[key] = value
    return tree


LISTS: Final = ("chains.ethereum.rpc_urls", "chains.ethereum.ws_urls")
URLS: Final = ("store.url", "nats.url", "exchanges.desk.base_url", *LISTS)
SECRETS: Final = (
    "service.master_key",
    "nats.password",
    "nats.token",
    *(
        f"exchanges.desk.{key}"
        for key in ("api_key", "secret", "password", "uid", "account_id", "login", "token", "twofa", "private_key")
    ),
)
MISSPELT: Final = (
    "chains.ethereum.rpc_url",
    "chains.ethereum.rpcurls",
    "chains.ethereum.wsurl",
    "chains.rpc_urls",
    "exchanges.desk.api_keey",
    "exchanges.desk.apiKey",
    "exchanges.api_key",
    "service.api_key",
    "service.api_keys",
    "service.masterkey",
    "store.uri",
    "nats.pasword",
    "rpc_url",
    "api_key",
    "solvers.acme",
)
OTHERS: Final = (
    "service.host",
    "service.port",
    "service.log_format",
    "service.allow_anonymous",
    "store.database",
    "store.history_days",
    "chains.ethereum.chain_id",
    "chains.ethereum.native_symbol",
    "chains.ethereum.start_block",
    "chains.ethereum.tokens",
    "solvers.acme.address",
    "solvers.acme.chains",
    "exchanges.desk.exchange",
    "exchanges.desk.wallets",
    "exchanges.desk.sandbox",
    "nats.start",
    "nats.stream",
    "nats.credentials_file",
    "rules.tolerance",
    "rules.severities.stale_data",
)
MALFORMED: Final = (
    "mongodb//user:{}@x",
    "mongodb:/user:{}@x",
    "user:{}@x",
    "postgres//user:{}@x",
    "postgres//user:{}/db",
    "user:{}",
    "wss//h?apikey={}",
    "h?apikey={}",
    "h#{}",
    "apikey={}",
    "mongodb:// user:{}@x",
    "mongodb://us er:{}@x",
    'mongodb://user:pa"{}@x',
    "mongodb://user:pa'{}<@x/ y",
    "https://node/v3/{}",
    "https//node/v3/{}",
    "https:/node/v3/ {}",
    "https://no de/{}",
    "Bearer {}",
    "{}",
    "{}://node",
    "http://user:{}\n@node",
    "http://node:{}",
    "x{}@https://node",
    "http://node/?x={} y",
)


@pytest.mark.parametrize("place", [*URLS, *SECRETS, *MISSPELT, *OTHERS])
def test_no_refusal_shows_the_secret_in_what_is_refused(place: str) -> None:
    for written in (shape.format(SECRET) for shape in MALFORMED):
        for value in (written, [written], {written: written}):
            assert SECRET not in told(at(place, value)), value


@pytest.mark.parametrize("place", [*URLS, *SECRETS, *MISSPELT, *OTHERS])
def test_nothing_that_came_from_the_environment_is_shown(place: str) -> None:
    for shape in (*MALFORMED[::4], "{}!", "a {} b"):
        # Neither long nor mixed: nobody could tell that this word is a secret.
        whole, part = {"PW": shape.format("sesame")}, {"PW": "sesame"}
        for value, environ in (("${PW}", whole), (shape.format("${PW}"), part), (shape.format("${PW:-sesame}"), {})):
            for written in (value, [value], {"url": value}):
                assert "sesame" not in told(at(place, written), environ), written


def test_what_came_from_the_environment_is_shown_by_the_name_of_its_variable() -> None:
    shown = told(at("service.log_format", "${FORMAT:-jsn}"), {"FORMAT": "yaml"})
    assert shown.startswith('service.log_format: is not known here (it is "${FORMAT}")')


def test_a_number_in_the_place_of_a_url_or_a_secret_is_not_shown() -> None:
    for place in ("store.url", "nats.url", "nats.password", "exchanges.desk.api_key", "exchanges.desk.base_url"):
        assert "31337" not in told(at(place, 3133731337)), place
    for place in LISTS:
        assert "31337" not in told(at(place, [3133731337])), place


def test_a_key_in_the_place_of_a_name_is_not_shown() -> None:
    for name in ("0123456789abcdef0123456789abcdef", f"https://node/v3/{SECRET}", f"user:{SECRET}@x", SECRET):
        for place in (name, f"chains.ethereum.{name}", f"service.{name}"):
            *tables, _ = place.split(".") if "://" not in name else ("chains", "ethereum", "")
            tree = at("store.database", "indexer")
            table = tree
            for title in tables:
                table = table.setdefault(title, {})
            table[name] = "x"
            assert name not in told(tree), place


@pytest.mark.parametrize(
    ("place", "value", "told_as"),
    [
        ("service2", {"port": 1}, "service2: is not a known key"),
        ("exchanges1", {"desk": {}}, "exchanges1: is not a known key"),
        ("database2", {"url": "x"}, "database2: is not a known key"),
        ("mainnet1", [{"url": "x"}], "mainnet1: is not a known key"),
        ("service.log_format2", "auto", "service.log_format2: is not a known key"),
        ("chains.ethereum.rpcurls2", [], "chains.ethereum.rpcurls2: is not a known key"),
    ],
)
def test_a_key_that_heads_a_table_or_is_much_like_a_known_one_is_named(place: str, value: Any, told_as: str) -> None:
    assert told_as in told(at(place, value))


@pytest.mark.parametrize("place", ["hunter2x", "service.hunter2x", "secret123abc", "nats.hunter2x"])
def test_a_word_like_a_password_that_heads_no_table_is_not_named(place: str) -> None:
    shown = told(at(place, "x"))
    assert "***: is not a known key" in shown
    assert place.rpartition(".")[2] not in shown


def test_a_long_key_is_not_named_where_it_heads_a_table_either() -> None:
    for name in ("0123456789abcdef0123456789abcdef", "sk4live9a8b7c6d5e4f"):
        assert name not in told(at(name, {"port": 1}))


@pytest.mark.parametrize(
    ("text", "line", "about"),
    [
        ("[service]\nport = 1\nport = 2", 3, "port"),
        ("[service]\nport = 1\nport = 2\n", 3, "port"),
        ("[service]\nport = 1\n port = 2 # again\n[store]\n", 3, "port"),
        ('[store]\nurl = "memory"\n"url" = "memory"', 3, "url"),
        ("[service]\n[chains", 2, "]"),
        ("[service]\n[chains\n", 2, "]"),
        ("[store]\nurl = ", 2, "url"),
        ("[store]\nurl", 2, "url"),
    ],
)
def test_what_is_no_toml_names_line_and_key(tmp_path: Path, text: str, line: int, about: str) -> None:
    path = tmp_path / "chains.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    (problem,) = caught.value.problems
    assert problem.key == f"{path}:{line}"
    assert about in problem.message


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_secret_in_the_place_of_a_key_is_not_named_where_it_stands_twice(tmp_path: Path, end: str) -> None:
    path = tmp_path / "chains.toml"
    path.write_text(f"{SECRET} = 1\n{SECRET} = 2{end}")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert f"{path}:2" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_name_that_toml_repeats_is_not_shown_when_it_may_be_a_secret(tmp_path: Path) -> None:
    path = tmp_path / "chains.toml"
    path.write_text(f'["user:{SECRET}@x"]\n["user:{SECRET}@x"]\n')
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert "is not TOML" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("jsn", '"jsn"'),
        ("etherium", '"etherium"'),
        ("my db", '"my db"'),
        ("", '""'),
        ("~nobody/data", '"~nobody/data"'),
        ("/run/secrets/nats2024key.creds", '"/run/secrets/***.creds"'),
        ("http://x", '"http://x"'),
        ("https://main.infura.io/v3/0123456789abcdef", '"https://main.infura.io/v3/***"'),
        ("a=b", '"***"'),
        ("user:pass", '"***"'),
        ("\x1b[31m", '"***"'),
        (True, "true"),
        (-1, "-1"),
        (2**300, "a huge number"),
        ([1], "a list"),
    ],
)
def test_what_is_plainly_no_secret_is_shown(value: object, shown: str) -> None:
    assert show(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("ftp://u:hush@node", '"ftp://***@node"'),
        ("http://node:99999", '"http://node:99999"'),
        ("ws://[", '"ws://["'),
        ("localhost:8545", '"localhost:8545"'),
        ("node.example/v3/hush5678", '"node.example/v3/***"'),
        ("mongodb//user:hush@x", '"***@x"'),
        ("node.example?apikey=hush", '"node.example?apikey=***"'),
        ("hush", '"***"'),
        (7, '"***"'),
    ],
)
def test_of_what_should_be_a_url_that_is_shown_which_helps_to_find_it(value: object, shown: str) -> None:
    assert show_url(value) == shown


_WORDS = st.text("abcdefgh234567", min_size=9, max_size=20).filter(
    lambda text: any(map(str.isdigit, text)) and any(map(str.isalpha, text))
)
_BROKEN = st.tuples(st.integers(0, 60), st.sampled_from(["", " ", "/", ":", "//", '"', "<", "\n", "@", "=", "é"]))


@st.composite
def mistyped(draw: st.DrawFn) -> tuple[str, str]:
    """A URL with a secret in it, a few characters of all else lost or replaced; and the secret."""
    secret = draw(_WORDS)
    shape = draw(
        st.sampled_from(
            [
                "mongodb://user:{}@x:27017/db?w=1",
                "mongodb+srv://user:{}@cluster.example/",
                "https://user:{}@node.example:8545/rpc",
                "wss://node.example/v3/{}",
                "https://node.example/rpc?apikey={}&x=1",
                "nats://{}@one:4222,nats://two:4222",
            ]
        )
    )
    for place, other in draw(st.lists(_BROKEN, min_size=1, max_size=4)):
        where = place % len(shape)
        if shape[where] not in "{}":
            shape = shape[:where] + other + shape[where + 1 :]
    return shape.replace("{}", secret), secret


@given(st.sampled_from(URLS), mistyped(), st.booleans())
@example("store.url", ("mongodb//user:hunter2secret@x", SECRET), False)
def test_however_a_url_is_mistyped_its_secret_is_not_shown(place: str, written: tuple[str, str], is_text: bool) -> None:
    value, secret = written
    wrapped = value if is_text or place not in LISTS else [value]
    assert secret not in told(at(place, wrapped))
