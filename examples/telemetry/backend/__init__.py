"""The project of the telemetry service."""
