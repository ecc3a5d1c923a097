"""Tests of keys, teams and budgets."""
