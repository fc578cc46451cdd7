"""The HTTP service: ASGI application, endpoints, schemas, middleware, the dashboard."""
