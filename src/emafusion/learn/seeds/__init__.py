"""From a few seed templates to many prompts: read, fill, vary, grade, steer, tell apart."""

from emafusion.learn.seeds.coverage import Leaks
from emafusion.learn.seeds.drawing import Report, draw
from emafusion.learn.seeds.reading import Source, read
from emafusion.learn.seeds.seed import FamilySeed, Seed, Wording

__all__ = ["FamilySeed", "Leaks", "Report", "Seed", "Source", "Wording", "draw", "read"]
