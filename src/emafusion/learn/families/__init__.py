"""Families of questions with computed answers, for training and testing routers."""

from emafusion.learn.families.family import Family, Item, split_of_item
from emafusion.learn.families.generation import FAMILIES, generate
from emafusion.learn.families.splits import SHARES, Split, split_of

__all__ = [
    "FAMILIES",
    "SHARES",
    "Family",
    "Item",
    "Split",
    "generate",
    "split_of",
    "split_of_item",
]
