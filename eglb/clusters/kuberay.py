"""Files for KubeRay, Ray's operator on Kubernetes: a RayCluster stays, a RayJob brings one and goes."""

from __future__ import annotations

from collections.abc import Sequence

from eglb.clusters.commands import installs_eglb, simple_commands
from eglb.clusters.reading import Findings, Place, shown
from eglb.clusters.rules import (
    LABEL,
    Cluster,
    Group,
    check_groups,
    check_label_words,
    check_no_region,
    check_region,
    check_versions,
    is_rays_image,
)
from eglb.clusters.schemas import check_schema, kuberay_schema

KINDS = ("RayCluster", "RayJob")
_LONGEST = {"RayCluster": 53, "RayJob": 47}
"""Names that the operator can still make names of pods and services from."""


def read_kuberay(document: Place, regions: Sequence[str], scenario: str, findings: Findings) -> Cluster:
    """What a RayCluster or RayJob starts; all that is wrong with it goes to `findings`."""
    check_schema(document, kuberay_schema(), findings)
    kind, name = document.at("kind").text, document.at("metadata", "name")
    if len(name.text) > _LONGEST[kind]:
        findings.wrong(name, f"{shown(name.text)} is longer than {_LONGEST[kind]} characters")
    spec = document.at("spec")
    if kind == "RayJob":
        _check_job(spec, findings)
        spec = spec.at("rayClusterSpec")
    head, workers = spec.at("headGroupSpec"), spec.at("workerGroupSpecs").below()
    _check_head(head, findings)
    groups = [_group(place, spec, regions, scenario, findings) for place in workers]
    names = [group.name for group in groups]
    for place, group in zip(workers, groups, strict=True):
        if names.count(group.name) > 1:
            findings.wrong(place.at("groupName"), f"{shown(group.name)} stands twice")
    check_groups(groups, spec.at("workerGroupSpecs"), regions, findings)
    return Cluster(
        kind=f"KubeRay {kind}",
        name=name.text,
        head="a pod",
        groups=tuple(groups),
        token=_check_token(spec, [head, *workers], kind, findings),
        wheel=_check_wheel([head, *workers], findings),
        versions=check_versions(document, findings),
    )


def _check_job(spec: Place, findings: Findings) -> None:
    """A job runs on the cluster that it brings."""
    entrypoint = spec.at("entrypoint")
    if not entrypoint.there and spec.at("submissionMode").text != "InteractiveMode":
        findings.wrong(spec, "entrypoint is missing: it is what the job runs")
    for words in simple_commands(entrypoint.text):
        if words[:1] == ["eglb"] and not any(word.partition("=")[0] == "--address" for word in words):
            findings.wrong(
                entrypoint,
                f"{shown(entrypoint.text)} starts a cluster of its own on the head: add --address auto",
            )


def _check_head(head: Place, findings: Findings) -> None:
    """The head offers no CPU to actors, and has no region."""
    _check_group(head, findings)
    check_no_region(head.at("labels", LABEL), findings)
    cpus = head.at("rayStartParams", "num-cpus")
    cpus = cpus if cpus.there else head.at("resources", "cpu")
    if not cpus.there:
        findings.wrong(head.at("rayStartParams"), 'is to say num-cpus: "0": the head takes no agents')
    elif str(cpus.value) != "0":
        findings.wrong(cpus, f'{shown(cpus.value)} must be "0": the head takes no agents')


def _check_group(group: Place, findings: Findings) -> None:
    """What the operator would refuse in a group, and what Kubernetes would in its pods."""
    parameters = group.at("rayStartParams")
    if parameters.at("labels").there:
        findings.wrong(
            parameters.at("labels"), "is refused by the operator: labels stand in the group's own `labels`"
        )
    for key in ("num-cpus", "num-gpus", "memory", "resources"):
        if parameters.at(key).there and group.at("resources").mapping:
            findings.wrong(parameters.at(key), "is refused beside the group's own `resources`: keep one")
    check_label_words(group.at("labels"), findings)
    pod = group.at("template", "spec")
    volumes = [volume.at("name").text for volume in pod.at("volumes").below()]
    for container in [*pod.at("containers").below(), *pod.at("initContainers").below()]:
        for mount in container.at("volumeMounts").below():
            name = mount.at("name")
            if name.text and name.text not in volumes:
                findings.wrong(name, f"{shown(name.text)} is none of the pod's volumes")


