"""The manifest for Kubernetes fits the schemas of Kubernetes, the image of deploy/container and the settings that exist."""

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any

import kubernetes_validate
import pytest
import yaml

from mitto_phone_hook.config.rules import MEMORY
from mitto_phone_hook.config.settings import Settings, load, variables
from mitto_phone_hook.config.unknown_variables import unknown
from support.processes import ROOT

FILE = ROOT / "deploy" / "kubernetes" / "mitto-phone-hook.yaml"
TEXT = FILE.read_text(encoding="utf-8")
WITH_REDIS = re.sub(r"# (- name: \w+_FILE|  value: /)", r"\1", TEXT).replace("replicas: 1", "replicas: 2")
"""The manifest as its comments say for two instances."""
DOCKERFILE = (ROOT / "deploy" / "container" / "Dockerfile").read_text(encoding="utf-8")
DEPLOY_PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
OLDEST = "1.30"
SECRETS = {
    "api-key": "an-api-key-of-the-tests-0001",
    "hook-secrets": "a-hook-secret-of-the-tests-0001",
    "store-url": "redis://redis.example.com",
    "state-secret": "a-state-secret-of-the-tests-0001",
    "hook-secrets-okta": "a-secret-of-okta-in-the-tests-0001",
    "report-secrets": "a-report-secret-of-the-tests-0001",
}
OF_SOME = {"hook-secrets-okta", "report-secrets"}
"""Keys that only some need; the page says how to add them."""
SERVER_STOP_SECONDS = 30
"""How long the server waits for calls in flight: timeout_graceful_shutdown in http_server.py."""

Manifest = dict[str, Any]


def resources(text: str) -> dict[str, Manifest]:
    return {resource["kind"]: resource for resource in yaml.safe_load_all(text)}


def pod(text: str) -> Manifest:
    found: Manifest = resources(text)["Deployment"]["spec"]["template"]["spec"]
    return found


def container(text: str) -> Manifest:
    [only] = pod(text)["containers"]
    return dict(only)


def environment(text: str) -> dict[str, str]:
    """Give the variables of the container, as the ConfigMap and the Deployment set them."""
    [source] = container(text)["envFrom"]
    config = resources(text)["ConfigMap"]
    assert source == {"configMapRef": {"name": config["metadata"]["name"]}}
    own = {one["name"]: one["value"] for one in container(text)["env"]}
    assert not own.keys() & config["data"].keys()
    return {**config["data"], **own}


def settings(text: str) -> Settings:
    """Read the settings as the function does at its start, with the secret mounted where the manifest says."""
    [mount] = container(text)["volumeMounts"]
    [volume] = pod(text)["volumes"]
    assert (mount["name"], volume["secret"]["secretName"]) == (volume["name"], "mitto-phone-hook")

    def read_file(path: str) -> str:
        file = PurePosixPath(path)
        if str(file.parent) != mount["mountPath"]:
            raise FileNotFoundError(path)
        return SECRETS[file.name]

    return load(environment(text), read_file)


BOTH = pytest.mark.parametrize("text", [pytest.param(TEXT, id="one instance"), pytest.param(WITH_REDIS, id="two, with Redis")])


@BOTH
@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
def test_each_resource_fits_the_schema_of_kubernetes(version: str, text: str) -> None:
    assert list(resources(text)) == ["ConfigMap", "Deployment", "Service", "PodDisruptionBudget"]
    for resource in resources(text).values():
        assert version.startswith(kubernetes_validate.validate(resource, version, strict=True))


def _misspelt(deployment: Manifest) -> None:
    deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}


def _wrong_type(deployment: Manifest) -> None:
    deployment["spec"]["replicas"] = "1"


def _without_selector(deployment: Manifest) -> None:
    del deployment["spec"]["selector"]


@pytest.mark.parametrize("spoil", [_misspelt, _wrong_type, _without_selector])
def test_a_mistake_does_not_fit_the_schema(spoil: Callable[[Manifest], None]) -> None:
    deployment = copy.deepcopy(resources(TEXT)["Deployment"])
    spoil(deployment)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, kubernetes_validate.latest_version(), strict=True)


@BOTH
def test_the_function_starts_with_these_settings_and_warns_of_none(text: str) -> None:
    assert settings(text).allowed_regions
    assert unknown(environment(text)) == {}
    secret = {f"{variable.name}_FILE" for variable in variables() if variable.is_secret} | {"HOOK_SECRETS_OKTA_FILE"}
    assert {name for name in environment(text) if name.endswith("_FILE")} <= secret


