"""Measuring: questions, graders, datasets, replay and metrics."""

from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import AXES, Question

__all__ = ["AXES", "Grader", "Question"]
