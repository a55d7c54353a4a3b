"""What the demo adds to Home Assistant beside the integration itself."""
