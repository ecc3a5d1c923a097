"""The nouns that the stages exchange: frozen values, no behaviour beyond reading themselves.

Values are :class:`msgspec.Struct`: frozen, slotted, keyword-only, and encoded to and from JSON with
no further code, so a decision is logged, explained and replayed from the very object that was used.
This package does not know how any of them is made.
"""

from msgspec.structs import replace

from emafusion.types.feedback import Feedback
from emafusion.types.forecasts import Context, Estimate, Forecast, Labels, log_odds
from emafusion.types.models import Model, Usage
from emafusion.types.outcomes import (
    Answer,
    Assessment,
    Call,
    Chunk,
    Completion,
    Draft,
    Origin,
    Outcome,
    Piece,
    Step,
    Verdict,
)
from emafusion.types.plans import (
    Adaptive,
    Arranged,
    Branch,
    Cascade,
    Decompose,
    Fusion,
    Part,
    Plan,
    Single,
    Split,
    Synthesis,
    Tier,
)
from emafusion.types.protection import CLASSES, DataClass, Findings, highest
from emafusion.types.requests import Clearance, Knobs, Request, Turn, content_text
from emafusion.types.values import (
    AXES,
    Arrangement,
    Axis,
    Json,
    Message,
    Probability,
    Purpose,
    Value,
    Visibility,
)

__all__ = [
    "AXES",
    "CLASSES",
    "Adaptive",
    "Answer",
    "Arranged",
    "Arrangement",
    "Assessment",
    "Axis",
    "Branch",
    "Call",
    "Cascade",
    "Chunk",
    "Clearance",
    "Completion",
    "Context",
    "DataClass",
    "Decompose",
    "Draft",
    "Estimate",
    "Feedback",
    "Findings",
    "Forecast",
    "Fusion",
    "Json",
    "Knobs",
    "Labels",
    "Message",
    "Model",
    "Origin",
    "Outcome",
    "Part",
    "Piece",
    "Plan",
    "Probability",
    "Purpose",
    "Request",
    "Single",
    "Split",
    "Step",
    "Synthesis",
    "Tier",
    "Turn",
    "Usage",
    "Value",
    "Verdict",
    "Visibility",
    "content_text",
    "highest",
    "log_odds",
    "replace",
]
