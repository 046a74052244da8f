"""Keeps code in sync with specs: reads both, lets AI agents close the gap, merges what passes."""

__version__ = "0.1.0"
