"""URLs: taken apart, put together, and shown without passwords [C004]."""

from __future__ import annotations

import contextlib
import string
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from umbel.exceptions import ImproperlyConfigured
from umbel.urls import MASK, ParsedUrl, build_url, mask_url, parse_url, split_urls


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("redis://", {"scheme": "redis"}),
        ("disabled", {"scheme": "disabled"}),
        ("cache+memory", {"scheme": "cache+memory"}),
        ("SQS://", {"scheme": "sqs"}),
        ("redis@umbel-redis://h", {"scheme": "redis@umbel-redis", "hostname": "h"}),
        (
            "amqp://u%40x:p%2Fw@h:5672/v?a=1&b=",
            {
                "scheme": "amqp",
                "username": "u@x",
                "password": "p/w",
                "hostname": "h",
                "port": 5672,
                "path": "/v",
                "query": {"a": "1", "b": ""},
            },
        ),
        ("redis://:pw@h/0", {"scheme": "redis", "password": "pw", "hostname": "h", "path": "/0"}),
        ("redis://u:@h", {"scheme": "redis", "username": "u", "password": "", "hostname": "h"}),
        ("redis://[::1]:6379/0", {"scheme": "redis", "hostname": "::1", "port": 6379, "path": "/0"}),
        ("redis://u:p@w@h", {"scheme": "redis", "username": "u", "password": "p@w", "hostname": "h"}),
        ("sqla+postgresql://h/db", {"scheme": "sqla+postgresql", "hostname": "h", "path": "/db"}),
        ("file:///abs/p%20q", {"scheme": "file", "path": "/abs/p q"}),
    ],
)
def test_parts(url: str, parts: dict[str, Any]) -> None:
    assert parse_url(url) == ParsedUrl(**parts)


@pytest.mark.parametrize(
    ("url", "virtual_host"),
    [
        ("amqp://h", None),
        ("amqp://h/", ""),
        ("amqp://h//", "/"),
        ("amqp://h/v", "v"),
        ("amqp://h/%2Fv", "/v"),
        ("sqlite://", None),
        ("sqlite:///rel/x.db", "rel/x.db"),
        ("sqlite:////abs/x.db", "/abs/x.db"),
    ],
)
def test_a_leading_slash_only_separates(url: str, virtual_host: str | None) -> None:
    """[B138]"""
    assert parse_url(url).virtual_host == virtual_host


def test_names_and_drivers() -> None:
    url = parse_url("sqla+postgresql@dist://h")
    assert (url.name, url.driver) == ("sqla", "postgresql")
    assert parse_url("redis://h").driver is None


def test_several_hosts() -> None:
    assert parse_url("mongodb://u:p@a:1,b:2,[::1]:3/db").hosts == (("a", 1), ("b", 2), ("::1", 3))
    assert parse_url("memcached://a:1;b/").hosts == (("a", 1), ("b", None))
    assert parse_url("redis://a:1").hosts == (("a", 1),)
    assert parse_url("redis://").hosts == ()


