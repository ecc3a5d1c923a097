"""Exact and semantic caches; what is shared is shared through a real Valkey."""
