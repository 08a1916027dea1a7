"""The chart says what docker-compose.yml says, and what it renders is what Kubernetes takes."""

import json

import kubernetes_validate
import pytest
import yaml

import backend
from backend.queue.work import QUEUES
from backend.settings import Settings
from tests.containers.files import DOCKERFILE, ENTRYPOINT, EXAMPLE, PASSWORDS, read_compose
from tests.helm.rendering import CHART, NAMESPACE, RELEASE, HelmFailed, render

COMPOSE = read_compose(EXAMPLE | PASSWORDS)["services"]
PLUGIN = ("server", "worker", "finetuner")
LEAST = {"labelStudio": {"url": "http://label-studio.lab.svc:8080"}, "basicAuth": {"password": "a $ecret"}}
OUTSIDE = "rediss://plugin:of-redis@redis.example.org:6380/2"
ALL = LEAST | {
    "redis": {"url": OUTSIDE},
    "worker": {"autoscaling": {"enabled": True}},
    "finetuner": {"gpus": 1, "nodeSelector": {"gpu": "yes"}, "tolerations": [{"key": "gpu", "operator": "Exists"}]},
    "server": {"ingress": {"host": "al.example.org", "className": "nginx", "tlsSecret": "tls"}},
    "settings": {"STRATEGY": "margin", "RETRAIN_AFTER": 5},
    "imagePullSecrets": [{"name": "registry"}],
}
CUSTOM = {"ScaledObject", "TriggerAuthentication"}  # KEDA's, which Kubernetes itself does not know


@pytest.fixture(scope="module")
def least():
    """What is made where nothing is chosen but what must be."""
    return render(LEAST)


@pytest.fixture(scope="module")
def everything():
    """What is made where everything is chosen otherwise."""
    return render(ALL)


def one(objects, kind, name):
    """The object of this kind and name."""
    (found,) = [made for made in objects if made["kind"] == kind and made["metadata"]["name"] == f"{RELEASE}{name}"]
    return found


def container(objects, part):
    """The one container of a part."""
    kind = "StatefulSet" if part == "redis" else "Deployment"
    (only,) = one(objects, kind, f"-{part}")["spec"]["template"]["spec"]["containers"]
    return only


def environment(objects, part):
    """Names and values of a part's environment; of a secret where it stands."""
    given = container(objects, part)["env"]
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in given}


def from_secret(name, key):
    return {"secretKeyRef": {"name": name, "key": key}}


@pytest.mark.parametrize("version", ["1.27", "1.37"])
def test_kubernetes_takes_every_object(least, everything, version):
    for made in [*least, *everything]:
        if made["kind"] not in CUSTOM:
            kubernetes_validate.validate(made, version, strict=True)


def test_kubernetes_refuses_a_misspelt_one(least):
    broken = json.loads(json.dumps(one(least, "Deployment", "-server")))
    broken["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.37", strict=True)


@pytest.mark.parametrize("part", PLUGIN)
def test_it_starts_what_compose_starts(least, part):
    assert container(least, part)["args"] == COMPOSE[part]["command"]
    assert "command" not in container(least, part)  # the image's own: ENTRYPOINT
    assert ENTRYPOINT == ["python", "-m", "backend"]


def test_redis_starts_as_in_compose(least):
    redis = container(least, "redis")
    assert (redis["args"], redis["image"]) == (COMPOSE["redis"]["command"], COMPOSE["redis"]["image"].split()[0])


@pytest.mark.parametrize("part", [*PLUGIN, "redis"])
def test_a_part_is_alive_by_the_check_that_compose_makes(least, part):
    check = COMPOSE[part]["healthcheck"]
    period, timeout, start = (int(check[key].removesuffix("s")) for key in ("interval", "timeout", "start_period"))
    live, begin = container(least, part)["livenessProbe"], container(least, part)["startupProbe"]
    assert ["CMD", *live["exec"]["command"]] == check["test"]
    assert (live["periodSeconds"], live["timeoutSeconds"], live["failureThreshold"]) == (period, timeout, check["retries"])
    assert begin["exec"] == live["exec"]
    assert begin["periodSeconds"] * begin["failureThreshold"] == start + period * check["retries"]


