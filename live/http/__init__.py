"""The HTTP service: ASGI application, endpoints, schemas, middleware, the dashboard."""

__all__ = [
    "api",
    "dashboard",
    "jobs",
    "middleware",
    "responses",
    "schemas",
    "server",
]
