"""Files for Ray's cluster launcher, ``ray up``: on a cloud, and on machines of one's own (type ``local``)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from eglb.clusters.commands import Start, chosen_by_address, installs_eglb, ray_starts
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
    some,
)
from eglb.clusters.schemas import check_schema, launcher_schema
from eglb.scenarios.folder.tables import suggest

_HEAD, _WORKER = "head_start_ray_commands", "worker_start_ray_commands"
_PROVIDERS = ("aliyun", "aws", "azure", "external", "gcp", "local", "vsphere")
_PORT = "6379"
_TOKEN_FILE = ".ray/auth_token"
_SECRET = f"a secret does not belong in this file; mount ~/{_TOKEN_FILE}"


@dataclass
class _Reader:
    """One file and what is found in it; `regions` are those of `scenario`."""

    document: Place
    regions: Sequence[str]
    scenario: str
    findings: Findings

    def at(self, *keys: str | int) -> Place:
        return self.document.at(*keys)


def read_launcher(document: Place, regions: Sequence[str], scenario: str, findings: Findings) -> Cluster:
    """What a launcher's file starts; all that is wrong with it goes to `findings`."""
    file = _Reader(document, regions, scenario, findings)
    provider = file.at("provider", "type").text
    local = provider == "local"
    if provider and provider not in _PROVIDERS:
        near = suggest(provider, _PROVIDERS) or f"; there are {', '.join(_PROVIDERS)}"
        findings.wrong(
            file.at("provider", "type"), f"{shown(provider)} is nothing that Ray starts nodes on{near}"
        )
    # Ray takes this key away before it looks at its schema.
    known = {key: value for key, value in document.mapping.items() if not (local and key == "min_workers")}
    check_schema(Place(document.file, known), launcher_schema(), findings)
    versions = check_versions(document, findings)
    heads, workers = ray_starts(file.at(_HEAD)), ray_starts(file.at(_WORKER))
    _check_starts(file, heads, workers)
    if local:
        head, groups = _own_machines(file, heads, workers)
    else:
        head, groups = _node_types(file, heads, workers)
    check_groups(
        groups,
        file.at("provider", "worker_ips") if local else file.at("available_node_types"),
        regions,
        findings,
    )
    return Cluster(
        kind=f"ray up on {'your own machines' if local else provider or 'an unknown provider'}",
        name=file.at("cluster_name").text,
        head=head,
        groups=tuple(groups),
        token=_check_token(file, heads, workers),
        wheel=_check_wheel(file),
        versions=versions,
    )


def _check_starts(file: _Reader, heads: list[Start], workers: list[Start]) -> None:
    """Head and workers are started as such, and find each other."""
    for key, starts in ((_HEAD, heads), (_WORKER, workers)):
        if not starts:
            file.findings.wrong(file.at(key), "there is no `ray start`: Ray's own commands know no token")
    for start in heads:
        if "--head" not in start.options:
            file.findings.wrong(start.place, "`ray start` without --head starts no head")
        if "--autoscaling-config" not in start.options:
            wanted = "--autoscaling-config=~/ray_bootstrap_config.yaml"
            file.findings.wrong(start.place, f"without {wanted} the head starts no worker")
        cpus = start.options.get("--num-cpus", "0")
        if cpus != "0":
            file.findings.wrong(
                start.place, f"--num-cpus={cpus}: the head takes no agents, so it is to offer 0"
            )
    ports = {start.options.get("--port", _PORT) for start in heads} or {_PORT}
    for start in workers:
        if "--head" in start.options:
            file.findings.wrong(start.place, "--head: a worker joins a cluster, it does not start one")
            continue
        address = start.options.get("--address", "")
        host, _, port = address.rpartition(":")
        if host not in ("$RAY_HEAD_IP", "${RAY_HEAD_IP}"):
            what = f"--address={address}" if address else "`ray start` without --address"
            file.findings.wrong(
                start.place, f"{what} does not join the head: write --address=$RAY_HEAD_IP:{_PORT}"
            )
        elif port not in ports:
            file.findings.wrong(
                start.place, f"--address={address}, but the head listens on {', '.join(ports)}"
            )


