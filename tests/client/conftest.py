from tests.server.conftest import address, server

__all__ = ["address", "server"]
