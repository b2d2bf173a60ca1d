"""Fixes for what the service does with values from outside, by stack; first what is to be tried first."""

from __future__ import annotations

NOSQL_OPERATORS = {
    "express": """
        app.set('query parser', 'simple');  // q[$ne]=x makes no object
        const query = z.object({q: z.string().max(100)}).parse(req.query);  // in each handler
    """,
    "fastapi": """
        @app.get("/api/search")
        async def search(q: Annotated[str, Query(max_length=100)] = ""):
            return await products.find({"name": {"$eq": q}}).to_list(50)
    """,
    "django": """
        q = str(request.GET.get("q", ""))[:100]
        found = products.find({"name": {"$eq": q}}).limit(50)
    """,
}
SQL_QUOTES = {
    "node": """
        // never a template string
        const {rows} = await pool.query('SELECT * FROM products WHERE name = $1', [name]);
    """,
    "django": """
        products = Product.objects.filter(name=name)
        products = Product.objects.raw("SELECT * FROM shop_product WHERE name = %s", [name])  # never formatted
    """,
    "python": 'cursor.execute("SELECT * FROM products WHERE name = %s", (name,))  # never a formatted string',
}
REFLECTION = {
    "express": """
        // in the template <%= q %>, which escapes, never <%- q %>
        app.get('/search', (req, res) => res.render('search', {q: String(req.query.q ?? '')}));
    """,
    "fastapi": """
        templates = Jinja2Templates(directory="templates")  # escapes in .html files; no |safe on values of a request

        @app.get("/search")
        async def search(request: Request, q: str = ""):
            return templates.TemplateResponse(request, "search.html", {"q": q})
    """,
    "django": """
        # {{ q }} is escaped: take |safe, mark_safe and {% autoescape off %} away from it
        page = render(request, "search.html", {"q": request.GET.get("q", "")})
    """,
}
MALFORMED = {
    "express": """
        app.use(express.json({strict: true, limit: '100kb'}));
        app.post('/api/orders', (req, res) => {
          const order = Order.safeParse(req.body);  // a zod schema
          if (!order.success) return res.status(422).json({code: 'invalid', issues: order.error.issues});
          return create(order.data, res);
        });
    """,
    "fastapi": """
        class Order(BaseModel):
            model_config = ConfigDict(extra="forbid")
            product: str
            quantity: Annotated[int, Field(gt=0, le=100)]

        @app.post("/api/orders")
        async def create(order: Order): ...  # anything else is answered with 422
    """,
    "django": """
        def create(request):
            try:
                form = OrderForm(json.loads(request.body))
            except ValueError:
                return JsonResponse({"code": "bad_json"}, status=400)
            if not form.is_valid():
                return JsonResponse({"code": "invalid", "errors": form.errors}, status=422)
            return save(form)
    """,
}
