from tests.sdk.conftest import people

__all__ = ["people"]
