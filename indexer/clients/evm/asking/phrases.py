"""Words in which nodes and providers refuse: a line for each, with who says it (`wording.py` says what it means).

Patterns of texts in lower case, searched anywhere in them. Whole texts, as they were met, stand in the tests.
"""

from __future__ import annotations

from typing import Final

Phrases = tuple[tuple[str, str], ...]
"""Who says it, and a pattern of what they say."""

_BEFORE: Final = (
    r"^(?:\[[^\]]*\]|[\s:;='\"-]|\d|error|err|internal|returned|server|response|json|rpc|code|desc|unknown"
    r"|invalidargument|evm|vm|eth_call|call|failed|node|an)*"
)
"""What nodes and those between put before a revert; other words before it, and it is their text, not the contract's."""

REVERTED: Final[Phrases] = (
    ("geth, erigon, reth, besu, nitro", _BEFORE + r"execution reverted\b"),
    ("hardhat, ganache, moonbeam", _BEFORE + r"vm exception while processing transaction: (transaction )?revert"),
    ("hardhat, conflux", _BEFORE + r"transaction (execution )?reverted\b"),
    ("parity, nethermind (the reason is data)", r"^vm (execution )?error\.?: *revert"),
    ("openethereum", r"^the execution failed due to an exception\.?: *revert"),
    ("parity, alchemy, tron", r"^revert(ed)?( 0x| opcode|:|$)"),
    ("filecoin", r"^message execution failed .*revert reason="),
    ("geth, a contract that calls itself for ever", r"^stack limit reached \d"),
)
"""A contract's own refusal. What follows is its author's text, which may say anything, so these come first of all."""

ABOVE_THE_HEAD: Final[Phrases] = (
    ("geth", r"beyond (the )?(current )?head"),
    ("arbitrum", r"block .*in the future"),
    ("cosmos", r"height in the future"),
)
"""A range that ends above the node's head is no size, though some speak of one."""

TOO_OLD: Final[Phrases] = (
    ("maticvigil", r"block ?height too far in the past"),
    ("filecoin", r"lookbacks of more than"),
)
"""And neither is one that begins too far below it."""

TOO_LARGE: Final[Phrases] = (
    # A batch; "too many requests in a batch" is no throttling.
    ("geth, erigon", r"batch (request )?(size|limit|too|of more|length)|batch.*(exceed|too (large|many|big))"),
    ("erigon, alchemy", r"too many (requests|calls) in (a |the )?(single )?batch"),
    # An answer.
    (
        "geth, nginx, optimism",
        r"(response|result|payload|body|content|message|request)( (size|length|entity))?( is)? too (large|big)",
    ),
    ("alchemy, ankr", r"(response|result|payload|body|content|message|request) (size|length) exceed"),
    ("conflux", r"(query|result) set (exceed|(to be queried )?is too large)"),
    ("some", r"result window is too large"),
    ("1rpc", r"response size should not"),
    # Logs found; "exceeds 10000 results" is no rate limit.
    (
        "infura, quicknode, thirdweb",
        r"(more than|exceeds?|limited to|maximum( of)?) \d[\d,_k]* (results|logs|blocks|events|topics|addresses)",
    ),
    ("some", r"limit of [\d,]+ (results|logs|blocks)"),
    ("nethermind, fantom", r"too many (results|logs|topics|addresses|blocks)"),
    ("erigon, llama", r"exceeds? (the )?(max(imum)? )?(number of )?(results|topics|addresses|logs|block)"),
    ("erigon, alchemy", r"max results|log response size|query (exceeds|returned more)|logs over more than"),
    ("some", r"(logs|results) count exceed|logs (are )?limited to"),
    # Addresses and topics.
    ("publicnode, 1rpc", r"(specify|less number of) (an )?address"),
    ("infura", r"query contains \d+ filters"),
    # Blocks.
    ("alchemy, ankr, base, chainstack, publicnode, scroll", r"block range"),
    ("besu, cloudflare, merkle", r"range (is )?too (large|wide)"),
    ("quicknode, blast, 1rpc", r"(eth_getlogs|eth_newfilter) (is|are) limited to"),
    ("tenderly, tron", r"range limit"),
    ("infura", r"range \d+ exceeds"),
    ("blast", r"exceeds the range"),
    ("kroma", r"range (is )?(greater|bigger|larger) than"),
    ("maticvigil", r"range of blocks"),
    ("drpc", r"ranges over \d"),
    ("coinbase", r"limit(ed)? the query to"),
    ("ankr", r"blocks distance"),
    ("a public node", r"wide blocks? range"),
    ("avalanche, energy web", r"requested (more than|blocks is) \d"),
    ("thirdweb", r"number of (requested )?blocks (is|exceed)"),
    ("harmony", r"must be smaller than size"),
    ("oasis", r"max allowed of rounds"),
    ("filecoin", r"too far apart"),
    ("some", r"block (span|interval)|smaller (from/to )?range"),
)

OUT_OF_GAS: Final[Phrases] = (
    ("geth, reth, parity", r"out ?of ?gas"),
    ("geth", r"gas (required )?exceeds|gas (cap|limit|allowance)"),
    ("besu", r"exceeds (the )?gas"),
)