def _node_types(file: _Reader, heads: list[Start], workers: list[Start]) -> tuple[str, list[Group]]:
    """Nodes of a cloud: (type of the head, groups of the others)."""
    types, findings = file.at("available_node_types"), file.findings
    head = file.at("head_node_type")
    if not types.there:
        findings.wrong(types, "is missing: it says which nodes there are, and whose agents run there")
    if not head.there:
        findings.wrong(head, "is missing: it names the node type of the head")
    elif head.text not in types.mapping:
        names = [str(key) for key in types.mapping]
        near = suggest(head.text, names) or f": {some(names)}"
        findings.wrong(head, f"{shown(head.value)} is no node type{near}")
    total = file.at("max_workers")
    if not total.there:
        findings.wrong(total, "is missing: the launcher would start 2 workers at most")
    limit = total.whole if total.whole is not None else 0
    groups = []
    for place in types.below():
        labels = place.at("labels")
        check_label_words(labels, findings)
        region = labels.at(LABEL)
        if place.key == head.text:
            _check_head(place, heads, findings)
            continue
        if region.text:
            check_region(region, region.text, file.regions, file.scenario, findings)
        least = place.at("min_workers").whole or 0
        most = place.at("max_workers").whole
        most = limit if most is None else most
        for count, key in ((least, "min_workers"), (most, "max_workers")):
            if count < 0:
                findings.wrong(place.at(key), f"{count} must be at least 0")
        if place.at("resources", "CPU").whole == 0:
            findings.wrong(
                place.at("resources", "CPU"), "0: an agent asks for a little CPU, and finds none here"
            )
        if least > most:
            findings.wrong(place, f"min_workers {least} is above max_workers {most}")
        if most > limit and total.there:
            findings.wrong(place.at("max_workers"), f"{most} is above the cluster's max_workers, {limit}")
        groups.append(Group(place.key, least, most, region.text or None))
    if total.there and sum(group.least for group in groups) > limit:
        least = sum(group.least for group in groups)
        findings.wrong(
            total, f"{limit} is below the sum of all min_workers, {least}: the launcher refuses that"
        )
    for start in workers:
        if LABEL in start.labels:
            findings.wrong(start.place, f"--labels: a node type's `labels` are what says the {LABEL} here")
    return f"node type {head.text}", groups


def _check_head(place: Place, heads: list[Start], findings: Findings) -> None:
    check_no_region(place.at("labels", LABEL), findings)
    cpus = place.at("resources", "CPU")
    if not cpus.there:
        findings.wrong(place.at("resources"), 'is to say {"CPU": 0}: the head takes no agents')
    elif cpus.whole != 0:
        findings.wrong(cpus, f"{shown(cpus.value)} must be 0: the head takes no agents")
    for start in heads:
        if LABEL in start.labels:
            check_no_region(Place(place.file, start.options["--labels"], start.place.keys), findings)


def _own_machines(file: _Reader, heads: list[Start], workers: list[Start]) -> tuple[str, list[Group]]:
    """Machines by address: (the head's, a group for each of the others)."""
    findings = file.findings
    for key in ("available_node_types", "head_node_type"):
        if file.at(key).there:
            findings.wrong(file.at(key), "Ray refuses it for machines of one's own")
    head, workers_at = file.at("provider", "head_ip"), file.at("provider", "worker_ips")
    if file.at("provider", "coordinator_address").there:
        findings.wrong(
            file.at("provider", "coordinator_address"), "with it nobody knows which machine is whose"
        )
    for place in (head, workers_at):
        if not place.there:
            findings.wrong(place, "is missing")
    addresses = [place.text for place in workers_at.below()]
    for place in workers_at.below():
        if not place.text:
            findings.wrong(place, f"{shown(place.value)} must be an address")
        elif place.text == head.text:
            findings.wrong(place, f"{place.text} is the head's address too: it takes no agents")
        elif addresses.count(place.text) > 1:
            findings.wrong(place, f"{place.text} stands twice")
    for start in heads:
        if "--num-cpus" not in start.options:
            findings.wrong(start.place, "`ray start` without --num-cpus=0: the head takes no agents")
        if LABEL in start.labels:
            check_no_region(Place(start.place.file, start.options["--labels"], start.place.keys), findings)
    total = file.at("max_workers")
    if total.whole is not None and total.whole < len(addresses):
        findings.wrong(total, f"{total.whole} leaves out some of the {len(addresses)} machines in worker_ips")
    regions = _regions_by_address(file, workers, addresses)
    return head.text, [Group(address, 1, 1, regions.get(address)) for address in addresses if address]


