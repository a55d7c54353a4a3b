"""Custom components of the demo beside the integration itself."""
