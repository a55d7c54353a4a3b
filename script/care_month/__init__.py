"""A simulated month of two batteries in a real Home Assistant, and what it says of them."""
