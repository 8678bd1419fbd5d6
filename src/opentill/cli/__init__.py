"""The command line, and the wiring of a process."""
