"""The process that serves plugins' ASGI applications, and what a node starts and watches it by."""
