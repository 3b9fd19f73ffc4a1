from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.clients.evm.tokens import decimals_of, text_of
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed, deploy
from indexer.domain.chain import Address, TokenInfo
from indexer.errors import NotAToken
from tests.clients.builders import node_at


def abi_string(raw: bytes, offset: int = 32, size: int | None = None) -> bytes:
    length = len(raw) if size is None else size
    return offset.to_bytes(32) + length.to_bytes(32) + raw + bytes(-len(raw) % 32)


@pytest.mark.node
async def test_metadata_is_read_in_its_common_forms(anvil: Anvil, token: Deployed) -> None:
    old = await deploy(anvil, "Bytes32Token")
    bare = await deploy(anvil, "BareToken")
    async with node_at(anvil.http_url) as node:
        assert await node.describe(token.address) == TokenInfo(6, "DUSD", "Demo Dollar")
        assert await node.describe(old.address) == TokenInfo(18, "MKR", "Maker")
        assert await node.describe(bare.address) == TokenInfo()
        assert await node.probe(token.address) == TokenInfo(6, "DUSD", "Demo Dollar")
        assert await node.probe(bare.address) == TokenInfo()


@pytest.mark.node
async def test_a_token_that_lies_about_itself_is_believed_in_nothing(anvil: Anvil) -> None:
    liar = await deploy(anvil, "BoastfulToken")
    selectors = {"decimals": "313ce567", "symbol": "95d89b41", "name": "06fdde03"}
    says = {
        "decimals": (2**255).to_bytes(32),
        "symbol": abi_string(b"", offset=2**200),
        "name": abi_string(b"short", size=2**255),
    }
    for what, answer in says.items():
        await liar.send("say", bytes.fromhex(selectors[what]), answer)
    await anvil.mine()
    async with node_at(anvil.http_url) as node:
        assert await node.describe(liar.address) == TokenInfo(None, None, "short")


@pytest.mark.node
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ((31, 0), "31 bytes"),
        ((64, 0), "64 bytes"),
        ((0, 0), "no bytes"),
        ((0, 1), "no balances here"),
        ((0, 2), "fails"),
    ],
)
async def test_what_is_no_token_is_refused_with_the_reason(anvil: Anvil, kind: tuple[int, int], reason: str) -> None:
    odd = await deploy(anvil, "OddToken", *kind)
    async with node_at(anvil.http_url) as node:
        with pytest.raises(NotAToken, match=reason):
            await node.probe(odd.address)


@pytest.mark.node
async def test_an_address_without_code_is_no_token(anvil: Anvil, wallet: Address) -> None:
    async with node_at(anvil.http_url) as node:
        with pytest.raises(NotAToken, match="no code"):
            await node.probe(wallet)
        largest = await deploy(anvil, "OddToken", 32, 0)
        assert await node.probe(largest.address) == TokenInfo()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (abi_string(b"USDC"), "USDC"),
        (abi_string("₿ü".encode()), "₿ü"),
        (abi_string(b"a\x00b\x1b[31mc\n d\xe2\x80\xaee"), "ab[31mc de"),
        (abi_string(b"\xff\xfe"), "��"),
        (abi_string(b"   "), None),
        (abi_string(b""), None),
        (b"MKR".ljust(32, b"\0"), "MKR"),
        (bytes(32), None),
        (b"", None),
        (b"\1" * 5, None),
        (abi_string(b"x" * 5_000), "x" * 32),
    ],
)
def test_texts_are_cleaned_and_bounded(raw: bytes, said: str | None) -> None:
    assert text_of(raw, 32) == said


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reading_of_a_text(raw: bytes) -> None:
    said = text_of(raw, 32)
    assert said is None or (0 < len(said) <= 32 and said.isprintable())


@pytest.mark.parametrize(("value", "decimals"), [(0, 0), (18, 18), (255, 255), (256, None), (2**256 - 1, None)])
def test_decimals_are_a_byte_or_nothing(value: int, decimals: int | None) -> None:
    assert decimals_of(value.to_bytes(32)) == decimals


def test_decimals_need_exactly_one_word() -> None:
    assert decimals_of(b"") is None
    assert decimals_of(bytes(64)) is None
