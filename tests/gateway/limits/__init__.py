"""Rate limits and load shedding; what is shared is shared through a real Valkey."""
