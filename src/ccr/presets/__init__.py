"""Presets: whole configurations with a name, in folders that can be given to others without their secrets."""
