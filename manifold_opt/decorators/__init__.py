"""Watching a solver: states that wrap a state and print, record, call back or save on the way."""
