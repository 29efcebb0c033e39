"""Every address of the API: each module adds its own to `API`."""

from sereno_console.web.routes import RouteTable

API = RouteTable()
