"""Fixes for TLS and for what strangers should not reach, by stack; first what is to be tried first."""

from __future__ import annotations

VERSION_LEAK = {
    "nginx": """
        # in http {}
        server_tokens off;
    """,
    "kubernetes": """
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
        data: {server-tokens: "false"}
    """,
    "express": "app.disable('x-powered-by');",
    "fastapi": 'uvicorn.run("app:app", server_header=False)  # on the command line: --no-server-header',
    "django": """
        # gunicorn.conf.py
        import gunicorn

        gunicorn.SERVER = ""
    """,
}
EXPOSED_FILES = {
    "nginx": r"""
        # in server {}; and take the file out of the document root
        location ~ /\.(?!well-known) { deny all; }
        location ~* \.(?:sql|bak|old|log|env|pem|key)$ { deny all; }
    """,
    "express": "app.use(express.static('public', {dotfiles: 'ignore'}));  // a folder with nothing else in it",
    "fastapi": 'app.mount("/static", StaticFiles(directory="static"))  # a folder with nothing else in it',
    "django": """
        # settings.py; collectstatic fills it, and nothing else is served
        STATIC_ROOT = BASE_DIR / "collected"
    """,
}
DEBUG_CONSOLES = {
    "django": """
        # settings.py
        DEBUG = False
        ALLOWED_HOSTS = ["www.example.com"]
    """,
    "fastapi": "app = FastAPI(debug=False)",
    "express": """
        if (process.env.NODE_ENV !== 'production') {
          app.use('/debug', debugRoutes);
        }
    """,
    "nginx": """
        # in server {}
        location ~ ^/(?:actuator|debug|server-status|console|_profiler) {
            allow 10.0.0.0/8;
            deny all;
        }
    """,
}
PUBLIC_INTERFACES = {
    "fastapi": "app = FastAPI(openapi_url=None)  # neither /openapi.json nor /docs nor /redoc",
    "express": """
        if (process.env.NODE_ENV !== 'production') {
          app.use('/docs', swaggerUi.serve, swaggerUi.setup(spec));
        }
    """,
    "django": """
        # urls.py
        if settings.DEBUG:
            urlpatterns += [path("schema/", SpectacularAPIView.as_view())]
    """,
    "nginx": r"""
        # in server {}
        location ~ ^/(?:openapi\.json|docs|redoc|graphiql|metrics) {
            allow 10.0.0.0/8;
            deny all;
        }
    """,
}
SECURITY_TXT = {
    "nginx": r"""
        # in server {}
        location = /.well-known/security.txt {
            default_type text/plain;
            return 200 "Contact: mailto:security@example.com\nExpires: 2027-12-31T23:00:00.000Z\n";
        }
    """,
    "express": r"""
        app.get('/.well-known/security.txt', (req, res) => res.type('text').send(
          'Contact: mailto:security@example.com\nExpires: 2027-12-31T23:00:00.000Z\n'));
    """,
    "fastapi": r"""
        from fastapi.responses import PlainTextResponse

        @app.get("/.well-known/security.txt", response_class=PlainTextResponse)
        async def security_txt():
            return "Contact: mailto:security@example.com\nExpires: 2027-12-31T23:00:00.000Z\n"
    """,
    "django": r"""
        # urls.py
        TEXT = "Contact: mailto:security@example.com\nExpires: 2027-12-31T23:00:00.000Z\n"
        urlpatterns += [path(".well-known/security.txt", lambda r: HttpResponse(TEXT, content_type="text/plain"))]
    """,
}
TRACE = {
    "nginx": """
        # in server {}
        if ($request_method ~ ^(?:TRACE|TRACK)$) {
            return 405;
        }
    """,
}
TLS_CERTIFICATE = {
    "nginx": """
        # in server {}; certbot --nginx -d HOST writes this, and renews the certificate
        listen 443 ssl;
        ssl_certificate /etc/letsencrypt/live/HOST/fullchain.pem;
        ssl_certificate_key /etc/letsencrypt/live/HOST/privkey.pem;
    """,
    "kubernetes": """
        # on the Ingress; cert-manager issues the certificate, and renews it
        metadata:
          annotations: {cert-manager.io/cluster-issuer: letsencrypt}
        spec:
          tls: [{hosts: [www.example.com], secretName: www-example-com-tls}]
    """,
}
TLS_VERSIONS = {
    "nginx": """
        # in http {}
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;
    """,
    "kubernetes": """
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
        data: {ssl-protocols: "TLSv1.2 TLSv1.3", ssl-ciphers: "ECDHE+AESGCM:ECDHE+CHACHA20"}
    """,
    "node": "https.createServer({key, cert, minVersion: 'TLSv1.2', ciphers: 'ECDHE+AESGCM:ECDHE+CHACHA20'}, app);",
    "python": """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")  # uvicorn: --ssl-ciphers
    """,
}
TLS_UPGRADE = {
    "nginx": """
        # in http {}
        server {
            listen 80;
            server_name HOST;
            return 301 https://$host$request_uri;
        }
    """,
    "kubernetes": """
        # on the Ingress
        metadata:
          annotations: {nginx.ingress.kubernetes.io/force-ssl-redirect: "true"}
    """,
    "express": """
        app.set('trust proxy', 1);  // where a proxy ends TLS
        app.use((req, res, next) => (
          req.secure ? next() : res.redirect(301, `https://${req.hostname}${req.originalUrl}`)
        ));
    """,
    "fastapi": """
        from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware

        app.add_middleware(HTTPSRedirectMiddleware)  # behind a proxy: uvicorn --proxy-headers
    """,
    "django": """
        # settings.py, with SecurityMiddleware in MIDDLEWARE
        SECURE_SSL_REDIRECT = True
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")  # where a proxy ends TLS
    """,
}
AUTH = {
    "express": """
        import {expressjwt} from 'express-jwt';

        const requireAuth = expressjwt({secret: publicKey, algorithms: ['RS256'], audience, issuer});
        app.use('/api/orders', requireAuth, orders);
    """,
    "fastapi": """
        def caller(token=Depends(HTTPBearer())):
            try:
                return jwt.decode(token.credentials, PUBLIC_KEY, algorithms=["RS256"], audience=AUDIENCE)
            except jwt.InvalidTokenError:
                raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"}) from None

        router = APIRouter(prefix="/api/orders", dependencies=[Depends(caller)])
    """,
    "django": """
        # settings.py, with Django REST framework; without it, from Django 5.1 on: LoginRequiredMiddleware
        REST_FRAMEWORK = {
            "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
            "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        }
    """,
}
