"""What this integration costs; `script/bench` runs it."""