@pytest.mark.parametrize("part", [*PLUGIN, "redis"])
def test_it_has_as_long_to_end_as_in_compose(least, part):
    kind = "StatefulSet" if part == "redis" else "Deployment"
    spec = one(least, kind, f"-{part}")["spec"]["template"]["spec"]
    assert f"{spec['terminationGracePeriodSeconds']}s" == COMPOSE[part]["stop_grace_period"]


@pytest.mark.parametrize("part", PLUGIN)
def test_what_has_no_default_of_the_settings_is_given_as_in_compose(least, part):
    always = ("LABEL_STUDIO_API_KEY", "STORE")
    in_compose = {name: value for name, value in COMPOSE[part]["environment"].items() if value or name in always}
    assert environment(least, part).keys() == in_compose.keys()
    for name in ("HOST", "PORT", "BASIC_AUTH_USER"):
        assert environment(least, part)[name] == in_compose[name]


def test_settings_that_may_be_given_are_all_but_those_that_the_chart_knows_itself(least):
    schema = json.loads((CHART / "values.schema.json").read_text())
    names = {name.upper() for name in Settings.model_fields} - environment(least, "worker").keys() - DOCKERFILE.envs.keys()
    assert sorted(names) == schema["properties"]["settings"]["propertyNames"]["enum"]


@pytest.mark.parametrize("part", PLUGIN)
def test_a_setting_reaches_every_part(everything, part):
    given = environment(everything, part)
    assert (given["STRATEGY"], given["RETRAIN_AFTER"]) == ("margin", "5")


@pytest.mark.parametrize("part", PLUGIN)
def test_with_an_object_store_pods_share_no_volume(part):
    store = {"url": "s3://bucket/al", "existingSecret": "keys"}
    objects = render(LEAST | {"store": store, "serviceAccount": "plugin"})
    spec = one(objects, "Deployment", f"-{part}")["spec"]["template"]["spec"]
    assert environment(objects, part)["STORE"] == "s3://bucket/al"
    assert container(objects, part)["envFrom"] == [{"secretRef": {"name": "keys"}}]
    assert (spec["volumes"], spec["serviceAccountName"]) == ([{"name": "data", "emptyDir": {}}], "plugin")
    assert "PersistentVolumeClaim" not in {made["kind"] for made in objects}
    for made in objects:
        kubernetes_validate.validate(made, "1.37", strict=True)


@pytest.mark.parametrize("part", PLUGIN)
def test_the_folders_that_the_image_writes_to_are_in_the_volume(least, part):
    spec = one(least, "Deployment", f"-{part}")["spec"]["template"]["spec"]
    (volume,) = spec["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == one(least, "PersistentVolumeClaim", "-data")["metadata"]["name"]
    assert [mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]] == [
        DOCKERFILE.envs["DATA_DIR"],
        DOCKERFILE.envs["TORCH_HOME"],
    ]
    assert spec["securityContext"]["runAsUser"] == 1000  # USER of the image


def test_label_studio_reaches_the_server_by_a_name_with_a_dot(least):
    service = one(least, "Service", "-server")
    (port,) = service["spec"]["ports"]
    assert environment(least, "server")["BACKEND_URL"] == f"http://{RELEASE}-server.{NAMESPACE}.svc:{port['port']}"
    assert (
        service["spec"]["selector"].items()
        <= one(least, "Deployment", "-server")["spec"]["template"]["metadata"]["labels"].items()
    )
    Settings(backend_url=environment(least, "server")["BACKEND_URL"])


