"""URLs of brokers and result stores: read, written, and shown without their passwords.

``scheme://user:password@host:port/path?key=value``; every part but the scheme may be missing, and a bare name
(``disabled``, ``redis``) is a scheme alone. Percent-encoding is undone in every part. Several URLs, for fail-over, stand
in one text with ``;`` between.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

import attrs

from umbel.exceptions import ImproperlyConfigured

__all__ = ["MASK", "ParsedUrl", "build_url", "is_secret_name", "mask_url", "parse_url", "split_urls"]

#: What stands where a password stood.
MASK: Final = "**"

_SCHEME: Final = r"[A-Za-z][A-Za-z0-9+._-]*(?:@[A-Za-z0-9][A-Za-z0-9._-]*)?"
_URL: Final = re.compile(rf"(?P<scheme>{_SCHEME})://(?P<rest>.*)", re.DOTALL)
_BARE: Final = re.compile(rf"{_SCHEME}\Z")
_NEXT: Final = re.compile(rf";\s*(?={_SCHEME}://)")
_HOST_AND_PORT: Final = re.compile(r"(\[[^\]]*\]|[^:\[\]]+)?(:\d+)?")
_SECRET: Final = re.compile(
    r"pass(word|wd|phrase|code)?$|passw|pwd|secret|token|credential|signature|sas$"
    r"|(access|account|api|private|shared|sas|auth|encryption|master)[_-]?key$|^key$",
    re.IGNORECASE,
)


@attrs.frozen(kw_only=True)
class ParsedUrl:
    """The parts of a URL, decoded. What was missing is ``None``; *path* begins with ``/`` where there is one.

    ``repr`` and ``str`` hide the password.
    """

    scheme: str
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=lambda value: "None" if value is None else repr(MASK))
    hostname: str | None = None
    port: int | None = None
    path: str = ""
    query: Mapping[str, str] = attrs.field(
        factory=dict, repr=lambda query: repr({k: MASK if is_secret_name(k) else v for k, v in query.items()})
    )

    @property
    def virtual_host(self) -> str | None:
        """The path without its first slash, which only separates (B138): ``//`` is ``/``, ``/`` is empty.

        ``None`` without a path. For files: ``sqlite:///rel.db`` is ``rel.db``, ``sqlite:////abs.db`` is ``/abs.db``.
        """
        return self.path[1:] if self.path else None

    @property
    def name(self) -> str:
        """The scheme without ``+driver`` and ``@distribution``: the name of the plugin."""
        return self.scheme.partition("@")[0].partition("+")[0]

    @property
    def driver(self) -> str | None:
        """What follows the ``+`` of the scheme: ``postgresql`` of ``sqla+postgresql://``."""
        return self.scheme.partition("@")[0].partition("+")[2] or None

    @property
    def hosts(self) -> tuple[tuple[str, int | None], ...]:
        """Every (host, port), where the host part lists several (``h1:1,h2:2``)."""
        if self.hostname is None:
            return ()
        if "," not in self.hostname and ";" not in self.hostname:
            return ((self.hostname, self.port),)
        return tuple(_host_and_port(part, self.scheme) for part in re.split("[,;]", self.hostname) if part)

    def __str__(self) -> str:
        return mask_url(self.geturl())

    def geturl(self) -> str:
        """Write the URL with its password."""
        return build_url(
            self.scheme,
            username=self.username,
            password=self.password,
            hostname=self.hostname,
            port=self.port,
            path=self.path,
            query=self.query,
        )


def parse_url(url: str) -> ParsedUrl:
    """Take *url* apart. Raises :class:`ImproperlyConfigured`, with the password masked, for what is no URL."""
    match = _URL.match(url)
    if match is None:
        if _BARE.match(url):
            return ParsedUrl(scheme=url.lower())
        raise ImproperlyConfigured(f"expected a URL such as 'scheme://user@host:port/path', got {mask_url(url)!r}")
    if _NEXT.search(url):
        raise ImproperlyConfigured(f"expected one URL, got several: {mask_url(url)!r}")
    rest, _, query = match["rest"].partition("?")
    netloc, slash, path = rest.partition("/")
    userinfo, at, hostport = netloc.rpartition("@")
    username, colon, password = userinfo.partition(":")
    scheme = match["scheme"].lower()
    hostname, port = (hostport or None, None)
    if not re.search("[,;]", hostport):
        host, port = _host_and_port(hostport, scheme)
        hostname = host or None
    return ParsedUrl(
        scheme=scheme,
        username=unquote(username) if at and username else None,
        password=unquote(password) if at and colon else None,
        hostname=unquote(hostname) if hostname else None,
        port=port,
        path=unquote(slash + path),
        query=dict(parse_qsl(query, keep_blank_values=True)),
    )


