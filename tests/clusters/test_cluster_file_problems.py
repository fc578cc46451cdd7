"""Every way of breaking a launch file is said with its place and value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.launch_files import AWS, CLUSTER, JOB, PIN, PREMISE, apart, checked

GONE = object()


@dataclass(frozen=True)
class As:
    """What stands there, under another key."""

    key: str


@dataclass(frozen=True)
class Swap:
    """What stands there, with some words changed."""

    old: str
    new: str


def change(document: Any, path: str, what: Any) -> None:
    """Put something at a path; at the end of a list, its number is the list's length."""
    keys = [int(word[1:-1]) if word[0] == "[" else word for word in re.findall(r"\[\d+\]|[^.\[]+", path)]
    for key in keys[:-1]:
        document = document[key]
    key = keys[-1]
    if what is GONE:
        del document[key]
    elif isinstance(what, As):
        document[what.key] = document.pop(key)
    elif isinstance(what, Swap):
        assert what.old in document[key]
        document[key] = document[key].replace(what.old, what.new)
    elif isinstance(document, list) and key == len(document):
        document.append(what)
    else:
        document[key] = what


TYPES = "available_node_types"
HEAD_STARTS, WORKER_STARTS = "head_start_ray_commands[1]", "worker_start_ray_commands[1]"
POD, GROUPS = "spec.headGroupSpec.template.spec.containers[0]", "spec.workerGroupSpecs"
IMAGE = f"rayproject/ray:{PIN}"
OPEN = "whoever reaches the cluster could run code on it"
JOINS = "does not join the head: write --address=$RAY_HEAD_IP:6379"
SECRET = "a secret does not belong in this file"
NO_AGENTS = "the head takes no agents"
OTHER_RAY = f"is not the Ray of this project, {PIN}"

