"""Every setting, once, typed. Read from the environment, then from the file .env; `al-backend settings` lists them."""

import ipaddress
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from backend.network.addresses import host_of, plain_address, redis_address, without_password
from model.storage.bucket import SCHEMES
from strategies import REGISTRY, WRAPPERS, get

ENV_FILE = ".env"
WEEK = 7 * 86_400
SECRETS = {"redis_url", "basic_auth_pass", "label_studio_api_key"}  # whose values no message repeats
ADDRESSES = {"redis_url", "label_studio_url", "backend_url", "allowed_hosts"}  # which may hold a password


class SettingsError(ValueError):
    """A setting with a value that cannot be; the message names it, and holds no secret."""


class Settings(BaseSettings):
    """The description of each field is what `al-backend settings` prints."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_file_encoding="utf-8-sig",  # some editors begin a file with a byte order mark
        extra="ignore",
        env_ignore_empty=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )

    label_studio_url: str = Field(
        "http://localhost:8080",
        validation_alias=AliasChoices("label_studio_url", "label_studio_host"),
        description="Where Label Studio answers. LABEL_STUDIO_HOST, Label Studio's own name for it, is read as well.",
    )
    label_studio_api_key: SecretStr = Field(
        SecretStr(""), description="Personal access token (Label Studio: Account & Settings > Personal Access Token)."
    )
    backend_url: str = Field("", description="Where Label Studio reaches this server. Default: http://localhost:PORT.")
    host: str = Field("", description="Address to listen on. Default: 0.0.0.0 with credentials, 127.0.0.1 without.")
    port: int = Field(9090, ge=1, le=65535, description="Port to listen on.")
    basic_auth_user: str = Field("", description="User name Label Studio must send (set both or neither).")
    basic_auth_pass: SecretStr = Field(SecretStr(""), description="Password Label Studio must send.")
    redis_url: str = Field(
        "", repr=False, description="Redis to use. Default: an embedded one that keeps its data under DATA_DIR."
    )
    data_dir: Path = Field(Path("data"), description="Model versions, embeddings and the embedded Redis's data.")
    store: str = Field(
        "",
        description="Folder in an object store that holds versions, embeddings and what is known of projects instead, so that "
        "machines need no disk in common: s3://BUCKET/FOLDER, gs:// or abfs://. Its credentials come from AWS_*, GOOGLE_* or "
        "AZURE_*; DATA_DIR then holds copies of what this machine reads. Needs REDIS_URL.",
    )
    store_cache_gb: float = Field(
        50,
        gt=0,
        le=1_000_000,
        description="GB that copies of what lies in STORE may take in DATA_DIR; those not used for longest make room. A "
        "project of a million images takes some 4.",
    )
    backbone: str = Field(
        "resnet50",
        description="Network whose embeddings are learned from: a classifier of torchvision, or timm:NAME with the extra timm; "
        "NAME=FILE takes its weights from a file. `connect --backbone` sets it for one project.",
    )
    model_weights: Path | None = Field(
        None,
        description="Weights of BACKBONE (.safetensors or .pth), where it names no file. Default: the library's, downloaded "
        "once; of ResNet50 torchvision's IMAGENET1K_V1.",
    )
    strategy: str = Field(
        "bait+distinct",
        description=f"Query strategy: {', '.join(REGISTRY)}, or module:function of your own; each may be followed by "
        f"{' and '.join(f'+{wrapper}' for wrapper in WRAPPERS)}. `connect --strategy` sets it for one project.",
    )
    retrain_after: int = Field(10, ge=1, le=1_000_000, description="New labels after which a round starts at once.")
    quiet_seconds: int = Field(
        30, ge=1, le=WEEK, description="A round also starts when no label came for so long since the last one."
    )
    queue_size: int = Field(0, ge=0, le=1_000_000, description="Images published in order, K. Default (0): 6 x RETRAIN_AFTER.")
    explore: float = Field(0.1, ge=0, le=1, description="Share of the queue drawn at random; F1 is measured on these alone.")
    reask: Literal["off", "on"] = Field(
        "on",
        description="Whether somebody else is asked about labels that one person gave and that are more likely wrong than "
        "right, before a new image; about half of RETRAIN_AFTER at once, at most.",
    )
    keep_versions: int = Field(5, ge=2, description="Model versions kept on disk for `rollback`, the live one included.")
    finetune: Literal["off", "last", "all"] = Field(
        "off",
        description="How deep ResNet50 is retrained by itself: its last stage, all of it, or not. `connect --finetune` sets it "
        "for one project; `retrain --finetune` does it once.",
    )
    finetune_growth: float = Field(2.0, gt=1, description="It is retrained when labels have grown by this factor since.")
    finetune_minutes: float = Field(60, gt=0, description="Longest time ResNet50 is trained for, preparation not counted.")
    reconcile_seconds: int = Field(
        300, ge=5, le=WEEK, description="How often Label Studio is compared with the live version, in case a webhook was lost."
    )
    allowed_hosts: str = Field(
        "",
        description="Comma-separated hosts images may come from besides Label Studio, on any port, private ones too. "
        "Default: any public.",
    )
    image_seconds: float = Field(20, gt=0, le=3600, description="Longest time one image may take to arrive.")
    max_image_bytes: int = Field(50_000_000, gt=0, description="Largest image file accepted.")
    max_image_pixels: int = Field(100_000_000, gt=0, description="Largest image accepted, width x height.")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")

    @model_validator(mode="before")
    @classmethod
    def _cut_spaces(cls, values: Any) -> Any:
        """Cut spaces and newlines around values, as pasting and `echo` leave them; what is blank then counts as not set."""
        plain = {
            name: (value.get_secret_value() if isinstance(value, SecretStr) else value) for name, value in dict(values).items()
        }
        cut = {name: value.strip() if isinstance(value, str) else value for name, value in plain.items()}
        for name, value in cut.items():
            if isinstance(value, str) and not value.isprintable():
                raise ValueError(f"{name.upper()} holds a line break or another character that cannot be seen: take it out")
        return {name: value for name, value in cut.items() if value != "" or plain[name] == ""}

    @field_validator("strategy")
    @classmethod
    def _known_strategy(cls, value: str) -> str:
        get(value)
        return value

    @field_validator("backbone")
    @classmethod
    def _backbone_syntax(cls, value: str) -> str:
        name, equals, file = (part.strip() for part in value.partition("="))
        if not name or (equals and not file):
            raise ValueError("must be NAME or NAME=FILE, such as resnet50 or resnet50=/models/weights.pth")
        return f"{name}={cls._from_home(Path(file))}" if file else name

    @field_validator("store")
    @classmethod
    def _known_store(cls, value: str) -> str:
        scheme, _, rest = value.partition("://")
        if value and (scheme not in SCHEMES or not rest.strip("/")):
            raise ValueError(
                f"must be the address of a folder in an object store, of {', '.join(SCHEMES)}, such as s3://bucket/al"
            )
        return value.rstrip("/")

    @field_validator("label_studio_url")
    @classmethod
    def _label_studio_address(cls, value: str) -> str:
        address = plain_address(value)
        if page := re.search(r"/(projects|user|organization)(/|$)", address):
            raise ValueError(f"is the address of a page of it: set {address[: page.start()]}")
        return address

    @field_validator("backend_url")
    @classmethod
    def _backend_address(cls, value: str) -> str:
        return plain_address(value) if value else ""

    @field_validator("redis_url")
    @classmethod
    def _redis_address(cls, value: str) -> str:
        return redis_address(value) if value else ""

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, value: str) -> str:
        return ",".join(dict.fromkeys(host_of(entry) for entry in value.replace(",", " ").split()))

    @field_validator("label_studio_api_key")
    @classmethod
    def _token(cls, value: SecretStr) -> SecretStr:
        token = value.get_secret_value()
        if not token.isascii() or not token.isprintable() or set(token) & set(" \"'"):
            raise ValueError("holds a space, a quote or another character that no token has: set the bare token")
        return value

    @field_validator("basic_auth_user", "basic_auth_pass")
    @classmethod
    def _sendable(cls, value: str | SecretStr) -> str | SecretStr:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if any(ord(character) > 255 or not character.isprintable() for character in text):
            raise ValueError("holds a character that HTTP cannot send: take letters, digits and signs of Latin-1")
        if isinstance(value, str) and ":" in value:
            raise ValueError("must not hold a colon, which ends a user name in HTTP")
        return value

    @field_validator("data_dir", "model_weights")
    @classmethod
    def _from_home(cls, value: Path | None) -> Path | None:
        try:
            return value and value.expanduser()
        except RuntimeError as error:
            raise ValueError(f"begins with a home folder that is not known ({error})") from error

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
        return value.upper()

    def model_post_init(self, _: Any) -> None:
        """Fill in what follows from other settings, and refuse what must not be."""
        if bool(self.basic_auth_user) != bool(self.basic_auth_pass.get_secret_value()):
            raise SettingsError("Set both BASIC_AUTH_USER and BASIC_AUTH_PASS, or neither.")
        if self.store and not self.redis_url:
            raise SettingsError("STORE is for several machines, which need one Redis in common: set REDIS_URL.")
        self.host = self.host or ("0.0.0.0" if self.basic_auth_user else "127.0.0.1")  # noqa: S104  only with credentials
        if not self.basic_auth_user and not _is_loopback(self.host):
            raise SettingsError(
                f"HOST={self.host} is not loopback and there are no credentials: set BASIC_AUTH_USER and BASIC_AUTH_PASS."
            )
        self.backend_url = self.backend_url or f"http://localhost:{self.port}"
        self.queue_size = self.queue_size or 6 * self.retrain_after
        self.data_dir = self.data_dir.resolve()

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password Label Studio must send, or None."""
        return (self.basic_auth_user, self.basic_auth_pass.get_secret_value()) if self.basic_auth_user else None

    @property
    def hosts(self) -> frozenset[str]:
        """ALLOWED_HOSTS as a set."""
        return frozenset(filter(None, self.allowed_hosts.split(",")))

    def shown(self, name: str) -> str:
        """The value of the setting `name` for people to see: secrets are hidden."""
        value = getattr(self, name)
        text = "" if value is None else str(value)
        return without_password(text) if name in ADDRESSES else text

    def doubts(self) -> list[str]:
        """Sentences about values that can be, but hardly are what was meant."""
        address = urlsplit(self.backend_url)
        port = address.port or (443 if address.scheme == "https" else 80)
        if _is_loopback(address.hostname or "") and port != self.port:
            return [
                f"BACKEND_URL={self.backend_url} sends Label Studio to port {port}, but the server listens on "
                f"PORT={self.port}: leave BACKEND_URL out, or make them agree."
            ]
        return []


@lru_cache
def get_settings() -> Settings:
    """The settings of this process, read once. Raises SettingsError naming each wrong value."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = [_explain(entry) for entry in error.errors()]
        raise SettingsError("; ".join(wrong)) from None  # pydantic's own error may hold secrets
    except UnicodeDecodeError:
        raise SettingsError(f"The file {ENV_FILE} is not in UTF-8: save it as UTF-8, and try again.") from None
    except OSError as error:
        raise SettingsError(f"The file {ENV_FILE} cannot be read ({error.strerror}).") from error


def _explain(entry: Any) -> str:
    """A wrong value by its setting's name. The value is repeated only where it cannot hold a secret."""
    message = entry["msg"].removeprefix("Value error, ")
    name = "_".join(map(str, entry["loc"])).upper()
    if not name:
        return str(message)
    value = entry["input"]
    if name.lower() in SECRETS:
        return f"{name}: {message}"
    if name.lower() in ADDRESSES:
        value = without_password(str(value))
    return f"{name.replace('LABEL_STUDIO_URL', 'LABEL_STUDIO_URL or LABEL_STUDIO_HOST')}={value!r}: {message}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
