"""The outside world behind the ports: one module, one outside thing."""
