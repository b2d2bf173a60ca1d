"""Fixes for the metrics endpoint and for who reads it, by stack; first what is to be tried first."""

from __future__ import annotations

ENDPOINT = {
    "express": """
        import client from 'prom-client';

        client.collectDefaultMetrics();
        app.get('/metrics', async (req, res) => {
          res.type(client.register.contentType).send(await client.register.metrics());
        });
    """,
    "fastapi": """
        from prometheus_client import make_asgi_app

        app.mount("/metrics", make_asgi_app())
    """,
    "django": """
        # settings.py, with django-prometheus; and in urls.py: path("", include("django_prometheus.urls"))
        INSTALLED_APPS += ["django_prometheus"]
        MIDDLEWARE = [
            "django_prometheus.middleware.PrometheusBeforeMiddleware",
            *MIDDLEWARE,
            "django_prometheus.middleware.PrometheusAfterMiddleware",
        ]
    """,
}
FORMAT = {
    "express": "res.type(client.register.contentType).send(await client.register.metrics());",
    "fastapi": "response = Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)",
    "django": "response = HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)",
}
HTTP = {
    "express": """
        const duration = new client.Histogram({
          name: 'http_request_duration_seconds', help: 'Duration of HTTP requests in seconds',
          labelNames: ['method', 'route', 'status_code'],
          buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
        });
        app.use((req, res, next) => {
          const stop = duration.startTimer({method: req.method});
          res.on('finish', () => stop({route: req.route?.path ?? 'unmatched', status_code: res.statusCode}));
          next();
        });
    """,
    "fastapi": """
        DURATION = Histogram(
            "http_request_duration_seconds", "Duration of HTTP requests in seconds", ["method", "route", "status_code"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )

        async def timed(request, call_next):
            start = time.perf_counter()
            response = await call_next(request)
            route = getattr(request.scope.get("route"), "path", "unmatched")
            DURATION.labels(request.method, route, response.status_code).observe(time.perf_counter() - start)
            return response

        app.add_middleware(BaseHTTPMiddleware, dispatch=timed)
    """,
    "django": """
        # shop/middleware.py, first in MIDDLEWARE
        DURATION = Histogram(
            "http_request_duration_seconds", "Duration of HTTP requests in seconds", ["method", "route", "status_code"],
        )

        def timed(get_response):
            def respond(request):
                start = time.perf_counter()
                response = get_response(request)
                route = request.resolver_match.route if request.resolver_match else "unmatched"
                DURATION.labels(request.method, route, response.status_code).observe(time.perf_counter() - start)
                return response
            return respond
    """,
}
DATABASE = {
    "node": """
        const queries = new client.Histogram({
          name: 'database_query_duration_seconds', help: 'Duration of database queries in seconds',
          labelNames: ['collection', 'operation'],
        });
        const running = new Map();  // the client needs {monitorCommands: true}
        mongo.on('commandStarted', (e) => running.set(e.requestId, String(e.command[e.commandName])));
        const done = (e) => {
          queries.observe({collection: running.get(e.requestId) ?? '', operation: e.commandName}, e.duration / 1000);
          running.delete(e.requestId);
        };
        mongo.on('commandSucceeded', done);
        mongo.on('commandFailed', done);
    """,
    "python": """
        QUERIES = Histogram(
            "database_query_duration_seconds", "Duration of database queries in seconds", ["collection", "operation"],
        )

        class Timed(pymongo.monitoring.CommandListener):
            def __init__(self):
                self.running = {}

            def started(self, event):
                self.running[event.request_id] = str(event.command.get(event.command_name))

            def succeeded(self, event):
                collection = self.running.pop(event.request_id, "")
                QUERIES.labels(collection, event.command_name).observe(event.duration_micros / 1e6)

            failed = succeeded

        client = pymongo.AsyncMongoClient(uri, event_listeners=[Timed()])
    """,
}
CACHE = {
    "node": """
        const hits = new client.Counter({name: 'cache_hits_total', help: 'Look-ups that the cache answered'});
        const misses = new client.Counter({name: 'cache_misses_total', help: 'Look-ups that it did not answer'});
        const get = async (key) => {
          const value = await redis.get(key);
          (value === null ? misses : hits).inc();
          return value;
        };
    """,
    "python": """
        HITS = Counter("cache_hits_total", "Look-ups that the cache answered")
        MISSES = Counter("cache_misses_total", "Look-ups that it did not answer")

        async def get(key):
            value = await cache.get(key)
            (MISSES if value is None else HITS).inc()
            return value
    """,
}
ERRORS = {
    "express": """
        const errors = new client.Counter({
          name: 'errors_total', help: 'Unhandled errors', labelNames: ['route', 'kind'],
        });
        app.use((err, req, res, next) => {
          errors.inc({route: req.route?.path ?? 'unmatched', kind: err.name});
          next(err);
        });
    """,
    "python": """
        ERRORS = Counter("errors_total", "Unhandled errors", ["route", "kind"])

        def counted(route, error):  # from the handler of unhandled errors
            ERRORS.labels(route, type(error).__name__).inc()
    """,
}
PUBLIC = {
    "nginx": """
        # in server {}
        location = /metrics {
            allow 10.0.0.0/8;
            deny all;
            proxy_pass http://127.0.0.1:3000;
        }
    """,
    "express": """
        const internal = express();  // on a port that no balancer forwards
        internal.get('/metrics', async (req, res) => {
          res.type(client.register.contentType).send(await client.register.metrics());
        });
        internal.listen(9464, '10.0.0.5');
    """,
    "python": """
        from prometheus_client import start_http_server

        start_http_server(9464, addr="10.0.0.5")  # a port that no balancer forwards
    """,
    "kubernetes": """
        # on the Ingress
        metadata:
          annotations:
            nginx.ingress.kubernetes.io/server-snippet: |
              location = /metrics { deny all; }
    """,
}
HISTOGRAM = {
    "node": """
        const duration = new client.Histogram({  // not a Summary: quantiles of instances cannot be added up
          name: 'http_request_duration_seconds', help: 'Duration of HTTP requests in seconds',
          labelNames: ['method', 'route', 'status_code'],
          buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],  // around the target
        });
    """,
    "python": """
        DURATION = Histogram(  # not a Summary: quantiles of instances cannot be added up
            "http_request_duration_seconds", "Duration of HTTP requests in seconds", ["method", "route", "status_code"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),  # around the target
        )
    """,
}
CARDINALITY = {
    "express": "const route = req.route?.path ?? 'unmatched';  // the template, never req.originalUrl",
    "fastapi": 'route = getattr(request.scope.get("route"), "path", "unmatched")  # never request.url.path',
    "django": 'route = request.resolver_match.route if request.resolver_match else "unmatched"  # never request.path',
}
RUNTIME = {
    "node": "client.collectDefaultMetrics();  // event loop, heap and garbage collection",
    "python": """
        from prometheus_client import GCCollector, PlatformCollector, ProcessCollector

        for collector in (ProcessCollector, PlatformCollector, GCCollector):  # the default registry has them already
            collector(registry=registry)
    """,
}
TARGETS = {
    "kubernetes": """
        apiVersion: monitoring.coreos.com/v1
        kind: ServiceMonitor
        metadata: {name: shop}
        spec:
          selector: {matchLabels: {app: shop}}
          endpoints: [{port: http, path: /metrics, interval: 15s}]
    """,
}
RULES = {
    "kubernetes": """
        apiVersion: monitoring.coreos.com/v1
        kind: PrometheusRule
        metadata: {name: shop}
        spec:
          groups:
          - name: service
            rules:
            - alert: ServiceDown
              expr: up{job="shop"} == 0
              for: 1m
              labels: {severity: page}
              annotations: {summary: "{{ $labels.instance }} does not answer"}
            - alert: HighErrorRatio
              expr: >-
                sum(rate(http_request_duration_seconds_count{status_code=~"5.."}[5m]))
                / sum(rate(http_request_duration_seconds_count[5m])) > 0.05
              for: 5m
              labels: {severity: page}
              annotations: {summary: more than 5 % of requests fail}
    """,
}
