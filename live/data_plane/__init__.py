"""Weights of a slot, into proxies that people already run: HAProxy, NGINX, Envoy.

Every proxy listens on a port for each gateway and knows each region as a place to send requests to. `plane`
says what a data plane is, `settings` reads the file that declares one, `haproxy`, `nginx` and `envoy` each
write a whole starting configuration and put weights in force, `keeping` sees to it that they stay so. Nothing
here decides a weight, and no request passes through here.
"""

__all__ = [
    "envoy",
    "haproxy",
    "keeping",
    "nginx",
    "plane",
    "settings",
]
