"""The pages of ``ccr ui``: a small server of a process of its own, only while it is wanted (docs/ui.md)."""
