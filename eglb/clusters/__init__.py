"""Launch files of a cluster, read and checked without one: for ``ray up``, and for KubeRay.

`checking` is the front door. `reading` turns a file into documents that remember where everything stands,
`launcher` and `kuberay` know their kind of file, `rules` what every cluster of agents needs. Nothing here
starts, reaches or imports Ray; a launch file is never written.
"""

__all__ = [
    "check_tables",
    "checking",
    "commands",
    "kuberay",
    "launcher",
    "reading",
    "rules",
    "schemas",
]
