"""A real Home Assistant with simulated batteries: the demo, its check, its pictures."""
