"""Raw integer amounts and the scaled form that people read; no float ever holds money."""

from __future__ import annotations

from decimal import Context, Decimal

_EXACT = Context(prec=400)
"""A uint256 has 78 digits and `decimals` goes to 255: 400 never rounds."""


def scaled(raw: int, decimals: int | None) -> Decimal | None:
    """`raw` divided by ten to the `decimals`, exactly; nothing where the token does not tell its decimals."""
    return None if decimals is None else Decimal(raw).scaleb(-decimals, _EXACT)


def plain(amount: Decimal | None) -> str | None:
    """The number without exponent and without trailing zeros; zero has no sign."""
    if amount is None:
        return None
    if not amount:
        return "0"
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def amount_text(raw: int, decimals: int | None) -> str | None:
    """`raw` scaled, as the API shows it."""
    return plain(scaled(raw, decimals))
