"""A venue that can lie: one truth, many languages, every fault that exchanges are known for."""

from indexer.demo.venue.faults import NONE, Faults, drawn
from indexer.demo.venue.life import Life
from indexer.demo.venue.state import Account, Amounts, Change
from indexer.demo.venue.venue import Venue

__all__ = ["NONE", "Account", "Amounts", "Change", "Faults", "Life", "Venue", "drawn"]
