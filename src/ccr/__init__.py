"""ccr: Claude Code on Databricks-hosted Claude models, and on other providers, as if it talked to Anthropic."""

__version__ = "0.1.0"

__all__ = ["__version__"]
