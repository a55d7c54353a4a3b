"""Walks through the demo in a real browser, run by `script/test --browser`."""
