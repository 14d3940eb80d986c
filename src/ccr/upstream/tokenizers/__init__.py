"""Tokenizers of providers: vocabularies of tiktoken and Hugging Face, and web services that count."""
