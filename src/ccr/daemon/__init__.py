"""The background process and its control."""
