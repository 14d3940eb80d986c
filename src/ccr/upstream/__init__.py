"""The way out to the providers."""
