"""Throw-away servers: real ones, on ports of their own, gone when the tests end in any way."""
