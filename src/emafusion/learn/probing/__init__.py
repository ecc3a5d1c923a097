"""A new model joins a fitted policy from a few answers; nothing else is retrained."""
