"""What is known of one battery, and what is done to it."""