def test_several_urls() -> None:
    assert split_urls("redis://a; redis://b ;sentinel://c;d:2/") == ["redis://a", "redis://b", "sentinel://c;d:2/"]
    assert split_urls(" memory:// ") == ["memory://"]
    assert split_urls("") == []
    with pytest.raises(ImproperlyConfigured, match="expected one URL, got several: 'redis://a;redis://b'"):
        parse_url("redis://a;redis://b")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "expected a URL"),
        ("redis:/h", "expected a URL"),
        ("://h", "expected a URL"),
        ("redis://h:port", "expected a port from 0 to 65535"),
        ("redis://h:99999", "expected a port from 0 to 65535"),
        ("redis://::1", "an IPv6 address stands in brackets"),
        ("redis://[::1", "expected an IPv6 address in brackets"),
        ("redis://u:hunter2/x@h", "write %40, %3A, %2F"),
    ],
)
def test_what_is_no_url_is_said_without_the_password(url: str, message: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=message) as caught:
        parse_url(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h/0", "redis://h/0"),
        ("redis://u@h/0", "redis://u@h/0"),
        ("redis://u:pw@h:1/0", "redis://u:**@h:1/0"),
        ("redis://:pw@h", "redis://:**@h"),
        ("redis://h?password=pw&x=1&ssl_keyfile=k", "redis://h?password=**&x=1&ssl_keyfile=k"),
        ("redis://h?API_KEY=pw;secret_token=pw", "redis://h?API_KEY=**;secret_token=**"),
        ("redis://h?username=a@b", "redis://h?username=a@b"),
        ("redis://u:p@w:x@h", "redis://u:**@h"),
        ("redis://u:a:p@g;redis://u:p@h", "redis://u:**@g;redis://u:**@h"),
        ("sqs://key:se/cr/et@", "sqs://key:**@"),
        ("redis://u:p?w@h", "redis://u:**@h"),
        ("redis://h:6379/0?username=a@b", "redis://h:6379/0?username=a@b"),
        ("redis://[::1]:6379/0?username=a@b", "redis://[::1]:6379/0?username=a@b"),
        ("redis://u:p@h?username=a@b", "redis://u:**@b"),  # the password may be "p@h?username=a"
        ("sqlite:////home/me@work/x.db", "sqlite:////home/me@work/x.db"),
        ("u:pw@h", "u:**@h"),
        ("disabled", "disabled"),
    ],
)
def test_masked(url: str, shown: str) -> None:
    assert mask_url(url) == shown


def test_repr_and_str_hide_the_password() -> None:
    url = parse_url("redis://u:hunter2@h/0?token=hunter2")
    assert "hunter2" not in repr(url)
    assert str(url) == "redis://u:**@h/0?token=**"
    assert url.geturl() == "redis://u:hunter2@h/0?token=hunter2"


ANY = st.text(st.characters(codec="utf-8"), max_size=20)
SOME = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
HOST = st.text(string.ascii_lowercase + string.digits + ".-_", min_size=1) | st.just("::1") | st.just("fe80::1%eth0")
PATH = st.just("") | ANY.map(lambda text: f"/{text}")
PARTS = st.fixed_dictionaries(
    {
        "scheme": st.from_regex(r"[a-z][a-z0-9+._-]{0,8}", fullmatch=True),
        "username": st.none() | SOME,
        "password": st.none() | ANY,
        "hostname": HOST,
        "port": st.none() | st.integers(0, 65535),
        "path": PATH,
        "query": st.dictionaries(SOME, ANY, max_size=3),
    }
)


@given(PARTS)
def test_what_is_built_is_parsed_again(parts: dict[str, Any]) -> None:
    assert parse_url(build_url(**parts)) == ParsedUrl(**parts)


@given(PARTS, st.text(string.ascii_uppercase, min_size=12, max_size=12))
def test_no_built_url_shows_its_password(parts: dict[str, Any], secret: str) -> None:
    assume(not any(secret in str(part) for part in parts.values()))
    parts["password"] = secret
    parts["query"]["password"] = secret
    assert secret not in mask_url(build_url(**parts))
    assert secret not in repr(ParsedUrl(**parts))
    assert MASK in mask_url(build_url(**parts))


@given(st.text("abc:/@?&=;#%[]", max_size=12), st.text("abc:/@?;#%[]", max_size=12))
def test_a_password_is_hidden_however_badly_it_is_written(before: str, after: str) -> None:
    """Unencoded slashes, question marks and at signs inside the password included."""
    assume("://" not in before + after)
    assert "HUNTER" not in mask_url(f"redis://user:{before}HUNTER{after}@host:6379/0")


@given(st.text(max_size=60))
def test_no_text_breaks_masking_and_parsing(text: str) -> None:
    mask_url(text)
    with contextlib.suppress(ImproperlyConfigured):
        parse_url(text)
