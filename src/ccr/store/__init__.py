"""Finished requests on this machine: one row each in a database of the home, and the figures made of them."""