# A file that ships, where it is changed, into what, what is said then, and of which place if not of that.
BREAKS: list[tuple[str, str, Any, str] | tuple[str, str, Any, str, str]] = [
    # Form, as Ray's own schema has it.
    (AWS, "cluster_name", GONE, "cluster_name is missing", ""),
    (
        AWS,
        "max_workers",
        As("max_worker"),
        "is no key that is read here; did you mean max_workers?",
        "max_worker",
    ),
    (AWS, "max_workers", "ten", "'ten' must be a whole number"),
    (AWS, "max_workers", -1, "-1 must be at least 0"),
    (AWS, "provider", ["aws"], "['aws'] must be a mapping"),
    (AWS, "setup_commands", None, "None must be a list"),
    (AWS, "setup_commands[0]", {"pip": "install"}, "{'pip': 'install'} must be text"),
    (AWS, f"{TYPES}.tokyo.node_config", GONE, "node_config is missing", f"{TYPES}.tokyo"),
    (AWS, f"{TYPES}.tokyo", "c6i.large", "'c6i.large' must be a mapping"),
    (AWS, f"{TYPES}.tokyo.labels.region", False, "False must be text; put it in quotes"),
    (AWS, "provider.type", "asw", "'asw' is nothing that Ray starts nodes on; there are aliyun, aws"),
    # One Ray.
    (
        AWS,
        "docker.image",
        "rayproject/ray:2.9.0-py311",
        f"'rayproject/ray:2.9.0-py311' {OTHER_RAY}: write {IMAGE}-py",
    ),
    (
        AWS,
        "docker.image",
        "rayproject/ray:latest-py311",
        "'rayproject/ray:latest-py311' names no version of Ray",
    ),
    (AWS, "docker.image", "rayproject/ray", "'rayproject/ray' names no version of Ray"),
    (
        AWS,
        "docker.image",
        f"{IMAGE}-py39",
        f"'{IMAGE}-py39' has Python 3.9, eglb needs 3.11: write {IMAGE}-py311-cpu",
    ),
    (AWS, "docker.image", IMAGE, f"'{IMAGE}' names no Python, eglb needs 3.11"),
    (
        AWS,
        "docker.worker_image",
        "a.io/rayproject/ray-ml:2.44.1-py311",
        "'a.io/rayproject/ray-ml:2.44.1-py311' is not",
    ),
    (
        AWS,
        "setup_commands[1]",
        "pip install 'ray[default]==2.59.0'",
        f"'ray==2.59.0' is not the Ray of this project: ray=={PIN}",
    ),
    (
        AWS,
        "setup_commands[1]",
        "pip install -U ray[default]",
        f"installs ray[default] without a version: write ray[default]=={PIN}",
    ),
    (
        AWS,
        "setup_commands[1]",
        "pip install https://wheels/ray-3.0.0.dev0-cp311-linux.whl",
        f"'ray-3.0.0.dev0' {OTHER_RAY}",
    ),
    # Nodes.
    (AWS, "head_node_type", "cordinator", "'cordinator' is no node type; did you mean coordinator?"),
    (AWS, "head_node_type", GONE, "is missing: it names the node type of the head"),
    (AWS, TYPES, GONE, "is missing: it says which nodes there are"),
    (AWS, "max_workers", GONE, "is missing: the launcher would start 2 workers at most"),
    (AWS, "max_workers", 9, "9 is below the sum of all min_workers, 10"),
    (AWS, f"{TYPES}.tokyo.min_workers", 2, "min_workers 2 is above max_workers 1", f"{TYPES}.tokyo"),
    (AWS, f"{TYPES}.tokyo.min_workers", -1, "-1 must be at least 0"),
    (AWS, f"{TYPES}.tokyo.max_workers", 11, "11 is above the cluster's max_workers, 10"),
    (AWS, TYPES, {"coordinator": {}}, "there is no node for agents"),
    (AWS, f"{TYPES}.coordinator.resources", {}, f'is to say {{"CPU": 0}}: {NO_AGENTS}'),
    (AWS, f"{TYPES}.coordinator.resources.CPU", 2, f"2 must be 0: {NO_AGENTS}"),
    (AWS, f"{TYPES}.tokyo.resources", {"CPU": 0}, "0: an agent asks for a", f"{TYPES}.tokyo.resources.CPU"),
    # Regions.
    (AWS, f"{TYPES}.tokyo.labels.region", "tokio", "'tokio' is no region of world10; did you mean tokyo?"),
    (
        AWS,
        f"{TYPES}.tokyo.labels.region",
        "mars",
        "'mars' is no region of world10; there are virginia, california",
    ),
    (AWS, f"{TYPES}.tokyo.labels.region", "to kyo", "'to kyo' cannot be a label's value: up to 63 letters"),
    (AWS, f"{TYPES}.tokyo.labels.Region", "tokyo", "agents are not placed by it; did you mean region?"),
    (AWS, f"{TYPES}.tokyo.labels.my zone", "a", "'my zone' cannot be a label: up to 63 letters"),
    (
        AWS,
        f"{TYPES}.coordinator.labels.region",
        "tokyo",
        "'tokyo': the head runs the coordinator and no agent",
    ),
    # Start and authentication.
    (AWS, "docker.run_options", GONE, f"there is no RAY_AUTH_MODE: {OPEN}", HEAD_STARTS),
    (AWS, "docker.run_options", GONE, f"there is no RAY_AUTH_MODE: {OPEN}", WORKER_STARTS),
    (
        AWS,
        WORKER_STARTS,
        Swap("ray start", "RAY_AUTH_MODE=disabled ray start"),
        f"RAY_AUTH_MODE=disabled: {OPEN}",
    ),
    (
        AWS,
        WORKER_STARTS,
        Swap("ray start", "export RAY_AUTH_MODE=no; ray start"),
        f"RAY_AUTH_MODE=no: {OPEN}",
    ),
    (
        AWS,
        "file_mounts",
        {"/home/ray/eglb": "build/dist"},
        "the nodes have no token: mount the one of `ray get-auth-token",
    ),
    (AWS, "docker.run_options[2]", "-e RAY_AUTH_TOKEN=f00", f"RAY_AUTH_TOKEN: {SECRET}"),
    (AWS, "docker.image", GONE, f"there is no RAY_AUTH_MODE: {OPEN}", HEAD_STARTS),
    (AWS, HEAD_STARTS, Swap("ray start", "RAY_AUTH_TOKEN=f00 ray start"), f"RAY_AUTH_TOKEN: {SECRET}"),
    (AWS, "head_start_ray_commands", GONE, "there is no `ray start`: Ray's own commands know no token"),
    (AWS, "worker_start_ray_commands", ["ray stop"], "there is no `ray start`"),
    (AWS, HEAD_STARTS, Swap("--head", ""), "`ray start` without --head starts no head"),
    (
        AWS,
        HEAD_STARTS,
        Swap("--autoscaling-config", "--x"),
        "without --autoscaling-config=~/ray_bootstrap_config.yaml",
    ),
    (AWS, HEAD_STARTS, Swap("--num-cpus=0", "--num-cpus 4"), f"--num-cpus=4: {NO_AGENTS}"),
    (AWS, WORKER_STARTS, Swap(" --address=$RAY_HEAD_IP:6379", ""), f"`ray start` without --address {JOINS}"),
    (AWS, WORKER_STARTS, Swap("$RAY_HEAD_IP", "10.0.0.1"), f"--address=10.0.0.1:6379 {JOINS}"),
    (AWS, WORKER_STARTS, Swap(":6379", ":6380"), "--address=$RAY_HEAD_IP:6380, but the head listens on 6379"),
    (AWS, WORKER_STARTS, Swap("--address", "--head --address"), "--head: a worker joins a cluster"),
    (
        AWS,
        WORKER_STARTS,
        Swap("--address", "--labels=region=tokyo --address"),
        "--labels: a node type's `labels` are",
    ),
    # The wheel.
    (AWS, "setup_commands", [], "nothing installs eglb on the head: pip install its wheel"),
    (
        AWS,
        "setup_commands",
        ["echo eglb-*.whl"],
        "nothing installs eglb on the workers: pip install its wheel",
    ),
    (AWS, f"{TYPES}.tokyo.worker_setup_commands", ["ls"], "takes the place of setup_commands here"),
    # Machines of one's own.
    (PREMISE, "provider.head_ip", GONE, "is missing"),
    (PREMISE, "provider.worker_ips", GONE, "is missing"),
    (PREMISE, "provider.worker_ips", [], "there is no node for agents"),
    (PREMISE, "provider.worker_ips[4]", "192.0.2.10", "192.0.2.10 is the head's address too"),
    (PREMISE, "provider.worker_ips[4]", "192.0.2.11", "192.0.2.11 stands twice"),
    (PREMISE, "provider.worker_ips[4]", 12, "12 must be an address"),
    (
        PREMISE,
        "provider.worker_ips",
        ["192.0.2.12"],
        "'192.0.2.11' is none of provider.worker_ips",
        WORKER_STARTS,
    ),
    (PREMISE, "provider.coordinator_address", "a:1", "with it nobody knows which machine is whose"),
    (PREMISE, TYPES, {}, "Ray refuses it for machines of one's own"),
    (PREMISE, "max_workers", 2, "2 leaves out some of the 4 machines in worker_ips"),
    (
        PREMISE,
        WORKER_STARTS,
        Swap("=sydney", "=sidney"),
        "'sidney' is no region of world10; did you mean sydney?",
    ),
    (PREMISE, WORKER_STARTS, Swap('"region=$region"', "region=mars"), "'mars' is no region of world10"),
    (PREMISE, HEAD_STARTS, Swap(" --num-cpus=0", ""), f"`ray start` without --num-cpus=0: {NO_AGENTS}"),
    (
        PREMISE,
        HEAD_STARTS,
        Swap("--num-cpus", "--labels=region=tokyo --num-cpus"),
        "'region=tokyo': the head runs",
    ),
    # KubeRay: form.
    (CLUSTER, "apiVersion", "ray.io/v1alpha1", "'ray.io/v1alpha1' must be ray.io/v1"),
    (CLUSTER, "kind", "RayService", "'RayService' must be RayCluster or RayJob"),
    (CLUSTER, "metadata", GONE, "metadata is missing", ""),
    (
        CLUSTER,
        "metadata.name",
        "EGLB",
        "'EGLB' must be of small letters, digits and '-', and begin with a letter",
    ),
    (CLUSTER, "metadata.name", "e" * 60, f"'{'e' * 60}' is longer than 53 characters"),
    (CLUSTER, "spec", None, "is empty"),
    (CLUSTER, "spec.headGroupSpec", GONE, "headGroupSpec is missing", "spec"),
    (CLUSTER, GROUPS, [], "is empty"),
    (CLUSTER, GROUPS, {"a": 1}, "{'a': 1} must be a list"),
    (
        CLUSTER,
        f"{GROUPS}[2].labels",
        As("labls"),
        "is no key that is read here; did you mean labels?",
        f"{GROUPS}[2].labls",
    ),
    (CLUSTER, "spec.headGroupSpec.rayStartParams.num-cpus", 0, "0 must be text; put it in quotes"),
    (CLUSTER, "spec.headGroupSpec.template.spec.containers", [], "is empty"),
    (CLUSTER, f"{POD}.image", GONE, "image is missing", POD),
    (CLUSTER, f"{POD}.volumeMounts[0].name", "whel", "'whel' is none of the pod's volumes"),
    # KubeRay: what every cluster needs.
    (CLUSTER, "spec.rayVersion", "2.9.0", f"'2.9.0' {OTHER_RAY}"),
    (CLUSTER, "spec.rayVersion", GONE, "rayVersion is missing", "spec"),
    (
        CLUSTER,
        f"{POD}.image",
        "rayproject/ray:nightly-py311",
        "'rayproject/ray:nightly-py311' names no version of Ray",
    ),
    (CLUSTER, "spec.headGroupSpec.rayStartParams", {}, f'is to say num-cpus: "0": {NO_AGENTS}'),
    (CLUSTER, "spec.headGroupSpec.rayStartParams.num-cpus", "2", f"'2' must be \"0\": {NO_AGENTS}"),
    (
        CLUSTER,
        "spec.headGroupSpec.resources",
        {"cpu": "0"},
        "is refused beside",
        "spec.headGroupSpec.rayStartParams.num-cpus",
    ),
    (
        CLUSTER,
        "spec.headGroupSpec.labels.region",
        "tokyo",
        "'tokyo': the head runs the coordinator and no agent",
    ),
    (
        CLUSTER,
        f"{GROUPS}[1].labels.region",
        "californa",
        "'californa' is no region of world10; did you mean california?",
    ),
    (
        CLUSTER,
        f"{GROUPS}[1].rayStartParams.labels",
        "region=tokyo",
        "is refused by the operator: labels stand in the group",
    ),
    (CLUSTER, f"{GROUPS}[1].groupName", "virginia", "'virginia' stands twice"),
    (
        CLUSTER,
        f"{GROUPS}[1].minReplicas",
        GONE,
        "minReplicas and maxReplicas must both be there",
        f"{GROUPS}[1]",
    ),
    (CLUSTER, f"{GROUPS}[1].minReplicas", 2, "minReplicas 2 is above maxReplicas 1", f"{GROUPS}[1]"),
    (CLUSTER, f"{GROUPS}[1].resources", {"cpu": "0"}, "0: an agent", f"{GROUPS}[1].resources.cpu"),
    (CLUSTER, f"{GROUPS}[1].replicas", 3, "3 is not between minReplicas 1 and maxReplicas 1"),
    (CLUSTER, f"{GROUPS}[1].replicas", -1, "-1 must be at least 0"),
    (CLUSTER, "spec.authOptions", GONE, f"must be token: else {OPEN}", "spec.authOptions.mode"),
    (CLUSTER, "spec.authOptions.mode", "disabled", f"'disabled': must be token: else {OPEN}"),
    (CLUSTER, "spec.authOptions.mode", "tokn", "'tokn' must be token or disabled; did you mean token?"),
    (
        CLUSTER,
        "spec.authOptions",
        As("authOption"),
        "is no key that is read here; did you mean authOptions?",
        "spec.authOption",
    ),
    (
        CLUSTER,
        f"{POD}.env[1]",
        {"name": "RAY_AUTH_MODE", "value": "disabled"},
        "RAY_AUTH_MODE=disabled in a container",
        "spec.authOptions",
    ),
    (CLUSTER, f"{POD}.env[1]", {"name": "RAY_AUTH_TOKEN", "value": "f00"}, SECRET, f"{POD}.env[1].value"),
    (
        CLUSTER,
        f"{POD}.args",
        GONE,
        "nothing installs eglb in this pod: pip install its wheel, or build an image",
    ),
    (JOB, "spec.entrypoint", GONE, "entrypoint is missing: it is what the job runs", "spec"),
    (
        JOB,
        "spec.entrypoint",
        "eglb solve world10",
        "'eglb solve world10' starts a cluster of its own on the head",
    ),
    (JOB, "spec.rayClusterSpec", GONE, "rayClusterSpec is missing", "spec"),
    (
        JOB,
        "spec.rayClusterSpec.authOptions.enableK8sTokenAuth",
        True,
        "is not supported by the operator for a RayJob",
    ),
    (JOB, "metadata.name", "e" * 48, f"'{'e' * 48}' is longer than 47 characters"),
]


@pytest.mark.parametrize("case", BREAKS, ids=[f"{case[1]}: {case[3][:40]}" for case in BREAKS])
def test_a_broken_file_is_told_where_and_what(tmp_path: Path, case: tuple[Any, ...]) -> None:
    name, path, what, said, *where = case
    document = apart(name)
    change(document, path, what)
    problems = checked(tmp_path, document)
    place = where[0] if where else path
    assert any(problem.startswith(f"{place}: {said}" if place else said) for problem in problems), problems
    assert all(len(problem) < 400 for problem in problems)
