"""The rules, as functions from values to values. Nothing here reads a clock, a file or a
process."""
