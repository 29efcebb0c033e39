"""What this plugin brings to the demonstration: the report of the day so far, again and again."""

from sereno import Demo

DEMO = Demo(settings={"schedule": "every 15s", "include_today": True, "calls_required": False})
