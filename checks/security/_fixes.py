"""Fixes for response headers, cookies, CORS and rate limits, by stack; first what is to be tried first.

A snippet for nginx says above each part into which block it goes; tests put it there and let nginx read it. Headers
are set in server {} only: add_header in a location drops all that it would inherit. Where a header is for some answers
only, its value is empty for the others, which nginx leaves out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

_NGINX = "# in server {}, and in each location that has an add_header of its own"
_EXPRESS = """
app.use((req, res, next) => {{  // before the routes
  res.set({{{}}});
  next();
}});
"""
_FASTAPI = """
from starlette.middleware.base import BaseHTTPMiddleware

async def add_headers(request, call_next):
    response = await call_next(request)
    response.headers.update({{{}}})
    return response

app.add_middleware(BaseHTTPMiddleware, dispatch=add_headers)
"""
_DJANGO = """
# shop/middleware.py; then MIDDLEWARE = ["shop.middleware.add_headers", ...]
def add_headers(get_response):
    def respond(request):
        response = get_response(request)
{}
        return response
    return respond
"""
_KUBERNETES = """
apiVersion: v1
kind: ConfigMap
metadata: {{name: response-headers, namespace: ingress-nginx}}
data:
{}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: ingress-nginx-controller, namespace: ingress-nginx}}
data: {{add-headers: ingress-nginx/response-headers}}
"""


def headers(sent: Mapping[str, str], *, django: str = "") -> dict[str, str]:
    """The fix that adds headers to every answer, by stack; `django` replaces the one for Django."""
    pairs = [(name, json.dumps(value)) for name, value in sent.items()]

    def listed(indent: str, step: str) -> str:
        return "".join(f"\n{indent}{step}{json.dumps(name)}: {value}," for name, value in pairs) + f"\n{indent}"

    return {
        "nginx": "\n".join([_NGINX, *(f"add_header {name} {value} always;" for name, value in pairs)]),
        "express": _EXPRESS.format(listed("  ", "  ")),
        "fastapi": _FASTAPI.format(listed("    ", "    ")),
        "django": django
        or _DJANGO.format("\n".join(f"        response[{json.dumps(name)}] = {value}" for name, value in pairs)),
        "kubernetes": _KUBERNETES.format("\n".join(f"  {name}: {value}" for name, value in pairs)),
    }


CSP = headers(
    {
        "Content-Security-Policy": "default-src 'self'; script-src 'self'; object-src 'none'; base-uri 'self'; "
        "frame-ancestors 'none'"
    }
)
# Not frame-ancestors, which the policy above has: a second policy would be sent beside it, or instead of it.
FRAMING = headers(
    {"X-Frame-Options": "DENY"},
    django='X_FRAME_OPTIONS = "DENY"  # settings.py, with XFrameOptionsMiddleware in MIDDLEWARE',
)
MIME_SNIFFING = headers(
    {"X-Content-Type-Options": "nosniff"},
    django="SECURE_CONTENT_TYPE_NOSNIFF = True  # settings.py, with SecurityMiddleware in MIDDLEWARE",
)
REFERRER = headers(
    {"Referrer-Policy": "strict-origin-when-cross-origin"},
    django='SECURE_REFERRER_POLICY = "strict-origin-when-cross-origin"  # settings.py, with SecurityMiddleware',
)
PERMISSIONS = headers({"Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()"})
ISOLATION = headers({"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin"})
XSS_FILTER = headers({"X-XSS-Protection": "0"})
HSTS = {
    **headers({"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}),
    "django": """
        # settings.py, with SecurityMiddleware in MIDDLEWARE
        SECURE_HSTS_SECONDS = 31_536_000
        SECURE_HSTS_INCLUDE_SUBDOMAINS = True
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")  # where a proxy ends TLS
    """,
    "kubernetes": """
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
        data: {hsts: "true", hsts-max-age: "31536000", hsts-include-subdomains: "true"}
    """,
}
MEDIA_TYPE = {
    "nginx": """
        # in server {}
        charset utf-8;
        charset_types text/plain text/css application/javascript application/json;
    """,
    "express": "app.get('/', (req, res) => res.type('html').send(page));  // text/html; charset=utf-8",
    "fastapi": """
        from fastapi.responses import HTMLResponse

        @app.get("/", response_class=HTMLResponse)  # text/html; charset=utf-8
        async def root():
            return page
    """,
    "django": 'response = HttpResponse(page, content_type="text/html; charset=utf-8")',
}
COOKIES = {
    "express": """
        app.set('trust proxy', 1);  // where a proxy ends TLS
        app.use(session({
          name: '__Host-session',
          secret: process.env.SESSION_SECRET,
          resave: false,
          saveUninitialized: false,
          cookie: {path: '/', secure: true, httpOnly: true, sameSite: 'lax'},
        }));
    """,
    "fastapi": """
        response.set_cookie("__Host-session", token, path="/", secure=True, httponly=True, samesite="lax")
        # or app.add_middleware(SessionMiddleware, secret_key=key, https_only=True, same_site="lax")
    """,
    "django": """
        # settings.py
        SESSION_COOKIE_NAME = "__Host-session"
        SESSION_COOKIE_SECURE = True
        SESSION_COOKIE_HTTPONLY = True
        SESSION_COOKIE_SAMESITE = "Lax"
        CSRF_COOKIE_SECURE = True
    """,
    "nginx": """
        # in location {}, from nginx 1.19.3 on
        proxy_cookie_flags ~ secure httponly samesite=lax;
    """,
}
CORS = {
    "express": """
        import cors from 'cors';

        app.use(cors({origin: ['https://www.example.com'], credentials: true}));  // a list, never an echo
    """,
    "fastapi": """
        from fastapi.middleware.cors import CORSMiddleware

        app.add_middleware(
            CORSMiddleware,
            allow_origins=["https://www.example.com"],  # a list, never "*" together with credentials
            allow_credentials=True,
            allow_methods=["GET", "POST"],
        )
    """,
    "django": """
        # settings.py, with django-cors-headers: corsheaders.middleware.CorsMiddleware early in MIDDLEWARE
        CORS_ALLOWED_ORIGINS = ["https://www.example.com"]
        CORS_ALLOW_CREDENTIALS = True
    """,
    "nginx": """
        # in http {}
        map $http_origin $allowed_origin {
            default "";
            "https://www.example.com" $http_origin;
        }
        # in server {}
        add_header Access-Control-Allow-Origin $allowed_origin always;
        add_header Vary Origin always;
    """,
}
CACHE_CONTROL = {
    "express": """
        app.use('/api', (req, res, next) => {  // in front of everything personal
          res.set('Cache-Control', 'no-store');
          next();
        });
    """,
    "fastapi": """
        from fastapi import APIRouter, Depends, Response

        def personal(response: Response):
            response.headers["Cache-Control"] = "no-store"

        router = APIRouter(dependencies=[Depends(personal)])
    """,
    "django": """
        from django.views.decorators.cache import cache_control

        @cache_control(private=True, no_store=True)
        def orders(request): ...
    """,
    "nginx": """
        # in http {}
        map $uri $kept {
            default "";
            ~^/PROTECTED no-store;  # everything personal
        }
        # in server {}
        add_header Cache-Control $kept always;
    """,
}
RATE_LIMIT = {
    "nginx": """
        # in http {}
        limit_req_zone $binary_remote_addr zone=clients:10m rate=50r/s;
        limit_req_status 429;
        map $status $retry_limited {
            default "";
            429 1;
        }
        # in server {}
        limit_req zone=clients burst=100 nodelay;
        add_header RateLimit-Policy '"clients";q=50;w=1' always;
        add_header Retry-After $retry_limited always;
    """,
    "express": """
        import {rateLimit} from 'express-rate-limit';

        app.use(rateLimit({windowMs: 60_000, limit: 300, standardHeaders: 'draft-8', legacyHeaders: false}));
    """,
    "fastapi": """
        from slowapi import Limiter, _rate_limit_exceeded_handler
        from slowapi.errors import RateLimitExceeded
        from slowapi.middleware import SlowAPIMiddleware
        from slowapi.util import get_remote_address

        app.state.limiter = Limiter(get_remote_address, default_limits=["300/minute"], headers_enabled=True)
        app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
        app.add_middleware(SlowAPIMiddleware)
    """,
    "django": """
        # settings.py, with Django REST framework
        REST_FRAMEWORK = {
            "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.AnonRateThrottle"],
            "DEFAULT_THROTTLE_RATES": {"anon": "300/minute"},
        }
    """,
    "kubernetes": """
        # on the Ingress
        metadata:
          annotations:
            nginx.ingress.kubernetes.io/limit-rps: "10"
            nginx.ingress.kubernetes.io/limit-burst-multiplier: "2"
    """,
}
