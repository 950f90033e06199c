"""What is wrong with integration services, judged from facts of both ends: pure functions, no machine is asked."""

from hvintegration.diagnosis.judging import diagnose, refuse_others
from hvintegration.diagnosis.rule import Rule
from hvintegration.diagnosis.table import RULES

__all__ = ["RULES", "Rule", "diagnose", "refuse_others"]
