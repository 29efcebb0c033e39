"""Telemetry of PanAccess: what was watched, by whom, for how long."""
