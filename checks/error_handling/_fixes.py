"""Fixes for error answers, by stack; first what is to be tried first.

A snippet for nginx says above each part into which block it goes; tests put it there and let nginx read it. Headers
are set in server {} only: add_header in a location drops all that it would inherit. Where a header is for some answers
only, its value is empty for the others, which nginx leaves out.
"""

from __future__ import annotations

NOT_FOUND = {
    "express": """
        app.use((req, res) => res.status(404)  // after the routes
          .type('application/problem+json')
          .json({type: 'about:blank', title: 'Not Found', status: 404, instance: req.path}));
    """,
    "fastapi": """
        async def not_found(request, error):
            body = {"type": "about:blank", "title": "Not Found", "status": 404, "instance": request.url.path}
            return JSONResponse(body, 404, media_type="application/problem+json")

        app.add_exception_handler(404, not_found)
    """,
    "django": """
        # urls.py; needs DEBUG = False
        handler404 = "shop.errors.not_found"

        # shop/errors.py
        def not_found(request, exception):
            body = {"type": "about:blank", "title": "Not Found", "status": 404, "instance": request.path}
            return JsonResponse(body, status=404, content_type="application/problem+json")
    """,
    "nginx": r"""
        # in server {}; for what never reaches the application
        error_page 404 @not_found;
        location @not_found {
            default_type application/problem+json;
            return 404 "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404}";
        }
    """,
}
FRAMEWORK_PAGE = {
    "express": """
        app.use((req, res) => res.status(404).format({  // after the routes
          json: () => res.json({code: 'not_found', message: 'no such resource'}),
          html: () => res.render('404'),
        }));
    """,
    "fastapi": """
        async def not_found(request, error):
            if "text/html" in request.headers.get("accept", ""):
                return templates.TemplateResponse(request, "404.html", status_code=404)
            return JSONResponse({"code": "not_found", "message": "no such resource"}, 404)

        app.add_exception_handler(404, not_found)
    """,
    "django": """
        # settings.py: DEBUG = False, and a templates/404.html of your own
        DEBUG = False
    """,
    "nginx": """
        # in server {}; in your page <!--#echo var="status" --> and <!--#echo var="request_id" --> are replaced
        error_page 400 403 404 405 413 414 429 500 502 503 504 /error.html;
        error_page 494 =400 /error.html;
        location = /error.html {
            internal;
            root /srv/errors;
            ssi on;
        }
    """,
}
HANDLER = {
    "express": """
        app.use((err, req, res, next) => {  // last of all
          const status = err.status ?? 500;
          if (status >= 500) req.log.error({err, requestId: req.id});
          res.status(status).json({
            code: status >= 500 ? 'internal' : err.code ?? 'bad_request',
            message: status >= 500 ? 'something went wrong' : err.message,
            requestId: req.id,
          });
        });
    """,
    "fastapi": """
        async def failed(request, error):
            status = getattr(error, "status_code", 500)
            if status >= 500:
                log.exception("request %s failed", request.state.request_id, exc_info=error)
            message = "something went wrong" if status >= 500 else str(error.detail)
            code = "internal" if status >= 500 else "bad_request"
            return JSONResponse({"code": code, "message": message, "requestId": request.state.request_id}, status)

        app.add_exception_handler(HTTPException, failed)
        app.add_exception_handler(Exception, failed)
    """,
    "django": """
        # shop/middleware.py, named in MIDDLEWARE; and DEBUG = False
        class JsonErrors:
            def __init__(self, get_response):
                self.get_response = get_response

            def __call__(self, request):
                return self.get_response(request)

            def process_exception(self, request, error):
                log.exception("request %s failed", request.id)
                body = {"code": "internal", "message": "something went wrong", "requestId": request.id}
                return JsonResponse(body, status=500)
    """,
    "nginx": r"""
        # in server {}; for errors that the proxy makes itself
        error_page 400 413 414 431 502 503 504 @error;
        error_page 494 =400 @error;
        location @error {
            default_type application/json;
            return 503 "{\"code\":\"unavailable\",\"message\":\"try again\",\"requestId\":\"$request_id\"}";
        }
    """,
}
LEAK = {
    "express": """
        // and NODE_ENV=production in the environment
        app.use((err, req, res, next) => {  // last of all
          req.log.error({err, requestId: req.id});
          res.status(500).json({code: 'internal', message: 'something went wrong', requestId: req.id});
        });
    """,
    "fastapi": """
        app = FastAPI(debug=False)

        async def failed(request, error):
            log.exception("request %s failed", request.state.request_id, exc_info=error)
            body = {"code": "internal", "message": "something went wrong", "requestId": request.state.request_id}
            return JSONResponse(body, 500)

        app.add_exception_handler(Exception, failed)
    """,
    "django": """
        # settings.py
        DEBUG = False
        ALLOWED_HOSTS = ["www.example.com"]
    """,
    "nginx": r"""
        # in server {}; hides what the application says until it says less
        proxy_intercept_errors on;
        error_page 500 502 504 @failed;
        location @failed {
            default_type application/json;
            return 500 "{\"code\":\"internal\",\"message\":\"something went wrong\",\"requestId\":\"$request_id\"}";
        }
    """,
}
REQUEST_ID = {
    "nginx": """
        # in server {}
        add_header X-Request-Id $request_id always;
        # where there is an application, so that it can put the id into its log and its errors:
        # proxy_set_header X-Request-Id $request_id;
    """,
    "express": """
        app.use((req, res, next) => {  // before everything else
          req.id = crypto.randomUUID();
          res.set('X-Request-Id', req.id);
          next();
        });
        app.use((err, req, res, next) => res.status(err.status ?? 500)  // last of all
          .json({code: 'internal', message: 'something went wrong', requestId: req.id}));
    """,
    "fastapi": """
        async def identify(request, call_next):
            request.state.request_id = uuid4().hex
            response = await call_next(request)
            response.headers["X-Request-Id"] = request.state.request_id
            return response

        async def failed(request, error):
            body = {"code": "error", "message": str(error.detail), "requestId": request.state.request_id}
            return JSONResponse(body, error.status_code)

        app.add_middleware(BaseHTTPMiddleware, dispatch=identify)
        app.add_exception_handler(HTTPException, failed)
    """,
    "django": """
        # shop/middleware.py, first in MIDDLEWARE; errors then name request.id in their body
        def identify(get_response):
            def respond(request):
                request.id = uuid4().hex
                response = get_response(request)
                response["X-Request-Id"] = request.id
                return response
            return respond
    """,
}
STATUS_CODES = {
    "express": """
        // not res.json({success: false})
        app.use((err, req, res, next) => res.status(err.status ?? 500)
          .json({code: err.code ?? 'internal', message: err.expose ? err.message : 'something went wrong'}));
    """,
    "fastapi": """
        # not return {"success": False}
        raise HTTPException(status_code=409, detail={"code": "out_of_stock", "message": "none left"})
    """,
    "django": """
        # not JsonResponse({"success": False})
        response = JsonResponse({"code": "out_of_stock", "message": "none left"}, status=409)
    """,
}
RETRY_AFTER = {
    "express": """
        res.set('Retry-After', '5').status(503).json({code: 'unavailable', message: 'try again in 5 s'});
    """,
    "fastapi": 'raise HTTPException(503, {"code": "unavailable"}, headers={"Retry-After": "5"})',
    "django": 'response = JsonResponse({"code": "unavailable"}, status=503, headers={"Retry-After": "5"})',
    "nginx": r"""
        # in http {}
        map $status $retry_busy {
            default "";
            ~^50[234]$ 5;
        }
        # in server {}
        add_header Retry-After $retry_busy always;
        error_page 502 503 504 @busy;
        location @busy {
            default_type application/json;
            return 503 "{\"code\":\"unavailable\",\"message\":\"try again in 5 s\"}";
        }
    """,
}
