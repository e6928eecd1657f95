"""The command line in parts: one module a command, each with `add(commands)`."""
