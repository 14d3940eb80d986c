"""The same installations as the service's tests use."""

from tests.daemon.conftest import installation

__all__ = ["installation"]
