"""Fixes for how answers are delivered, by stack; first what is to be tried first.

A snippet for nginx says above each part into which block it goes; tests put it there and let nginx read it. Headers
are set in server {} only: add_header in a location drops all that it would inherit. Where a header is for some answers
only, its value is empty for the others, which nginx leaves out.
"""

from __future__ import annotations

COMPRESSION = {
    "nginx": """
        # in http {}
        gzip on;
        gzip_vary on;
        gzip_proxied any;
        gzip_min_length 1000;
        gzip_types text/css text/plain application/javascript application/json image/svg+xml;
    """,
    "kubernetes": """
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
        data:
          use-gzip: "true"
          gzip-types: text/css text/plain application/javascript application/json image/svg+xml
    """,
    "express": """
        import compression from 'compression';

        app.use(compression());  // before the routes
    """,
    "fastapi": """
        from starlette.middleware.gzip import GZipMiddleware

        app.add_middleware(GZipMiddleware, minimum_size=1000)
    """,
    "django": """
        # settings.py; first in the list, because it must see the finished answer
        MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware", *MIDDLEWARE]
    """,
}
VALIDATORS = {
    "nginx": """
        # in http {}; for files, and answers of an application keep the ETag that it gives them
        etag on;
        if_modified_since before;
    """,
    "express": "app.set('etag', 'weak');  // the default, and res.send() then answers If-None-Match with 304",
    "fastapi": """
        def with_etag(request: Request, data: bytes) -> Response:
            tag = '"' + hashlib.sha256(data).hexdigest()[:32] + '"'
            if request.headers.get("if-none-match") == tag:
                return Response(status_code=304, headers={"ETag": tag})
            return Response(data, media_type="application/json", headers={"ETag": tag})
    """,
    "django": """
        # settings.py
        MIDDLEWARE = ["django.middleware.http.ConditionalGetMiddleware", *MIDDLEWARE]
    """,
}
_LIFETIMES = """\
        map $sent_http_content_type $lifetime {
            default off;
            ~^text/css 1y;
            ~javascript 1y;
            ~^(font|image)/ 1y;
        }
        # in server {}
        expires $lifetime;
"""
STATIC = {
    "nginx": f"""
        # in http {{}}; names must change with the content, app.3f9c2a71.js
{_LIFETIMES}    """,
    "express": """
        // names must change with the content, app.3f9c2a71.js
        app.use('/assets', express.static('dist/assets', {maxAge: '1y', immutable: true}));
    """,
    "fastapi": """
        class Hashed(StaticFiles):  # names must change with the content, app.3f9c2a71.js
            def file_response(self, *args, **kwargs):
                response = super().file_response(*args, **kwargs)
                response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
                return response

        app.mount("/assets", Hashed(directory="dist/assets"))
    """,
    "django": """
        # settings.py, with WhiteNoise: names get a hash of the content, and such files a year
        MIDDLEWARE.insert(1, "whitenoise.middleware.WhiteNoiseMiddleware")
        STORAGES["staticfiles"] = {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}
    """,
    "kubernetes": """
        # on the Ingress for the assets
        metadata:
          annotations:
            nginx.ingress.kubernetes.io/configuration-snippet: |
              more_set_headers "Cache-Control: public, max-age=31536000, immutable";
    """,
}
PAYLOAD = {
    "express": """
        const limit = Math.min(Number(req.query.limit) || 50, 200);
        const after = req.query.after ? {_id: {$gt: new ObjectId(String(req.query.after))}} : {};
        const shown = {projection: {name: 1, price: 1}};
        const items = await products.find(after, shown).sort({_id: 1}).limit(limit).toArray();
        res.json({items, next: items.length === limit ? items.at(-1)._id : null});
    """,
    "fastapi": """
        @app.get("/api/products")
        async def listed(limit: Annotated[int, Query(ge=1, le=200)] = 50, after: str | None = None):
            start = {"_id": {"$gt": ObjectId(after)}} if after else {}
            items = await products.find(start, {"name": 1, "price": 1}).sort("_id").limit(limit).to_list()
            return {"items": items, "next": items[-1]["_id"] if len(items) == limit else None}
    """,
    "django": """
        # settings.py, with Django REST framework
        REST_FRAMEWORK = {
            "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.CursorPagination",
            "PAGE_SIZE": 50,
        }
    """,
}
KEEPALIVE = {
    "nginx": """
        # in http {}; the upstream where there is an application behind
        keepalive_timeout 65s;
        upstream app {
            server 127.0.0.1:3000;
            keepalive 32;
        }
        # in location {}, with proxy_pass http://app
        proxy_http_version 1.1;
        proxy_set_header Connection "";
    """,
    "kubernetes": """
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
        data: {keep-alive: "75", upstream-keepalive-connections: "320"}
    """,
    "node": """
        server.keepAliveTimeout = 65_000;  // longer than that of the proxy in front
        server.headersTimeout = 66_000;
    """,
    "python": """
        uvicorn.run("app:app", timeout_keep_alive=65)  # longer than that of the proxy in front
        # gunicorn keeps connections with --worker-class gthread --keep-alive 65 only
    """,
}
HTTP2 = {
    "nginx": """
        # in server {}, instead of listen 443 ssl; from nginx 1.25.1 on add http2 on
        listen 443 ssl http2;
    """,
    "kubernetes": """
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
        data: {use-http2: "true"}
    """,
    "node": "http2.createSecureServer({key, cert, allowHTTP1: true}, handler).listen(443);",
}
LOAD_BALANCING = {
    "kubernetes": """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: shop}
        spec:
          replicas: 3
          template:
            spec:
              topologySpreadConstraints:
              - maxSkew: 1
                topologyKey: kubernetes.io/hostname
                whenUnsatisfiable: ScheduleAnyway
                labelSelector: {matchLabels: {app: shop}}
        ---
        apiVersion: policy/v1
        kind: PodDisruptionBudget
        metadata: {name: shop}
        spec: {minAvailable: 2, selector: {matchLabels: {app: shop}}}
    """,
    "nginx": """
        # in http {}
        upstream app {
            server 10.0.0.11:3000 max_fails=2 fail_timeout=5s;
            server 10.0.0.12:3000 max_fails=2 fail_timeout=5s;
            keepalive 32;
        }
        # in server {}; each instance names itself
        add_header X-Instance-Id $hostname always;
    """,
}
COLD_START = {
    "kubernetes": """
        # in the container; readiness is asked only after start-up has succeeded
        startupProbe: {httpGet: {path: /health/ready, port: http}, periodSeconds: 2, failureThreshold: 30}
        readinessProbe: {httpGet: {path: /health/ready, port: http}, periodSeconds: 5}
    """,
    "express": """
        // before server.listen(), so that nobody waits for it
        await Promise.all([mongo.db().command({ping: 1}), redis.ping(), warmCache()]);
        server.listen(3000);
    """,
    "fastapi": """
        @asynccontextmanager
        async def lifespan(app):  # before the first request
            await asyncio.gather(database.command("ping"), cache.ping(), warm_cache())
            yield

        app = FastAPI(lifespan=lifespan)
    """,
}
CDN = {
    "nginx": f"""
        # in http {{}}, on the origin: what the CDN that is put in front of it may keep
{_LIFETIMES}    """,
    "express": """
        app.use('/assets', express.static('dist/assets', {maxAge: '1y', immutable: true}));  // the origin of the CDN
        app.locals.assets = 'https://cdn.example.com/assets';  // and where pages look for them
    """,
}