def _regions_by_address(file: _Reader, workers: list[Start], addresses: Sequence[str]) -> dict[str, str]:
    """The region that the start command gives to each machine."""
    found: dict[str, str] = {}
    for start in workers:
        labels = start.labels
        written = {key: value for key, value in labels.items() if not value.startswith("$")}
        check_label_words(Place(start.place.file, written, start.place.keys), file.findings)
        value = labels.get(LABEL, "")
        if variable := re.fullmatch(r"\$\{?(\w+)\}?", value):
            chosen = chosen_by_address(start.place.text, variable[1])
            for address in [address for address in chosen if address not in addresses]:
                file.findings.wrong(start.place, f"{shown(address)} is none of provider.worker_ips")
        else:
            chosen = dict.fromkeys(addresses, value) if value else {}
        for region in dict.fromkeys(chosen.values()):
            check_region(start.place, region, file.regions, file.scenario, file.findings)
        found |= chosen
    return found


def _check_token(file: _Reader, heads: list[Start], workers: list[Start]) -> str:
    """Ray runs whatever code anybody sends it, unless it asks for a token."""
    findings, paths = file.findings, set[str]()
    for role, starts in (("head", heads), ("worker", workers)):
        given = _container_environment(file, role)
        for start in starts:
            environment = given | dict(start.environment)
            mode = environment.get("RAY_AUTH_MODE", "")
            if mode != "token":
                said = f"RAY_AUTH_MODE={mode}" if mode else "there is no RAY_AUTH_MODE"
                findings.wrong(
                    start.place,
                    f"{said}: whoever reaches the cluster could run code on it; write RAY_AUTH_MODE=token "
                    "before `ray start`, or --env=RAY_AUTH_MODE=token in docker.run_options",
                )
            if environment.get("RAY_USAGE_STATS_ENABLED") != "0":
                findings.note(
                    start.place, "RAY_USAGE_STATS_ENABLED is not 0: Ray reports usage to its makers"
                )
            if start.environment.get("RAY_AUTH_TOKEN", "$")[:1] != "$":
                findings.wrong(start.place, f"RAY_AUTH_TOKEN: {_SECRET}")
            paths.add(environment.get("RAY_AUTH_TOKEN_PATH", ""))
    for place in file.at("docker").texts():
        if "RAY_AUTH_TOKEN=" in place.text:
            findings.wrong(place, f"RAY_AUTH_TOKEN: {_SECRET}")
    for place in file.at("file_mounts").below():
        if place.key.endswith(_TOKEN_FILE) and place.text:
            return f"{place.text} of whoever starts it"
    if paths and all(paths):
        return ", ".join(sorted(paths)) + " on every node"
    findings.wrong(
        file.at("file_mounts"),
        f"the nodes have no token: mount the one of `ray get-auth-token --generate`, ~/{_TOKEN_FILE}",
    )
    return ""


def _container_environment(file: _Reader, role: str) -> dict[str, str]:
    """What docker is told to set in the containers of the head or the workers, if there are any."""
    if not _image(file, role).text:
        return {}
    words: list[str] = []
    for key in ("run_options", f"{role}_run_options"):
        for place in file.at("docker", key).below():
            words += place.text.split()
    pairs = []
    for number, word in enumerate(words):
        if word.startswith("--env="):
            pairs.append(word.removeprefix("--env="))
        elif word in ("-e", "--env") and number + 1 < len(words):
            pairs.append(words[number + 1])
    return {name: value for name, equals, value in (pair.partition("=") for pair in pairs) if equals}


def _image(file: _Reader, role: str) -> Place:
    """The image of the head's or the workers' containers."""
    own = file.at("docker", f"{role}_image")
    return own if own.there else file.at("docker", "image")


def _check_wheel(file: _Reader) -> str:
    """Every node has the project: installed as it is set up, or in an image of one's own."""
    ways = set()
    for role in ("head", "worker"):
        image = _image(file, role)
        keys = ("setup_commands", f"{role}_setup_commands")
        found = next((place for key in keys if (place := installs_eglb(file.at(key)))), None)
        if found is not None:
            _check_constraint(found, file.findings)
            ways.add(f"installed by {found.keys[0]}")
        elif image.text and not is_rays_image(image.text):
            ways.add(f"in the image {image.text}")
        else:
            who = "head" if role == "head" else "workers"
            file.findings.wrong(
                file.at("setup_commands"), f"nothing installs eglb on the {who}: pip install its wheel"
            )
    for place in file.at("available_node_types").below():
        own = place.at("worker_setup_commands")
        if own.there and place.key != file.at("head_node_type").text and not installs_eglb(own):
            file.findings.wrong(own, "takes the place of setup_commands here, and does not install eglb")
    return ", ".join(sorted(ways))


def _check_constraint(place: Place, findings: Findings) -> None:
    if "requirements.lock" not in place.text:
        findings.note(
            place, "without --constraint requirements.lock the nodes get other versions than were tested"
        )
