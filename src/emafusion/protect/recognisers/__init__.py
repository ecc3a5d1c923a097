"""Finds values that have a form: by pattern, check digit and the words before them."""
