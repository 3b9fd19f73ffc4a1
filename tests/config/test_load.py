"""The configuration file: what it means, and everything that can be wrong with it."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from indexer.config import SECTIONS, load
from indexer.config.settings import ApiKey
from indexer.errors import ConfigError, Problem
from indexer.masking import Secret
from tests.config.conftest import CHAIN, EXAMPLE, KEY, Load, Wrong

USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
ACME = "0x742d35Cc6634C0532925a3b844Bc454e4438f44e"


def test_a_chain_needs_no_more_than_its_id_and_one_url(loaded: Load, tmp_path: Path) -> None:
    settings = loaded(CHAIN)
    chain = settings.chains["ethereum"]
    assert (chain.name, chain.chain_id, chain.rpc_urls, chain.ws_urls) == ("ethereum", 1, ("http://node",), ())
    assert (chain.start_block, chain.native_symbol, chain.tokens) == ("latest", "ETH", ())
    assert settings.store.url == "embedded"
    assert settings.service.data_dir == tmp_path / "data"
    assert settings.path == tmp_path / "chains.toml"
    assert settings.solvers == {}


def test_every_key_can_be_set(loaded: Load) -> None:
    settings = loaded(
        """
        [service]
        host = "0.0.0.0"
        port = 0
        data_dir = "/var/lib/indexer"
        log_format = "json"
        allow_anonymous = true
        [[service.api_keys]]
        name = "desk"
        key = "k-desk"
        scopes = ["read", "admin"]
        [store]
        url = "mongodb://user:pass@one:27017,two:27017/?replicaSet=rs0"
        database = "mine"
        history_days = 30
        [chains.op]
        chain_id = 10
        rpc_urls = ["https://one", "https://two/v3/key"]
        ws_urls = ["wss://one"]
        native_symbol = "OP"
        tokens = ["0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"]
        start_block = 5
        sync_interval_seconds = 7
        reorg_window_blocks = 8
        native_interval_blocks = 9
        [solvers."Acme Ltd."]
        address = "0x742D35CC6634C0532925A3B844BC454E4438F44E"
        chains = ["op"]
        [exchanges.b]
        exchange = "binance"
        api_key = "a-key"
        secret = "a-secret"
        wallets = ["spot", "earn"]
        base_url = "http://127.0.0.1:9"
        [nats]
        url = "nats://127.0.0.1:4222"
        """
    )
    assert settings.service.api_keys == (ApiKey("desk", Secret("k-desk"), ("read", "admin")),)
    assert settings.service.data_dir == Path("/var/lib/indexer")
    assert settings.store.url.startswith("mongodb://user:pass@one")
    assert settings.chains["op"].tokens == (USDC,)
    assert settings.chains["op"].start_block == 5
    assert settings.solvers["Acme Ltd."].address == ACME
    assert settings.solvers["Acme Ltd."].chains == ("op",)
    assert settings.exchanges["b"].secret.reveal() == "a-secret"
    assert settings.nats.url == "nats://127.0.0.1:4222"


def test_the_representation_of_settings_shows_no_secret(loaded: Load) -> None:
    shown = repr(
        loaded(
            '[[service.api_keys]]\nname = "desk"\nkey = "hush-key"\n'
            '[store]\nurl = "mongodb://user:hush-pass@one/"\n'
            '[chains.op]\nchain_id = 10\nrpc_urls = ["https://two/v3/hush1234hush"]\n'
            '[exchanges.b]\nexchange = "binance"\napi_key = "hush-api"\nsecret = "hush-secret"\n'
        )
    )
    assert "hush" not in shown
    assert "desk" in shown


def test_all_secrets_of_the_file_are_known_to_those_who_mask(loaded: Load) -> None:
    settings = loaded(
        '[[service.api_keys]]\nname = "desk"\nkey = "key-one"\n'
        '[store]\nurl = "mongodb://user:pass-two@one/"\n'
        '[chains.op]\nchain_id = 10\nrpc_urls = ["https://two/v3/path3path3path3"]\nws_urls=["wss://x/?k=query4"]\n'
        '[exchanges.b]\nexchange = "binance"\napi_key = "api-five"\nsecret = "secret-six"\n'
    )
    assert {"key-one", "pass-two", "path3path3path3", "query4", "api-five", "secret-six"} <= set(settings.secrets())


def test_names_in_the_url_of_a_store_are_no_secrets_and_what_may_be_one_is(loaded: Load) -> None:
    options = "authSource=indexer2&replicaSet=rs0prod1&tls=true&tlsCertificateKeyFilePassword=hush1&unknown=hush2"
    secrets = set(loaded(CHAIN + f"[store]\nurl = 'mongodb://user:hush0@one:1/indexer2production?{options}'").secrets())
    assert {"hush0", "hush1", "hush2"} <= secrets
    assert not {"user", "indexer2", "rs0prod1", "true", "indexer2production"} & secrets
    properties = "AWS_SESSION_TOKEN:hush3"
    told = loaded(CHAIN + f"[store]\nurl = 'mongodb://one/?authMechanismProperties={properties}'").secrets()
    assert properties in set(told)


def test_twenty_mistakes_are_reported_at_once(wrong: Wrong) -> None:
    problems = wrong(
        """
        port = 80
        [servce]
        [service]
        host = "0.0.0.0"
        port = "eighty"
        log_format = "jsn"
        allow_anonymous = 0
        [[service.api_keys]]
        key = "k"
        scopes = ["reed"]
        [store]
        url = "mongdb://user:hush@h/db"
        history_days = -1
        [chains.ethereum]
        chain_id = true
        rpc_urls = ["${NOPE}", "ftp://u:hush@node", "node.example/v3/hush5678hush5678"]
        ws_urls = ["https://node"]
        toknes = []
        tokens = ["0x12", "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"]
        start_block = "soon"
        [chains.op]
        chain_id = 10
        rpc_urls = [""]
        [chains.op2]
        chain_id = 10
        rpc_urls = ["http://h:99999"]
        [solvers.acme]
        address = "0x0000000000000000000000000000000000000000"
        chains = ["etherum"]
        [exchanges.b]
        exchange = "Binance"
        api_key = ""
        """
    )
    assert set(problems) == {
        "port",
        "servce",
        "service.port",
        "service.log_format",
        "service.allow_anonymous",
        "service.api_keys[0].name",
        "service.api_keys[0].scopes[0]",
        "store.url",
        "store.history_days",
        "chains.ethereum.chain_id",
        "chains.ethereum.rpc_urls[0]",
        "chains.ethereum.rpc_urls[1]",
        "chains.ethereum.rpc_urls[2]",
        "chains.ethereum.ws_urls[0]",
        "chains.ethereum.toknes",
        "chains.ethereum.tokens[0]",
        "chains.ethereum.tokens[2]",
        "chains.ethereum.start_block",
        "chains.op.rpc_urls",
        "chains.op2.rpc_urls[0]",
        "chains.op2.chain_id",
        "solvers.acme.address",
        "solvers.acme.chains[0]",
        "exchanges.b.exchange",
        "exchanges.b.api_key",
        "exchanges.b.secret",
    }
    assert all(problem.hint and problem.message for problem in problems.values())
    told = "\n".join(map(str, problems.values()))
    assert "hush" not in told
    assert told.count("\n") == len(problems) - 1
    assert "did you mean `tokens`" in told
    assert "did you mean `ethereum`" in told
    assert "`port` belongs under `[service]`" in told
    assert problems["chains.ethereum.rpc_urls[0]"].message == "the environment variable NOPE is not set"
    assert problems["chains.ethereum.chain_id"].message == "expected an integer, got a boolean"
    assert problems["chains.ethereum.rpc_urls[1]"].value == '"ftp://***@node"'


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("chains = 5", "chains", "expected a table"),
        ("[chains]\nchain_id = 5", "chains.chain_id", "write [chains.chain_id]"),
        ("[[chains]]\nchain_id = 1", "chains", "expected a table"),
        ("", "chains", "nothing to follow"),
        (CHAIN + "service = 3", "chains.ethereum.service", "not a known key"),
        ("[chains.1]\nchain_id = 1\nrpc_urls = ['http://n']", "chains.1", "can't be a number"),
        ('[chains."a/b"]\nchain_id = 1', 'chains."a/b"', "not a name"),
        (CHAIN + "tokens = 'x'", "chains.ethereum.tokens", "expected a list"),
        (CHAIN + "tokens = [1]", "chains.ethereum.tokens[0]", "expected a string, got an integer"),
        (CHAIN + "start_block = -1", "chains.ethereum.start_block", "out of range"),
        (CHAIN + "start_block = 1.0", "chains.ethereum.start_block", "got a float"),
        (CHAIN + "start_block = 2020-01-01", "chains.ethereum.start_block", "got a date or time"),
        (CHAIN + "sync_interval_seconds = 0", "chains.ethereum.sync_interval_seconds", "out of range"),
        (CHAIN + "native_symbol = ''", "chains.ethereum.native_symbol", "empty"),
        (CHAIN + "ws_urls = ['ws://a', 'ws://a']", "chains.ethereum.ws_urls[1]", "same as chains.ethereum.ws_urls[0]"),
        (CHAIN + "ws_urls = ['ws://']", "chains.ethereum.ws_urls[0]", "no host"),
        (CHAIN + "ws_urls = ['ws://[']", "chains.ethereum.ws_urls[0]", "can't be read"),
        (CHAIN + "native_symbol = 'pa${ss'", "chains.ethereum.native_symbol", "begins no variable"),
        (CHAIN + f"[solvers.a]\naddress = '{ACME}'\nchains = []", "solvers.a.chains", "no chain at all"),
        (CHAIN + f"[solvers.a]\naddress = '{ACME}'\n[solvers.b]\naddress = '{ACME}'", "solvers.b.address", "of `a`"),
        (CHAIN + "[solvers.a]", "solvers.a.address", "missing"),
        (CHAIN + "[service]\nhost = 'http://x'", "service.host", "no host"),
        (CHAIN + "[service]\nhost = '::'", "service.host", "nobody would have to show a key"),
        (CHAIN + "[service]\nport = 65536", "service.port", "out of range"),
        (CHAIN + "[service]\nport = true", "service.port", "got a boolean"),
        (CHAIN + "[service]\ndata_dir = ''", "service.data_dir", "empty"),
        (CHAIN + "[service]\ndata_dir = '~nobody-at-all/x'", "service.data_dir", "no such user"),
        (CHAIN + "[service]\napi_keys = 5", "service.api_keys", "list of tables"),
        (CHAIN + "[service]\napi_keys = [5]", "service.api_keys[0]", "expected a table"),
        (CHAIN + "[[service.api_keys]]\nname = 'a'\nkey = 'a b'", "service.api_keys[0].key", "blank"),
        (CHAIN + KEY + "scopes = []", "service.api_keys[0].scopes", "it is []"),
        (CHAIN + KEY + "scopes = ['${SCOPES:-}']", "service.api_keys[0].scopes", "opens nothing"),
        (CHAIN + "[store]\nurl = 'embeded'", "store.url", "no store"),
        (CHAIN + "[store]\nurl = 'mongodb://'", "store.url", "no store"),
        (CHAIN + "[store]\nurl = 'mongodb://u:hush-pass@'", "store.url", "no store"),
        (CHAIN + "[service]\nmaster_key = 'hush-short'", "service.master_key", "shorter than 16"),
        (CHAIN + "[store]\ndatabase = 'admin'", "store.database", "MongoDB's own"),
        (CHAIN + "[store]\nurl = 'mongodb://h:99999/x'", "store.url", "no store"),
        (CHAIN + "[store]\nurl = 'mongodb://h:99999/?appName=a@b'", "store.url", "no store"),
        (CHAIN + "[store]\nurl = 'mongodb+srv://one.example:1/'", "store.url", "no store"),
        (CHAIN + "[store]\ndatabase = 'a.b'", "store.database", "can't be used"),
        (CHAIN + "[nats]\nurl = 'http://h'", "nats.url", "nats://"),
        (CHAIN + "[nats]\nurl = 'nats://a,b'", "nats.url", "nats://"),
        (CHAIN + "[nats]\nurl = 'nats://u:p@a'\ntoken = 't'", "nats.url", "another way to log in: token"),
        (CHAIN + "[nats]\nuser = 'u'\npassword = 'p'\ntoken = 't'", "nats.token", "another way to log in: user"),
        (CHAIN + "[nats]\nuser = 'u'", "nats.password", "is missing"),
        (CHAIN + "[nats]\npassword = 'p'", "nats.user", "is missing"),
        (CHAIN + "[nats]\ncredentials_file = 'none.creds'", "nats.credentials_file", "no such file"),
        (CHAIN + "[nats]\nstream = 'a.b'", "nats.stream", "can't be used"),
        (CHAIN + "[nats]\nstream_replicas = 6", "nats.stream_replicas", "out of range"),
        (CHAIN + "[nats]\nstart = 'old'", "nats.start", "not known"),
    ],
)
def test_a_mistake_is_told_with_its_key(wrong: Wrong, text: str, key: str, message: str) -> None:
    problems = wrong(text)
    assert list(problems) == [key], problems
    assert message in str(problems[key])


def test_a_private_key_in_the_place_of_an_address_is_not_repeated(wrong: Wrong) -> None:
    problems = wrong(CHAIN + f"tokens = ['0x{'ab' * 32}']")
    assert "abab" not in str(problems["chains.ethereum.tokens[0]"])


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("mongodb://h:99999/x", "a port is a number from 1 to 65535"),
        ("mongodb://one:27017,two:0/x", "a port is a number from 1 to 65535"),
        ("mongodb+srv://one.example:1/", "leave the port out: mongodb+srv:// has the name server tell it"),
        ("mongodb://", "write its host, as in mongodb://127.0.0.1:27017"),
        ("mongodb://u:hush-pass@", "write its host, as in mongodb://127.0.0.1:27017"),
        ("mongodb://a b/", "write its host, as in mongodb://127.0.0.1:27017"),
        ("redis://h", 'write "embedded", "memory", or a URL that begins with mongodb:// or mongodb+srv://'),
    ],
)
def test_a_store_that_is_none_is_told_with_what_to_write_instead(wrong: Wrong, url: str, hint: str) -> None:
    assert wrong(CHAIN + f"[store]\nurl = '{url}'")["store.url"].hint == hint


def test_the_value_of_an_unknown_key_is_not_shown(wrong: Wrong) -> None:
    problems = wrong(CHAIN + "[exchanges.b]\nexchange = 'x'\napi_key = 'k'\nsecret = 's'\nsecrett = 'hush'")
    assert "hush" not in str(problems["exchanges.b.secrett"])
    assert "did you mean `secret`" in str(problems["exchanges.b.secrett"])


def test_every_server_and_secret_of_nats_is_read_and_none_is_shown(loaded: Load, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    urls = "tls://desk:p%40ss-1234@a:4222, nats://token-5678@b"
    settings = loaded(CHAIN + f"[nats]\nurl = '{urls}'\ntls_ca_file = '{tmp_path}/ca.pem'\nstream_days = 0")
    assert settings.nats.urls == ("tls://desk:p%40ss-1234@a:4222", "nats://token-5678@b")
    assert {"p@ss-1234", "token-5678"} <= set(settings.secrets())
    assert settings.nats.tls_ca_file == tmp_path / "ca.pem"
    assert "1234" not in repr(settings)
    assert "5678" not in repr(settings)


def _pair(folder: Path, name: str, *, password: str = "") -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(called, called, key.public_key(), x509.random_serial_number(), now, now)
    pem = serialization.Encoding.PEM
    (folder / f"{name}.pem").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(pem))
    packing = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    (folder / f"{name}.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, packing))
    return name


def test_a_certificate_for_nats_comes_with_its_own_key(loaded: Load, wrong: Wrong, tmp_path: Path) -> None:
    def pair(certificate: str, key: str) -> str:
        files = f"tls_certificate_file = '{certificate}.pem'\ntls_key_file = '{key}.key'"
        return CHAIN + f"[nats]\nurl = 'tls://a'\n{files}"

    one, other = (_pair(tmp_path, name) for name in ("one", "other"))
    locked = _pair(tmp_path, "locked", password="hush")
    assert loaded(pair(one, one)).nats.tls_key_file == tmp_path / "one.key"
    mismatched = wrong(pair(one, other))["nats.tls_key_file"]
    assert mismatched.message == "can't be used with tls_certificate_file: key values mismatch"
    assert "can't be used" in wrong(pair(locked, locked))["nats.tls_key_file"].message
    (tmp_path / "none.pem").write_text("nothing")
    (tmp_path / "none.key").write_text("nothing")
    assert list(wrong(pair("none", one))) == ["nats.tls_key_file"]
    assert list(wrong(pair(one, "none"))) == ["nats.tls_key_file"]


def test_two_api_keys_need_two_names_and_two_keys(wrong: Wrong) -> None:
    row = "[[service.api_keys]]\nname = 'a'\nkey = 'k'\n"
    assert list(wrong(CHAIN + row + row)) == ["service.api_keys[1].name", "service.api_keys[1].key"]


def test_a_key_of_which_no_scopes_are_said_may_read(loaded: Load) -> None:
    assert loaded(CHAIN + KEY).service.api_keys[0].scopes == ("read",)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "::1"])
def test_this_machine_alone_needs_no_key(loaded: Load, host: str) -> None:
    assert loaded(CHAIN + f"[service]\nhost = '{host}'").service.host == host


@pytest.mark.parametrize("guard", ["allow_anonymous = true", "[[service.api_keys]]\nname = 'a'\nkey = 'k'"])
def test_other_hosts_are_fine_with_a_key_or_when_said_so(loaded: Load, guard: str) -> None:
    assert loaded(CHAIN + f"[service]\nhost = '0.0.0.0'\n{guard}").service.host == "0.0.0.0"


def test_the_environment_fills_numbers_booleans_and_lists(loaded: Load) -> None:
    settings = loaded(
        "[service]\nport = '${PORT}'\nallow_anonymous = '${OPEN}'\nlog_format = '${FORMAT:-}'\n"
        "[chains.e]\nchain_id = '${ID:-5}'\nrpc_urls = ['${A}', '${B:-}', 'http://x/${C:-c}']",
        {"PORT": "81", "OPEN": "true", "A": "http://a", "B": ""},
    )
    assert settings.service.port == 81
    assert settings.service.allow_anonymous is True
    assert settings.service.log_format == "auto"
    assert settings.chains["e"].chain_id == 5
    assert settings.chains["e"].rpc_urls == ("http://a", "http://x/c")


def test_a_text_in_the_file_is_no_number(wrong: Wrong) -> None:
    assert "got a string" in str(wrong(CHAIN + "[service]\nport = '81'")["service.port"])


def test_an_unset_variable_is_told_once_and_only_there(wrong: Wrong) -> None:
    problems = wrong("[chains.e]\nchain_id = '${ID}'\nrpc_urls = ['${A}${B}']")
    assert list(problems) == ["chains.e.chain_id", "chains.e.rpc_urls[0]"]


def test_a_syntax_error_is_told_with_its_line(wrong: Wrong, tmp_path: Path) -> None:
    problems = wrong("[service]\nport = = 1\n")
    assert list(problems) == [f"{tmp_path / 'chains.toml'}:2"]


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "9" * 5_000, "a = 0x" + "f" * 5_000])
def test_what_is_beyond_all_measure_is_refused_like_anything_else(wrong: Wrong, text: str) -> None:
    assert wrong(text)


def test_a_huge_number_is_out_of_range(wrong: Wrong) -> None:
    assert wrong(CHAIN + "start_block = 0x" + "f" * 5_000)["chains.ethereum.start_block"].value == "a huge number"


_KEYS = sorted({field.name for kind in (*SECTIONS.values(), ApiKey) for field in fields(kind)})
_VALUES = st.recursive(
    st.one_of(
        st.none().map(lambda _: ACME),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.datetimes(),
        st.text(max_size=20),
        st.sampled_from(
            ["http://", "ws://[", "${A}", "${B:-}", "${", "latest", "embedded", "mongodb://h", "::1", "~x"]
        ),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    max_leaves=12,
)
_SECTIONS = st.sampled_from(["service", "store", "chains", "solvers", "exchanges", "rules", "nats", "x"])


@given(st.dictionaries(_SECTIONS, st.dictionaries(st.sampled_from([*_KEYS, "a b", ""]), _VALUES, max_size=4)))
def test_whatever_stands_in_the_file_it_is_settings_or_problems(tree: dict[str, Any]) -> None:
    problems: tuple[Problem, ...] = ()
    with patch("indexer.config.load.tomllib.loads", return_value=tree):
        try:
            load(EXAMPLE, {"A": "http://a"})
        except ConfigError as error:
            problems = error.problems
    assert problems or tree.get("chains") or tree.get("exchanges")
    assert [str(problem) for problem in problems if not str(problem).isprintable()] == []


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="indexer init"):
        load(tmp_path / "nothing.toml", {})


def test_a_folder_and_a_binary_are_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        load(tmp_path, {})
    (tmp_path / "binary").write_bytes(b"\xff\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "binary", {})


def test_a_byte_order_mark_does_no_harm(loaded: Load) -> None:
    assert loaded("\ufeff" + CHAIN).chains