def test_one_instance_needs_no_store_and_two_have_one() -> None:
    assert (resources(TEXT)["Deployment"]["spec"]["replicas"], settings(TEXT).store_url) == (1, MEMORY)
    assert (resources(WITH_REDIS)["Deployment"]["spec"]["replicas"], settings(WITH_REDIS).store_url) == (2, SECRETS["store-url"])


def test_no_secret_is_in_the_manifest() -> None:
    assert "Secret" not in resources(TEXT)
    assert not {variable.name for variable in variables() if variable.is_secret} & environment(TEXT).keys()


def test_a_rotated_secret_arrives_without_a_restart() -> None:
    [mount] = container(TEXT)["volumeMounts"]
    assert "subPath" not in mount
    assert "items" not in pod(TEXT)["volumes"][0]["secret"]


def test_the_images_user_may_read_the_secrets_and_nobody_else() -> None:
    context, [volume] = pod(TEXT)["securityContext"], pod(TEXT)["volumes"]
    [user, group] = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)[0]
    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (int(user), int(group), int(group))
    assert oct(volume["secret"]["defaultMode"]) == "0o440"


def test_the_pod_is_as_restricted_as_the_strictest_pod_security_standard() -> None:
    """See https://kubernetes.io/docs/concepts/security/pod-security-standards/, Restricted."""
    context = container(TEXT)["securityContext"]
    assert context == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert pod(TEXT)["securityContext"]["runAsNonRoot"] is True
    assert pod(TEXT)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {key for volume in pod(TEXT)["volumes"] for key in volume} == {"name", "secret"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & pod(TEXT).keys()


def test_port_and_probes_are_those_of_the_image() -> None:
    [port] = container(TEXT)["ports"]
    assert re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE) == [str(port["containerPort"])]
    assert f"PORT={port['containerPort']} " in DOCKERFILE
    [path] = re.findall(r"request\('GET', '([^']+)'\)", DOCKERFILE)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container(TEXT)[probe]["httpGet"] == {"path": path, "port": port["name"]}
    assert [one["targetPort"] for one in resources(TEXT)["Service"]["spec"]["ports"]] == [port["name"]]


def test_a_stop_is_longer_than_the_longest_call() -> None:
    server = (ROOT / "src" / "mitto_phone_hook" / "http_server.py").read_text(encoding="utf-8")
    assert f"\n_SHUTDOWN_SECONDS = {SERVER_STOP_SECONDS}\n" in server
    command = container(TEXT)["lifecycle"]["preStop"]["exec"]["command"]
    seconds = int(command[1])
    assert command == ["sleep", str(seconds)]
    grace = pod(TEXT)["terminationGracePeriodSeconds"]
    assert grace > seconds + max(SERVER_STOP_SECONDS, settings(TEXT).deadline_seconds + 2)


def test_variables_of_service_links_are_switched_off_because_they_look_like_settings() -> None:
    assert pod(TEXT)["enableServiceLinks"] is False
    links = resources(TEXT)["Service"]["metadata"]["name"].upper().replace("-", "_")
    assert unknown({f"{links}_SERVICE_HOST": "10.0.0.1", f"{links}_PORT": "tcp://10.0.0.1:80"})


def _selectors() -> Iterator[Manifest]:
    kinds = resources(TEXT)
    yield kinds["Service"]["spec"]["selector"]
    yield kinds["Deployment"]["spec"]["selector"]["matchLabels"]
    yield kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]
    yield from (one["labelSelector"]["matchLabels"] for one in pod(TEXT)["topologySpreadConstraints"])


def test_every_selector_finds_the_pods() -> None:
    labels = resources(TEXT)["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert [selector == labels for selector in _selectors()] == [True] * 4


def test_a_node_can_be_drained_and_an_update_never_leaves_nobody() -> None:
    budget = resources(TEXT)["PodDisruptionBudget"]["spec"]
    assert (budget["maxUnavailable"], "minAvailable" in budget) == (1, False)
    assert resources(TEXT)["Deployment"]["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_the_commands_of_the_page_name_what_the_manifest_has() -> None:
    section = DEPLOY_PAGE.partition("\n## Kubernetes\n")[2].partition("\n## ")[0]
    keys = set(re.findall(r"--from-file=([a-z-]+)=", section))
    files = {PurePosixPath(path).name for name, path in environment(WITH_REDIS).items() if name.endswith("_FILE")}
    assert {"api-key", "hook-secrets"} <= keys == files - OF_SOME
    names = set(re.findall(r"(?:secret generic|deployment/|deploy/kubernetes/)([a-z-]+)", section))
    assert names == {resource["metadata"]["name"] for resource in resources(TEXT).values()}
    assert str(FILE.relative_to(ROOT)) in section
