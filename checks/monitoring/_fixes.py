"""Fixes for health endpoints, request ids and tracing, by stack; first what is to be tried first."""

from __future__ import annotations

HEALTH = {
    "express": """
        const within = (ms, promise) => Promise.race([
          promise, new Promise((_, reject) => setTimeout(() => reject(new Error('timeout')), ms)),
        ]);
        const ask = async (call) => {
          const start = performance.now();
          try {
            await within(800, call());
            return {status: 'pass', responseTime: Math.round(performance.now() - start)};
          } catch {
            return {status: 'fail', responseTime: Math.round(performance.now() - start)};
          }
        };
        app.get('/health/live', (req, res) => res.json({status: 'pass'}));
        app.get('/health/ready', async (req, res) => {
          const [database, cache] = await Promise.all([ask(() => db.command({ping: 1})), ask(() => redis.ping())]);
          const down = [database, cache].some((each) => each.status === 'fail');
          res.status(down ? 503 : 200).set('Cache-Control', 'no-store')
            .json({status: down ? 'fail' : 'pass', checks: {database, cache}});
        });
    """,
    "fastapi": """
        async def ask(call):
            start = time.perf_counter()
            try:
                await asyncio.wait_for(call(), 0.8)
                status = "pass"
            except Exception:
                status = "fail"
            return {"status": status, "responseTime": round(1000 * (time.perf_counter() - start))}

        @app.get("/health/live")
        async def live():
            return {"status": "pass"}

        @app.get("/health/ready")
        async def ready():
            database, cache = await asyncio.gather(ask(lambda: db.command("ping")), ask(cache_client.ping))
            down = "fail" in (database["status"], cache["status"])
            body = {"status": "fail" if down else "pass", "checks": {"database": database, "cache": cache}}
            return JSONResponse(body, 503 if down else 200, headers={"Cache-Control": "no-store"})
    """,
    "django": """
        # urls.py: path("health/live", live), path("health/ready", ready)
        def ask(call):
            start = time.perf_counter()
            try:
                call()
                status = "pass"
            except Exception:
                status = "fail"
            return {"status": status, "responseTime": round(1000 * (time.perf_counter() - start))}

        def live(request):
            return JsonResponse({"status": "pass"})

        @never_cache
        def ready(request):  # with time-outs below one second in the options of both clients
            checks = {"database": ask(connection.ensure_connection), "cache": ask(lambda: cache.get("health"))}
            down = any(each["status"] == "fail" for each in checks.values())
            return JsonResponse({"status": "fail" if down else "pass", "checks": checks}, status=503 if down else 200)
    """,
}
SPLIT = {
    **HEALTH,
    "kubernetes": """
        # in the container; liveness asks no dependency, or one outage restarts everything
        livenessProbe: {httpGet: {path: /health/live, port: http}, periodSeconds: 10, failureThreshold: 3}
        readinessProbe: {httpGet: {path: /health/ready, port: http}, periodSeconds: 5, timeoutSeconds: 2}
    """,
}
STATUS = {
    "express": "res.status(checks.every((check) => check.status === 'pass') ? 200 : 503).json({checks});",
    "fastapi": "response = JSONResponse(body, status_code=200 if all(checks.values()) else 503)",
    "django": "response = JsonResponse(body, status=200 if all(checks.values()) else 503)",
}
NO_STORE = {
    "express": "app.use('/health', (req, res, next) => { res.set('Cache-Control', 'no-store'); next(); });",
    "fastapi": """
        @app.get("/health/ready")
        async def ready(response: Response):
            response.headers["Cache-Control"] = "no-store"
    """,
    "django": """
        from django.views.decorators.cache import never_cache

        @never_cache
        def ready(request): ...
    """,
    "nginx": """
        # in server {}
        location /health {
            expires -1;  # Cache-Control: no-cache
            proxy_pass http://127.0.0.1:3000;
        }
    """,
}
TIMES = {
    "express": """
        const ask = (promise) => Promise.race([
          promise.then(() => 'pass', () => 'fail'),
          new Promise((resolve) => setTimeout(() => resolve('fail'), 500)),
        ]);
        const [database, cache] = await Promise.all([ask(db.command({ping: 1})), ask(redis.ping())]);  // all at once
    """,
    "fastapi": """
        async def ask(call):
            try:
                async with asyncio.timeout(0.5):
                    await call()
                return "pass"
            except Exception:
                return "fail"

        async def checks():  # all at once
            return await asyncio.gather(ask(lambda: db.command("ping")), ask(cache.ping))
    """,
    "django": """
        # settings.py: clients that give up early
        DATABASES["default"]["OPTIONS"] = {"connect_timeout": 1}
        CACHES["default"]["OPTIONS"] = {"socket_connect_timeout": 0.5, "socket_timeout": 0.5}
    """,
}
DETAILS = {
    "express": """
        app.get('/health', (req, res) => res.json({status: 'pass'}));  // nothing else to strangers
        app.get('/internal/health', requireAuth, (req, res) => res.json(details()));
    """,
    "fastapi": """
        @app.get("/health")
        async def health():
            return {"status": "pass"}  # nothing else to strangers

        @app.get("/internal/health", dependencies=[Depends(caller)])
        async def details(): ...
    """,
    "django": """
        def health(request):
            if not request.user.is_staff:
                return JsonResponse({"status": "pass"})
            return JsonResponse(details())
    """,
    "nginx": """
        # in server {}
        location = /health/details {
            allow 10.0.0.0/8;
            deny all;
            proxy_pass http://127.0.0.1:3000;
        }
    """,
}
HEAD = {
    "express": "app.get('/health/ready', ready);  // answers HEAD as well: no guard on the method in front of it",
    "fastapi": """
        @app.api_route("/health/ready", methods=["GET", "HEAD"])
        async def ready(): ...
    """,
    "django": """
        @require_safe  # GET and HEAD
        def ready(request): ...
    """,
}
REQUEST_ID = {
    "nginx": """
        # in server {}
        add_header X-Request-Id $request_id always;
        # where there is an application, so that it can put the id into its log and its errors:
        # proxy_set_header X-Request-Id $request_id;
    """,
    "express": r"""
        app.use((req, res, next) => {  // before everything else, so that errors have an id too
          req.id = req.get('x-request-id')?.match(/^[\w-]{16,128}$/)?.[0] ?? crypto.randomUUID();
          res.set('X-Request-Id', req.id);
          next();
        });
    """,
    "fastapi": r"""
        async def identify(request, call_next):
            sent = request.headers.get("x-request-id", "")
            request.state.request_id = sent if re.fullmatch(r"[\w-]{16,128}", sent) else uuid4().hex
            response = await call_next(request)
            response.headers["X-Request-Id"] = request.state.request_id
            return response

        app.add_middleware(BaseHTTPMiddleware, dispatch=identify)  # the last one added runs first
    """,
    "django": r"""
        # shop/middleware.py, first in MIDDLEWARE
        def identify(get_response):
            def respond(request):
                sent = request.headers.get("X-Request-Id", "")
                request.id = sent if re.fullmatch(r"[\w-]{16,128}", sent) else uuid4().hex
                response = get_response(request)
                response["X-Request-Id"] = request.id
                return response
            return respond
    """,
    "kubernetes": """
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
        data: {generate-request-id: "true"}
    """,
}
TRACING = {
    "node": """
        // npm install @opentelemetry/auto-instrumentations-node
        // OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 node --import ./tracing.mjs server.js
        import '@opentelemetry/auto-instrumentations-node/register';
    """,
    "fastapi": """
        # OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318; or start with: opentelemetry-instrument uvicorn app:app
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.instrument_app(app)
    """,
    "django": """
        # manage.py and wsgi.py, before the application is made; or start with: opentelemetry-instrument gunicorn ...
        from opentelemetry.instrumentation.django import DjangoInstrumentor

        DjangoInstrumentor().instrument()
    """,
    "kubernetes": """
        # on the pods, with the OpenTelemetry operator
        metadata:
          annotations: {instrumentation.opentelemetry.io/inject-nodejs: "true"}
    """,
}
