"""Steps that change a chat request on its way to a provider."""
