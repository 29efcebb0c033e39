"""Decides how the connection to a source is kept from being read, from settings and URL.

No option of a URL is dropped: each is obeyed, or refused by name.
"""

import ssl
from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlsplit

from msgspec import Meta, Struct

from sereno import suggestion

Path = Annotated[str, Meta(min_length=1)]


class TlsSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS to the source. Being there, it is required: no password goes out without it.

    `ca`: a file of certificates that are trusted, the system's when None. `cert`, `key`: files with
    which the source knows us. `verify`: "full" the chain and the host's name, "ca" the chain alone,
    "none" neither: then nobody can listen, but anybody can answer.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    verify: Literal["full", "ca", "none"] = "full"

    def __post_init__(self) -> None:
        if self.key is not None and self.cert is None:
            raise ValueError(
                "key is set without cert: set both, or cert alone where it has the key"
            )


class Tls(Struct, frozen=True):
    """What a connection does. `required`: refuses a server without TLS."""

    settings: TlsSettings | None = None
    required: bool = False

    def context(self) -> ssl.SSLContext | None:
        """Return how TLS is spoken, None where it is not. Raises OSError for a bad file."""
        if self.settings is None:
            return None
        found = ssl.create_default_context(cafile=self.settings.ca)
        if self.settings.verify != "full":
            found.check_hostname = False
        if self.settings.verify == "none":
            found.verify_mode = ssl.CERT_NONE
        if self.settings.cert is not None:
            found.load_cert_chain(self.settings.cert, self.settings.key)
        return found


_MODES: dict[str, tuple[Literal["full", "ca", "none"], bool] | None] = {
    "disabled": None,
    "preferred": ("none", False),
    "required": ("none", True),
    "verify_ca": ("ca", True),
    "verify_identity": ("full", True),
    # as PostgreSQL's clients and some of MariaDB's call them
    "disable": None,
    "prefer": ("none", False),
    "require": ("none", True),
    "verify_full": ("full", True),
    "true": ("full", True),
    "false": None,
}
_NAMES = {"ssl_mode": "mode", "sslmode": "mode", "ssl": "mode", "tls": "mode"}
_FILES = {"ssl_ca": "ca", "ssl_cert": "cert", "ssl_key": "key"}


def mysql_tls(url: str, settings: TlsSettings | None) -> Tls:
    """Return the TLS of a source of MariaDB or MySQL. Raises ValueError, naming an odd option.

    A URL's `ssl-mode`, `ssl-ca`, `ssl-cert`, `ssl-key` are obeyed, as MySQL's own clients do.
    """
    mode: str | None = None
    files: dict[str, str] = {}
    for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        known = name.lower().replace("-", "_")
        if known in _NAMES:
            mode = value.lower().replace("-", "_")
            if mode not in _MODES:
                raise ValueError(
                    f"source_url: {name} is '{value}', it must be one of DISABLED, PREFERRED, "
                    "REQUIRED, VERIFY_CA, VERIFY_IDENTITY"
                )
        elif known in _FILES:
            files[_FILES[known]] = value
        elif not (known == "charset" and value.lower() == "utf8mb4"):  # what is spoken anyway
            options = [one.replace("_", "-") for one in (*_NAMES, *_FILES)]
            hint = suggestion(
                known.replace("_", "-"), options, "; there are ssl-mode, ssl-ca, ssl-cert, ssl-key"
            )
            raise ValueError(f"source_url: option '{name}={value}' is not obeyed here{hint}")
    if mode is None and not files:
        return Tls(settings, required=settings is not None)
    if settings is not None:
        raise ValueError("source_url and source_tls both say how TLS is spoken; say it in one")
    chosen = _MODES[mode or "verify_identity"]
    if chosen is None:
        if files:
            raise ValueError(f"source_url: ssl-mode is {mode}, and files for TLS are named")
        return Tls()
    verify, required = chosen
    return Tls(TlsSettings(verify=verify, **files), required=required)


def check_postgres(name: str, url: str, settings: TlsSettings | None, ours: set[str]) -> None:
    """Refuse what a URL of PostgreSQL says and a session would not do. Raises ValueError.

    The driver obeys `sslmode` and its files, and the server refuses what it does not know. `ours`:
    settings of the server that the plugin chooses.
    """
    for option, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if option.lower() in ours:
            raise ValueError(f"{name}: option '{option}' is chosen by the plugin; leave it out")
        if settings is not None and option.lower().startswith("ssl"):
            raise ValueError(f"{name} and source_tls both say how TLS is spoken; say it in one")
