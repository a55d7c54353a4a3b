"""Several batteries in parallel, shown as one battery.

A bank is a config entry of its own without a connection: it is calculated from what its
members' coordinators hold. `aggregate` and `current_share` know nothing of Home Assistant.
"""