def _group(place: Place, spec: Place, regions: Sequence[str], scenario: str, findings: Findings) -> Group:
    """A group of workers."""
    _check_group(place, findings)
    for cpus in (place.at("rayStartParams", "num-cpus"), place.at("resources", "cpu")):
        if cpus.text == "0":
            findings.wrong(cpus, "0: an agent asks for a little CPU, and finds none here")
    region = place.at("labels", LABEL)
    if region.text:
        check_region(region, region.text, regions, scenario, findings)
    scales = spec.at("enableInTreeAutoscaling").value is True
    replicas, least, most = (place.at(key).whole for key in ("replicas", "minReplicas", "maxReplicas"))
    if not scales and (least is None or most is None):
        findings.wrong(
            place, "minReplicas and maxReplicas must both be there where nothing scales the cluster"
        )
    low, high = least or 0, most if most is not None else max(replicas or 0, least or 0)
    if low > high:
        findings.wrong(place, f"minReplicas {low} is above maxReplicas {high}")
    elif replicas is not None and not low <= replicas <= high:
        findings.wrong(
            place.at("replicas"), f"{replicas} is not between minReplicas {low} and maxReplicas {high}"
        )
    started = low if scales else max(low, replicas or 0)
    return Group(place.at("groupName").text or str(place), started, high, region.text or None)


def _check_token(spec: Place, groups: list[Place], kind: str, findings: Findings) -> str:
    """Ray runs whatever code anybody sends it, unless it asks for a token."""
    options = spec.at("authOptions")
    for group in groups:
        for variable in group.at("template", "spec").texts():
            holder = variable.keys[:-1]
            if variable.key == "value" and _variable(spec, holder) == "RAY_AUTH_TOKEN":
                findings.wrong(
                    variable, "a secret does not belong in this file: name it with valueFrom.secretKeyRef"
                )
    if options.at("enableK8sTokenAuth").value is True and kind == "RayJob":
        findings.wrong(options.at("enableK8sTokenAuth"), "is not supported by the operator for a RayJob")
    modes = {_environment(group).get("RAY_AUTH_MODE", "") for group in groups}
    if options.at("mode").text == "token":
        if modes - {"", "token"}:
            findings.wrong(options, f"RAY_AUTH_MODE={max(modes)} in a container turns it off there")
        secret = options.at("secretName").text
        return f"secret {secret}" if secret else "a secret that the operator makes"
    if not options.at("mode").there and modes == {"token"}:
        for group in groups:
            if "RAY_AUTH_TOKEN" not in _environment(group):
                findings.wrong(group, "RAY_AUTH_MODE is token, but there is no RAY_AUTH_TOKEN")
        return "RAY_AUTH_TOKEN of every container"
    said = f"{shown(options.at('mode').value)}: " if options.at("mode").there else ""
    findings.wrong(
        options.at("mode"), f"{said}must be token: else whoever reaches the cluster could run code on it"
    )
    return ""


def _variable(spec: Place, keys: tuple[str | int, ...]) -> str:
    """The name of the environment variable at a path, counted from the document's root."""
    return spec.at(*keys[len(spec.keys) :]).at("name").text


def _environment(group: Place) -> dict[str, str]:
    """What Ray's container, the first of its pod, has in its environment; "" for a value from elsewhere."""
    variables = group.at("template", "spec", "containers", 0, "env").below()
    return {variable.at("name").text: variable.at("value").text for variable in variables}


def _check_wheel(groups: list[Place], findings: Findings) -> str:
    """Every pod has the project: installed before Ray starts, or in an image of one's own."""
    where = set()
    for group in groups:
        container = group.at("template", "spec", "containers", 0)
        installs = installs_eglb(container.at("args")) or installs_eglb(container.at("command"))
        if installs is not None:
            where.add("installed as its pods start")
            if "requirements.lock" not in installs.text:
                findings.note(
                    installs,
                    "without --constraint requirements.lock the pods get other versions than were tested",
                )
        elif is_rays_image(container.at("image").text):
            findings.wrong(
                container.at("args"),
                "nothing installs eglb in this pod: pip install its wheel, or build an image",
            )
        else:
            where.add(f"in the image {container.at('image').text}")
    return ", ".join(sorted(where))
