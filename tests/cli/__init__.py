"""What the command line promises, in this process and in real ones."""
