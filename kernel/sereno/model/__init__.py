"""Frozen values and pure rules: what the kernel talks about, with no I/O, no loop and no clock."""
