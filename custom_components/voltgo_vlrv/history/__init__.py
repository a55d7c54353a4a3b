"""What follows from samples over time, and what survives a restart."""
