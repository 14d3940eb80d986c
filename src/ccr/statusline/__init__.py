"""``ccr statusline``: what Claude Code tells on stdin, as one line of text; the npm router's StatusLine keys.

Runs at every message of a session and must be over in milliseconds: only the standard library, nothing from
the network, no program but the person's own script modules.
"""
