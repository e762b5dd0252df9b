"""Writes, SIGKILLs, restarts, and the question whether everything is as it was acknowledged."""
