"""Keeps secrets out of whatever is shown: logs, problems, answers of the API."""

from indexer.masking.known import Masker
from indexer.masking.secret import MASK, SHORTEST_MASTER_KEY, Secret
from indexer.masking.urls import Url, looks_like_key, mask_text, mask_url, url_secrets

__all__ = [
    "MASK",
    "SHORTEST_MASTER_KEY",
    "Masker",
    "Secret",
    "Url",
    "looks_like_key",
    "mask_text",
    "mask_url",
    "url_secrets",
]
