"""ccr: Claude Code on Claude models hosted by Databricks, and on others, as if it talked to Anthropic."""

__version__ = "0.1.0"

__all__ = ["__version__"]