def _host_and_port(text: str, scheme: str) -> tuple[str, int | None]:
    if text.startswith("["):  # IPv6
        host, bracket, tail = text[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise ImproperlyConfigured(f"expected an IPv6 address in brackets, [::1]:port, in the {scheme}:// URL")
        port = tail[1:]
    elif text.count(":") > 1:
        raise ImproperlyConfigured(
            f"expected host:port in the {scheme}:// URL, got more than one colon; an IPv6 address stands in brackets,"
            " [::1], and '@', ':' or '/' in a password are written %40, %3A, %2F"
        )
    else:
        host, _, port = text.partition(":")
    if not port:
        return host, None
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        # what stands here may be the beginning of a password with a slash in it: it is not shown
        raise ImproperlyConfigured(
            f"expected a port from 0 to 65535 in the {scheme}:// URL; if a password has '@', ':' or '/' in it, write"
            " %40, %3A, %2F"
        )
    return host, int(port)


def build_url(
    scheme: str,
    *,
    username: str | None = None,
    password: str | None = None,
    hostname: str | None = None,
    port: int | None = None,
    path: str = "",
    query: Mapping[str, str] | None = None,
) -> str:
    """Write a URL of these parts, encoded so that :func:`parse_url` gives them back."""
    userinfo = ""
    if username is not None or password is not None:
        userinfo = (
            quote(username or "", safe="") + (f":{quote(password, safe='')}" if password is not None else "") + "@"
        )
    host = hostname or ""
    if re.search("[,;]", host):
        host = quote(host, safe=",;:[]")
    else:
        host = f"[{host}]" if ":" in host else quote(host, safe="")
    return (
        f"{scheme}://{userinfo}{host}"
        + (f":{port}" if port is not None else "")
        + quote(path, safe="/:@+,=~")
        + (f"?{urlencode(query)}" if query else "")
    )


def split_urls(urls: str) -> list[str]:
    """Split *urls* at each ``;`` that is followed by a scheme (the one between two hosts of one URL is not)."""
    return [part.strip() for part in _NEXT.split(urls.strip()) if part.strip()]


# -- masking ----------------------------------------------------------------------------------------------------------


def is_secret_name(name: str) -> bool:
    """Say whether a key of this *name* holds something that must not be shown."""
    return bool(_SECRET.search(name))


def mask_url(url: str) -> str:
    """Return *url* (or several, with ``;`` between) with each password replaced by ``**``; never raises.

    Secrets in the query (``?password=``) are replaced too. A URL that was not encoded properly, so that it cannot be
    told where the password ends, shows too little rather than too much.
    """
    return ";".join(_mask_one(part) for part in _NEXT.split(url))


def _mask_one(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:  # no URL: "user:password@host" may still be meant as one
        head, at, tail = url.rpartition("@")
        return f"{head.partition(':')[0]}:{MASK}@{tail}" if at and ":" in head else url
    end = _end_of_userinfo(rest)
    username, colon, _ = rest[:end].partition(":")
    shown = f"{username}:{MASK}" if colon else rest[:end]
    body, mark, query = rest[end:].partition("?")
    return f"{scheme}://{shown}{body}{mark}{_mask_query(query)}"


def _end_of_userinfo(rest: str) -> int:
    """Return where the user's name and password end: before the last ``@`` that may belong to them, or 0."""
    main, _, query = rest.partition("?")
    if main.startswith("/"):
        return 0
    at = main.rfind("@")
    if at < 0 and ":" in main and "@" in query:
        well_formed = _HOST_AND_PORT.fullmatch(main.partition("/")[0]) and "=" in query.partition("@")[0]
        at = 0 if well_formed else rest.rfind("@")  # else the "?" stands inside a password
    elif ":" in main[: max(at, 0)]:
        at = rest.rfind("@")
    return max(at, 0)


def _mask_query(query: str) -> str:
    pairs = []
    for pair in re.split("([&;])", query):
        name, equals, _ = pair.partition("=")
        pairs.append(f"{name}={MASK}" if equals and is_secret_name(unquote(name)) else pair)
    return "".join(pairs)
