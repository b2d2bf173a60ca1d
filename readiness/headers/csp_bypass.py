"""Hosts that hand out scripts with content chosen by the caller: allowing them allows everything.

A short list of our own, of large public hosts: those with a JSONP endpoint, those that serve AngularJS (whose templates
run expressions), and tag managers, which need 'unsafe-eval' for it. A source counts where it matches host and path.
"""

from __future__ import annotations

import re

_JSONP = "answers JSONP with any callback"
_ANGULAR = "serves AngularJS, which runs injected templates"
_TAGS = "runs tags of anybody together with 'unsafe-eval'"
_URLS = (
    ("accounts.google.com/o/oauth2/revoke", _JSONP),
    ("www.google.com/complete/search", _JSONP),
    ("clients1.google.com/complete/search", _JSONP),
    ("suggestqueries.google.com/complete/search", _JSONP),
    ("www.googleapis.com/customsearch/v1", _JSONP),
    ("ajax.googleapis.com/ajax/services/feed/find", _JSONP),
    ("ajax.googleapis.com/ajax/libs/angularjs/", _ANGULAR),
    ("maps.googleapis.com/maps/api/js/geocodeservice.search", _JSONP),
    ("translate.googleapis.com/$discovery/rest", _JSONP),
    ("www.youtube.com/oembed", _JSONP),
    ("api.flickr.com/services/feeds/photos_public.gne", _JSONP),
    ("api.vk.com/method/", _JSONP),
    ("graph.facebook.com/", _JSONP),
    ("api.github.com/", _JSONP),
    ("wikipedia.org/w/api.php", _JSONP),
    ("en.wikipedia.org/w/api.php", _JSONP),
    ("vimeo.com/api/oembed.json", _JSONP),
    ("api.twitter.com/1/statuses/oembed.json", _JSONP),
    ("publish.twitter.com/oembed", _JSONP),
    ("api.bing.com/osjson.aspx", _JSONP),
    ("search.twitter.com/", _JSONP),
    ("pixel.quantserve.com/api/", _JSONP),
    ("app-sjint.marketo.com/index.php/form/", _JSONP),
    ("cdn.syndication.twimg.com/widgets/", _JSONP),
    ("cdnjs.cloudflare.com/ajax/libs/angular.js/", _ANGULAR),
    ("cdn.jsdelivr.net/npm/angular", _ANGULAR),
    ("unpkg.com/angular", _ANGULAR),
    ("code.angularjs.org/", _ANGULAR),
    ("yastatic.net/angularjs/", _ANGULAR),
    ("cdn.bootcss.com/angular.js/", _ANGULAR),
    ("ajax.aspnetcdn.com/ajax/angularjs/", _ANGULAR),
    ("www.gstatic.com/fsn/angular_js-bundle1.js", _ANGULAR),
    ("www.googletagmanager.com/gtm.js", _TAGS),
    ("www.google-analytics.com/gtm/js", _TAGS),
    ("googletagmanager.com/gtm.js", _TAGS),
)
_KNOWN = tuple((url.partition("/")[0], "/" + url.partition("/")[2].lower(), how) for url, how in _URLS)
_SOURCE = re.compile(r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?P<host>[^:/']+)(?::(?P<port>\d+|\*))?(?P<path>/.*)?")


def bypass(source: str, *, eval_allowed: bool) -> tuple[str, str] | None:
    """The first known host, and what it does, that a host-source in lower case matches (CSP3, section 6.7.2.6)."""
    found = _SOURCE.fullmatch(source)
    if found is None or found["scheme"] not in (None, "http", "https") or found["port"] not in (None, "*", "443"):
        return None
    for host, path, how in _KNOWN:
        if how is _TAGS and not eval_allowed:
            continue
        if _host(found["host"], host) and _path(found["path"] or "", path):
            return host, how
    return None


def _host(pattern: str, host: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else pattern == host


def _path(pattern: str, path: str) -> bool:
    """A pattern that ends with a slash is a prefix, another one the whole path; the listed paths are prefixes too."""
    if pattern in ("", "/"):
        return True
    if pattern.endswith("/"):
        return path.startswith(pattern) or (path.endswith("/") and pattern.startswith(path))
    return pattern.startswith(path)
