"""``emafusion serve`` with everything on: keys, budgets, rates, caches, workers, real databases."""
