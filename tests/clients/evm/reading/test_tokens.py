from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.clients.evm.node import EvmNode
from indexer.clients.evm.reading.tokens import decimals_of, text_of
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed, deploy
from indexer.domain.chain import Address, BlockHash, TokenInfo
from indexer.domain.tokens import NOTHING_TOLD
from indexer.errors import NotAToken
from tests.clients.evm.builders import node_at
from tests.clients.evm.reading.test_unreadable import Alter, altered

DUSD = TokenInfo(6, "DUSD", "Demo Dollar")


def abi_string(raw: bytes, offset: int = 32, size: int | None = None) -> bytes:
    length = len(raw) if size is None else size
    return offset.to_bytes(32) + length.to_bytes(32) + raw + bytes(-len(raw) % 32)


async def described(
    node: EvmNode, token: Address, known: TokenInfo = NOTHING_TOLD, block: BlockHash | None = None
) -> TokenInfo:
    return (await node.describe({token: known}, block or (await node.newest()).hash))[token]


def saying(decimals: int | None) -> Alter:
    """As a node on which a token's `decimals` are so many; nothing for a node that has lost its contracts."""
    word = "0x" if decimals is None else f"0x{decimals:064x}"

    def alter(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        said = str(call["params"])
        is_it = call["method"] == "eth_call" and ("313ce567" in said if decimals is not None else True)
        is_code = call["method"] == "eth_getCode" and decimals is None
        return {"jsonrpc": "2.0", "id": call["id"], "result": word} if is_it or is_code else answer

    return alter


@pytest.mark.node
async def test_who_tells_nothing_of_a_token_is_not_believed_while_another_tells(anvil: Anvil, token: Deployed) -> None:
    await anvil.mine()
    async with altered(anvil, saying(None)) as mute:
        async with node_at(mute.url, anvil.http_url) as node:
            assert await described(node, token.address) == DUSD
            assert await node.probe(token.address, (await node.newest()).hash) == DUSD
        async with node_at(mute.url) as node:
            assert await described(node, token.address) == TokenInfo()
            assert await described(node, token.address, DUSD) == DUSD
            with pytest.raises(NotAToken):
                await node.probe(token.address, (await node.newest()).hash)


@pytest.mark.node
async def test_a_token_that_says_something_else_is_believed_once_everybody_says_so(
    anvil: Anvil, token: Deployed
) -> None:
    await anvil.mine()
    known = TokenInfo(8, "DUSD", "Demo Dollar")
    async with altered(anvil, saying(7)) as other, node_at(other.url, anvil.http_url) as node:
        assert await described(node, token.address, known) == known
    async with node_at(anvil.http_url) as node:
        assert await described(node, token.address, known) == DUSD


@pytest.mark.node
async def test_what_a_token_says_is_asked_at_the_block_that_is_named(anvil: Anvil) -> None:
    changing = await deploy(anvil, "BoastfulToken")
    await changing.send("say", bytes.fromhex("95d89b41"), abi_string(b"OLD"))
    await anvil.mine()
    async with node_at(anvil.http_url) as node:
        before = (await node.newest()).hash
        await changing.send("say", bytes.fromhex("95d89b41"), abi_string(b"NEW"))
        await anvil.mine()
        assert await described(node, changing.address, block=before) == TokenInfo(symbol="OLD")
        assert await described(node, changing.address) == TokenInfo(symbol="NEW")


@pytest.mark.node
async def test_metadata_is_read_in_its_common_forms(anvil: Anvil, token: Deployed) -> None:
    old = await deploy(anvil, "Bytes32Token")
    bare = await deploy(anvil, "BareToken")
    async with node_at(anvil.http_url) as node:
        block = (await node.newest()).hash
        assert await node.describe(dict.fromkeys((token.address, old.address, bare.address), TokenInfo()), block) == {
            token.address: TokenInfo(6, "DUSD", "Demo Dollar"),
            old.address: TokenInfo(18, "MKR", "Maker"),
            bare.address: TokenInfo(),
        }
        assert await node.probe(token.address, block) == TokenInfo(6, "DUSD", "Demo Dollar")
        assert await node.probe(bare.address, block) == TokenInfo()


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
        assert await described(node, liar.address) == TokenInfo(None, None, "short")


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
            await node.probe(odd.address, (await node.newest()).hash)


@pytest.mark.node
async def test_an_address_without_code_is_no_token(anvil: Anvil, wallet: Address) -> None:
    async with node_at(anvil.http_url) as node:
        with pytest.raises(NotAToken, match="no code"):
            await node.probe(wallet, (await node.newest()).hash)
        largest = await deploy(anvil, "OddToken", 32, 0)
        assert await node.probe(largest.address, (await node.newest()).hash) == TokenInfo()


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