TIMED_OUT: Final[Phrases] = (
    ("geth, bor", r"execution (aborted|timeout)|evm timeout"),
    ("getblock, infura", r"query timeout|timeout exceeded"),
    ("geth, drpc", r"timed? ?out"),
    ("erigon", r"deadline exceeded"),
)
"""Said of what is too much for them, and of anything at all by those that are ill."""

STATE_GONE: Final[Phrases] = (
    ("geth, bsc, polygon", r"missing trie node|missing state"),
    ("geth", r"historical state|state (is )?(not |un)available|state .*not (available|found)|metadata is not found"),
    ("geth, before it has indexed them", r"state histories"),
    ("geth, reth, erigon, nethermind, sei, zksync, parity", r"pruned|pruning"),
    ("erigon", r"history is available from|purged for block"),
    ("reth, op-reth, base", r"no state found for (block|hash|number)|statefor(hash|number)notfound"),
    ("reth", r"proof window"),
    ("nethermind", r"no state available"),
    ("besu", r"world ?state"),
    ("nitro, which says limit exceeded", r"state recreation"),
    ("nitro", r"unsupported block number"),
    ("op-geth", r"no historical rpc|historical backend|pre-bedrock|no historical proofs"),
    ("cosmos, evmos, 0g", r"failed to load state at height|no commit info|version does not exist"),
    ("sei", r"evm module does not exist on height"),
    ("cosmos", r"height not available"),
    ("moonbeam", r"state already discarded"),
    ("filecoin", r"failed to load state tree|failed to compute tipset state"),
    ("fantom", r"unexpected state root"),
    ("fantom, harmony", r"trie does not contain"),
    ("bsc", r"empty reader set"),
    ("some", r"(state|history|data) (is )?only available for the last|historical data|failed to find state root"),
    ("chainstack, drpc, publicnode, infura", r"archiv(e|al)"),
)

BLOCK_UNKNOWN: Final[Phrases] = (
    ("geth, besu, the engine api", r"unknown (block|header|hash|ancestor)|no block with"),
    ("anvil", r"block ?out ?of ?range|resource not found"),
    (
        "geth, besu, reth, nethermind, zksync",
        r"(block|header|hash).*(not found|not exist|n't exist|unknown|not (currently )?canonical)",
    ),
    ("erigon", r"(can ?not|can't|could not) (find|be found).*block|block height passed is invalid"),
    ("nethermind, openethereum", r"block.*(can ?not|could not) be found"),
    ("a public node", r"requested data not available|height must be less than"),
    ("avalanche", r"query unfinalized|after last accepted block"),
    ("evmos", r"height \d+ is not available"),
    ("some", r"(higher|greater) than (the )?latest"),
    ("filecoin", r"requested a future epoch"),
)

THROTTLED: Final[Phrases] = (
    ("infura, ankr, tenderly, base", r"rate.?limit|request rate"),
    ("drpc says request, the others requests", r"too many requests?\b|too many concurrent|concurrent requests"),
    ("quicknode, infura", r"requests? (count|limit)|daily (request|limit)"),
    ("quicknode", r"limited to [\d,]+( \w+)? ?(/|per )(s|m|h|d)|credits"),
    ("chainstack", r"usage limit"),
    ("chainstack, ankr", r"\b[rq]ps limit|(requests|calls) per second|maximum requests|max requests"),
    ("alchemy", r"capacity|compute units|throughput"),
    ("1rpc, pokt", r"quota|throttl"),
    ("blast", r"reached the free (tier|plan)"),
    ("ankr", r"we can't execute this request"),
    ("nodereal, bsc, getblock", r"limit (was |is )?(exceeded|reached)|exceeded.*limit|cups exceeded"),
    ("public nodes", r"slow down|too much load|backend is busy"),
)

NOBODY_THERE: Final[Phrases] = (
    ("optimism's proxyd", r"no backend|(not|un)healthy"),
    ("polygon", r"tenant disabled"),
    ("cloudflare", r"cannot fulfill request"),
    ("erpc", r"no server available"),
    ("ankr", r"not allowed to access blockchain"),
)

CALL_FAILED: Final[Phrases] = (
    ("geth", r"invalid opcode|invalid jump|stack (under|over)"),
    ("reth, anvil", r"evm error"),
    ("parity, nethermind", r"vm execution error|bad (jump|instruction)"),
    ("openethereum", r"the execution failed due to an exception"),
    # Last of all, and only of what runs: a node may revert to a snapshot.
    ("some", r"\b(contract|call|transaction|execution|message) (was |has been )?revert"),
)

UNSUPPORTED: Final[Phrases] = (
    (
        "geth, quicknode, proxies",
        r"method .*(not found|not (available|supported|exist|whitelisted|included)|unavailable)",
    ),
    ("ankr", r"not allowed to access method"),
    ("many", r"unsupported|not supported"),
    ("geth, reth", r"too many (arguments|parameters|params)|invalid (argument|params|parameters|number of)|override"),
)
