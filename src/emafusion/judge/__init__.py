"""Stage 6: how far a draft can be trusted."""

from __future__ import annotations

from emafusion.judge.agreement import AgreementJudge
from emafusion.judge.bench import Bench
from emafusion.judge.comparison import ComparisonJudge, screened
from emafusion.judge.guarantee import Guarantee
from emafusion.judge.logprob import LogprobJudge
from emafusion.judge.model import ModelJudge
from emafusion.judge.panel import CalibratedPanel
from emafusion.judge.rules import RulesJudge
from emafusion.judge.unread import Unread

__all__ = [
    "AgreementJudge",
    "Bench",
    "CalibratedPanel",
    "ComparisonJudge",
    "Guarantee",
    "LogprobJudge",
    "ModelJudge",
    "RulesJudge",
    "Unread",
    "screened",
]
