"""What the demo promises: honest figures, on any set of questions, however it ends."""
