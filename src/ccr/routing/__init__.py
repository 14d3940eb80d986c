"""Which provider and model answer a request."""
