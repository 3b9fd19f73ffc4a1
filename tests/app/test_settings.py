"""The file's words in the words of those who act on them."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

from indexer.app.settings import rules_of
from indexer.config import RulesSettings
from indexer.config.settings import Rule, Severity
from indexer.domain.accounts.changes import ChangeThreshold
from indexer.domain.accounts.facts import AlertKind
from indexer.domain.accounts.facts import Severity as Told
from indexer.domain.accounts.judging import Rules
from indexer.domain.accounts.validation import Exceptions, Thresholds


def test_what_is_not_configured_is_as_the_domain_has_it() -> None:
    assert rules_of(RulesSettings(), Exceptions()) == Rules()


def test_the_configuration_knows_the_rules_and_severities_of_the_domain() -> None:
    assert set(get_args(Rule)) <= set(get_args(AlertKind))
    assert get_args(Severity) == get_args(Told)


def test_every_rule_can_be_set() -> None:
    settings = RulesSettings(Decimal(1), Decimal(2), Decimal(3), Decimal(4), Decimal(5), Decimal(6), 7, 8, 9)
    rules = rules_of(settings, Exceptions())
    assert rules.change == ChangeThreshold(Decimal(1), Decimal(2))
    assert rules.thresholds == Thresholds(Decimal(3), Decimal(4), Decimal(5), Decimal(6), 7, 8, 9)
