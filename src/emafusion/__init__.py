"""emafusion."""