def test_the_plugin_reaches_the_redis_of_the_chart_and_nobody_else_does(least):
    service = one(least, "Service", "-redis")
    assert environment(least, "worker")["REDIS_URL"] == f"redis://{service['metadata']['name']}:6379/0"
    (rule,) = one(least, "NetworkPolicy", "-redis")["spec"]["ingress"]
    (who,) = rule["from"]
    assert who["podSelector"]["matchExpressions"][1]["values"] == list(PLUGIN)


def test_passwords_are_in_secrets_alone(least, everything):
    for objects, word in ((least, "a $ecret"), (everything, "a $ecret"), (everything, "of-redis")):
        assert {made["kind"] for made in objects if word in json.dumps(made)} == {"Secret"}
    assert environment(least, "server")["BASIC_AUTH_PASS"] == from_secret(RELEASE, "BASIC_AUTH_PASS")
    assert one(least, "Secret", "")["stringData"]["BASIC_AUTH_PASS"] == "a $ecret"


def test_a_secret_of_ones_own_takes_the_place_of_the_charts():
    objects = render({"labelStudio": LEAST["labelStudio"], "existingSecret": "mine"})
    assert not [made for made in objects if made["kind"] == "Secret"]
    assert environment(objects, "worker")["LABEL_STUDIO_API_KEY"] == from_secret("mine", "LABEL_STUDIO_API_KEY")


def test_a_redis_elsewhere_takes_the_place_of_the_charts(everything):
    assert not [made for made in everything if made["kind"] == "StatefulSet"]
    assert environment(everything, "worker")["REDIS_URL"] == from_secret(f"{RELEASE}-redis", "REDIS_URL")
    secret = one(everything, "Secret", "-redis")["stringData"]
    assert (secret["REDIS_URL"], secret["username"], secret["password"]) == (OUTSIDE, "plugin", "of-redis")


def test_workers_follow_the_length_of_every_queue_that_they_take(everything):
    scaled = one(everything, "ScaledObject", "-worker")["spec"]
    assert sorted(trigger["metadata"]["listName"] for trigger in scaled["triggers"]) == sorted(
        f"rq:queue:{name}" for name in QUEUES
    )
    at = scaled["triggers"][0]["metadata"]
    assert (at["address"], at["databaseIndex"], at["enableTLS"]) == ("redis.example.org:6380", "2", "true")
    assert "replicas" not in one(everything, "Deployment", "-worker")["spec"]


def test_a_graphics_card_goes_to_the_fine_tuner_that_asks_for_it(everything):
    assert container(everything, "finetuner")["resources"]["limits"] == {"nvidia.com/gpu": 1}
    assert not container(everything, "worker")["resources"]["limits"]


def test_people_reach_the_pages_by_the_name_they_were_given(everything):
    (rule,) = one(everything, "Ingress", "-server")["spec"]["rules"]
    assert rule["host"] == "al.example.org"
    assert rule["http"]["paths"][0]["backend"]["service"]["name"] == one(everything, "Service", "-server")["metadata"]["name"]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"basicAuth": {"password": "x"}}, "labelStudio.url: where the plugin reaches Label Studio"),
        ({"labelStudio": LEAST["labelStudio"]}, "basicAuth.password: choose one, or name a Secret by existingSecret"),
        (LEAST | {"settings": {"STRATEGIE": "margin"}}, "invalid propertyName 'STRATEGIE'"),
        (LEAST | {"wroker": {}}, "'wroker' not allowed"),
        (LEAST | {"worker": {"autoscaling": {"enabled": True, "min": 0}}}, "minimum: got 0, want 1"),
        (
            LEAST | {"redis": {"url": "redis://:p%40ss@r.example.org"}, "worker": {"autoscaling": {"enabled": True}}},
            "redis.url: autoscaling takes no password with escaped characters",
        ),
    ],
)
def test_wrong_values_are_told(values, says):
    with pytest.raises(HelmFailed) as told:
        render(values)
    assert says in str(told.value)


def test_its_version_is_the_plugins():
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert about["version"] == about["appVersion"] == backend.__version__
