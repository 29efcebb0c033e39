"""The CRM's two pages: where to look, and where one logs in."""

from collections.abc import Mapping
from html import escape

_PAGE = """<!doctype html>
<html lang="es">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>CRM</title>
<link rel="icon" href="data:,">
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 36rem }}
  body {{ padding: 1rem; color: #1c2530 }}
  a {{ color: #1f7a72 }} li {{ margin: .5rem 0 }}
  label {{ display: block; margin: .75rem 0 }}
  input {{ display: block; font: inherit; padding: .4rem; width: 100%; box-sizing: border-box }}
  button {{ font: inherit; padding: .4rem 1rem }} .wrong {{ color: #a3262c }}
</style>
<h1>CRM</h1>
{body}
</html>
"""
_START = """
{who}
<ul>
<li><a href="/sereno/">Consola</a>: qué tareas hay, cuándo tocan y cómo fueron
<li><a href="/health">Salud</a> y <a href="/health/tasks">tareas</a>, como las conocen los tableros
<li><a href="/metrics">Métricas</a> para Prometheus
<li><a href="/docs">API</a>: arrancar, parar y ejecutar las tareas
</ul>
"""
_KNOWN = """
<form method="post" action="/logout"><p>{name} ({role}) <button>Salir</button></p></form>
"""
_LOG_IN = """
{refused}
<form method="post" action="/login">
<input type="hidden" name="next" value="{wanted}">
<label>Usuario <input name="login" autocomplete="username" required autofocus></label>
<label>Contraseña
<input name="password" type="password" autocomplete="current-password" required></label>
<button>Entrar</button>
</form>
"""


def start_page(user: Mapping[str, str] | None) -> str:
    """Return what there is, and who is known."""
    who = '<p><a href="/login">Entrar</a></p>'
    if user is not None:
        who = _KNOWN.format_map({name: escape(text) for name, text in user.items()})
    return _PAGE.format(body=_START.format(who=who))


def log_in_page(wanted: str, refused: bool = False) -> str:
    """Return the form; `wanted`: where one goes from it."""
    why = '<p class="wrong" role="alert">Usuario o contraseña no coinciden.</p>' if refused else ""
    return _PAGE.format(body=_LOG_IN.format(wanted=escape(wanted), refused=why))
