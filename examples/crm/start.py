"""Starts the CRM in FastAPI with stand-ins of its cache and of who is told, until Ctrl-C.

    python start.py [--port 8000]

Pages: http://127.0.0.1:8000/ (log in: ana, ana)
"""

import runpy

if __name__ == "__main__":
    runpy.run_module("crm", run_name="__main__")
