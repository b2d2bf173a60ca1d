"""A small marketplace of artisans: products, users and orders over MongoDB, with a cache, as ASGI.

`python -m readiness.demo.service SETTINGS.json` serves it. What distinguishes one deployment of it from another is in
`settings.Settings` only.
"""
