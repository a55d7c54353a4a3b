"""Batteries on the air at the level of GATT, for adapters that report events only.

`simulator.peripheral` and `simulator.radio` simulate the packets of Bluetooth LE on
Bumble. An ESPHome proxy and BlueZ show their clients none of these packets, so here
nothing lies between a battery and an adapter but calls and delays.
"""
