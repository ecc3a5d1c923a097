"""Families of questions with computed answers, for training and testing routers."""

from emafusion.learn.families.family import Family, Item, Split, split_of
from emafusion.learn.families.generation import FAMILIES, generate

__all__ = ["FAMILIES", "Family", "Item", "Split", "generate", "split_of"]
