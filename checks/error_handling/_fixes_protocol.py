"""Fixes for methods, bodies and limits of HTTP, by stack; first what is to be tried first."""

from __future__ import annotations

BAD_JSON = {
    "express": """
        app.use((err, req, res, next) => err.type === 'entity.parse.failed'  // last of all
          ? res.status(400).json({code: 'bad_json', message: 'the body is not valid JSON'})
          : next(err));
    """,
    "fastapi": """
        async def refused(request, error):
            bad_json = any(each["type"] == "json_invalid" for each in error.errors())
            code, status = ("bad_json", 400) if bad_json else ("invalid", 422)
            return JSONResponse({"code": code, "message": "the body is not as described"}, status)

        app.add_exception_handler(RequestValidationError, refused)
    """,
    "django": """
        def create(request):
            try:
                data = json.loads(request.body)
            except ValueError:
                return JsonResponse({"code": "bad_json", "message": "the body is not valid JSON"}, status=400)
            return save(data)
    """,
}
MEDIA_TYPE = {
    "express": """
        app.use('/api', (req, res, next) => (
          req.get('content-length') > 0 && !req.is('application/json')
            ? res.status(415).json({code: 'media_type', message: 'send application/json'})
            : next()
        ));
    """,
    "fastapi": """
        def json_only(content_type: Annotated[str, Header()] = ""):
            if content_type.partition(";")[0].strip() != "application/json":
                raise HTTPException(415, {"code": "media_type", "message": "send application/json"})

        @app.post("/api/orders", dependencies=[Depends(json_only)])
        async def create(order: Order): ...
    """,
    "django": """
        def create(request):
            if request.content_type != "application/json":
                return JsonResponse({"code": "media_type", "message": "send application/json"}, status=415)
            return save(request)
    """,
}
TOO_LARGE = {
    "nginx": """
        # in server {}
        client_max_body_size 1m;
    """,
    "kubernetes": """
        # on the Ingress
        metadata:
          annotations: {nginx.ingress.kubernetes.io/proxy-body-size: 1m}
    """,
    "express": """
        app.use(express.json({limit: '100kb'}));
        app.use((err, req, res, next) => err.type === 'entity.too.large'  // last of all
          ? res.status(413).json({code: 'too_large', message: 'at most 100 kB'})
          : next(err));
    """,
    "fastapi": """
        async def limited(request, call_next):
            if int(request.headers.get("content-length") or 0) > 1_000_000:
                return JSONResponse({"code": "too_large", "message": "at most 1 MB"}, 413)
            return await call_next(request)

        app.add_middleware(BaseHTTPMiddleware, dispatch=limited)  # and a limit in the proxy, for chunked bodies
    """,
    "django": """
        # shop/middleware.py, first in MIDDLEWARE; DATA_UPLOAD_MAX_MEMORY_SIZE alone answers 400
        def limited(get_response):
            def respond(request):
                if int(request.headers.get("Content-Length") or 0) > 1_000_000:
                    return JsonResponse({"code": "too_large", "message": "at most 1 MB"}, status=413)
                return get_response(request)
            return respond
    """,
}
OPTIONS = {
    "express": "app.options('/{*path}', (req, res) => res.set('Allow', 'GET, HEAD, OPTIONS').status(204).end());",
    "fastapi": """
        @app.options("/{path:path}")
        async def allowed(path: str):
            return Response(status_code=204, headers={"Allow": "GET, HEAD, OPTIONS"})
    """,
    "django": """
        class Products(View):  # a class-based view answers OPTIONS with the methods that it has
            def get(self, request): ...
    """,
    "nginx": """
        # in http {}; what an application allows, it says itself
        map "$request_method $status $sent_http_allow" $allow {
            default "";
            "~^(OPTIONS [0-9]+|[A-Z]+ 405) $" "GET, HEAD, OPTIONS";
        }
        # in server {}
        add_header Allow $allow always;
        # in location {}, of files
        if ($request_method = OPTIONS) {
            return 204;
        }
    """,
}
METHOD = {
    "express": """
        app.route('/api/products').get(list).post(create)
          .all((req, res) => res.set('Allow', 'GET, HEAD, POST').status(405).json({code: 'method'}));
    """,
    "fastapi": """
        @app.api_route("/api/products", methods=["PUT", "PATCH", "DELETE"], include_in_schema=False)
        async def refused():
            raise HTTPException(405, {"code": "method"}, headers={"Allow": "GET, HEAD, POST"})
    """,
    "django": """
        from django.views.decorators.http import require_http_methods

        @require_http_methods(["GET", "HEAD", "POST"])
        def products(request): ...
    """,
    "nginx": OPTIONS["nginx"],
}
HEAD = {
    "express": "app.get('/', home);  // answers HEAD as well, unless an app.all() or a guard on the method comes first",
    "fastapi": """
        @app.api_route("/", methods=["GET", "HEAD"])
        async def home(): ...
    """,
    "django": """
        from django.views.decorators.http import require_safe

        @require_safe  # GET and HEAD
        def home(request): ...
    """,
}
ENCODING = {
    "express": """
        app.use((err, req, res, next) => err instanceof URIError  // last of all
          ? res.status(400).json({code: 'bad_url', message: 'the path is not valid percent-encoding'})
          : next(err));
    """,
    "fastapi": r"""
        async def valid_path(request, call_next):
            if "\ufffd" in request.url.path:
                return JSONResponse({"code": "bad_url", "message": "the path is not valid UTF-8"}, 400)
            return await call_next(request)

        app.add_middleware(BaseHTTPMiddleware, dispatch=valid_path)
    """,
    "django": r"""
        # shop/middleware.py, first in MIDDLEWARE
        def valid_path(get_response):
            def respond(request):
                if "\ufffd" in request.path:
                    return JsonResponse({"code": "bad_url", "message": "the path is not valid UTF-8"}, status=400)
                return get_response(request)
            return respond
    """,
}
HEADER_SIZE = {
    "nginx": """
        # in server {}
        large_client_header_buffers 4 8k;
    """,
    "kubernetes": """
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
        data: {large-client-header-buffers: 4 8k}
    """,
    "node": "const server = http.createServer({maxHeaderSize: 16_384}, app);",
    "python": """
        uvicorn.run("app:app", http="h11", h11_max_incomplete_event_size=16_384)
        # gunicorn: --limit-request-field_size 8190
    """,
}
SLOW_CLIENT = {
    "nginx": """
        # in http {}
        client_header_timeout 10s;
        client_body_timeout 10s;
    """,
    "kubernetes": """
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
        data: {client-header-timeout: "10", client-body-timeout: "10"}
    """,
    "node": """
        server.headersTimeout = 10_000;
        server.requestTimeout = 30_000;
    """,
    "python": """
        # gunicorn.conf.py; uvicorn has no such limit, so put a proxy that has one in front of it
        worker_class = "gthread"
        timeout = 30
    """,
}
CLIENT_ERROR = {
    "node": r"""
        server.on('clientError', (err, socket) => {
          if (err.code === 'ECONNRESET' || !socket.writable) return socket.destroy();
          socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
        });
    """,
}
