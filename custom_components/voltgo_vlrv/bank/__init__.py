"""Several batteries in parallel, shown as the one battery that their owner thinks of.

A bank is a config entry of its own that holds no link: it is worked out from what its
members' coordinators hold. `arithmetic` and `averages` know nothing of Home Assistant.
"""
