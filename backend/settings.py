"""Every setting, once, typed. Read from the environment, then from the file .env; `python -m backend settings` lists them."""

import ipaddress
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from strategies import REGISTRY, WRAPPERS, get


class SettingsError(ValueError):
    """A setting with a value that cannot be; the message names it."""


class Settings(BaseSettings):
    """The description of each field is what `python -m backend settings` prints."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    label_studio_url: str = Field("http://localhost:8080", description="Where Label Studio answers.")
    label_studio_api_key: SecretStr = Field(
        SecretStr(""), description="Personal access token (Label Studio: Account & Settings > Personal Access Token)."
    )
    backend_url: str = Field("", description="Where Label Studio reaches this server. Default: http://localhost:PORT.")
    host: str = Field("", description="Address to listen on. Default: 0.0.0.0 with credentials, 127.0.0.1 without.")
    port: int = Field(9090, ge=1, le=65535, description="Port to listen on.")
    basic_auth_user: str = Field("", description="User name Label Studio must send (set both or neither).")
    basic_auth_pass: SecretStr = Field(SecretStr(""), description="Password Label Studio must send.")
    redis_url: str = Field("", description="Redis to use. Default: an embedded one that keeps its data under DATA_DIR.")
    data_dir: Path = Field(Path("data"), description="Model versions, embeddings and the embedded Redis's data.")
    model_weights: Path | None = Field(
        None, description="ResNet50 weights (.safetensors or .pth). Default: torchvision's IMAGENET1K_V1, downloaded once."
    )
    strategy: str = Field(
        "bait+distinct",
        description=f"Query strategy: {', '.join(REGISTRY)}, or module:function of your own; each may be followed by "
        f"{' and '.join(f'+{wrapper}' for wrapper in WRAPPERS)}. `connect --strategy` sets it for one project.",
    )
    retrain_after: int = Field(10, ge=1, description="New labels after which a round starts at once.")
    quiet_seconds: int = Field(30, ge=1, description="A round also starts when no label came for so long since the last one.")
    queue_size: int = Field(0, ge=0, description="Images published in order, K. Default (0): 20 x RETRAIN_AFTER.")
    explore: float = Field(0.1, ge=0, le=1, description="Share of the queue drawn at random; F1 is measured on these alone.")
    keep_versions: int = Field(5, ge=2, description="Model versions kept on disk for `rollback`, the live one included.")
    finetune: Literal["off", "last", "all"] = Field(
        "off",
        description="How deep ResNet50 is retrained by itself: its last stage, all of it, or not. `connect --finetune` sets it "
        "for one project; `retrain --finetune` does it once.",
    )
    finetune_growth: float = Field(2.0, gt=1, description="It is retrained when labels have grown by this factor since.")
    finetune_minutes: float = Field(60, gt=0, description="Longest time ResNet50 is trained for, preparation not counted.")
    reconcile_seconds: int = Field(
        300, ge=5, description="How often Label Studio is compared with the live version, in case a webhook was lost."
    )
    allowed_hosts: str = Field(
        "",
        description="Comma-separated hosts images may come from besides Label Studio, private ones too. Default: any public.",
    )
    image_seconds: float = Field(20, gt=0, description="Longest time one image may take to arrive.")
    max_image_bytes: int = Field(50_000_000, gt=0, description="Largest image file accepted.")
    max_image_pixels: int = Field(100_000_000, gt=0, description="Largest image accepted, width x height.")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")

    @field_validator("strategy")
    @classmethod
    def _known_strategy(cls, value: str) -> str:
        get(value)
        return value

    @field_validator("label_studio_url", "backend_url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value.rstrip("/")

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
        self.host = self.host or ("0.0.0.0" if self.basic_auth_user else "127.0.0.1")  # noqa: S104  only with credentials
        if not self.basic_auth_user and not _is_loopback(self.host):
            raise SettingsError(
                f"HOST={self.host} is not loopback and there are no credentials: set BASIC_AUTH_USER and BASIC_AUTH_PASS."
            )
        self.backend_url = self.backend_url or f"http://localhost:{self.port}"
        self.queue_size = self.queue_size or 20 * self.retrain_after
        self.data_dir = self.data_dir.expanduser().resolve()

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password Label Studio must send, or None."""
        return (self.basic_auth_user, self.basic_auth_pass.get_secret_value()) if self.basic_auth_user else None

    @property
    def hosts(self) -> frozenset[str]:
        """ALLOWED_HOSTS as a set."""
        return frozenset(host.strip().lower() for host in self.allowed_hosts.split(",") if host.strip())


@lru_cache
def get_settings() -> Settings:
    """The settings of this process, read once. Raises SettingsError naming each wrong value."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = [_explain(entry) for entry in error.errors()]
        raise SettingsError("; ".join(wrong)) from error


def _explain(entry: Any) -> str:
    message = entry["msg"].removeprefix("Value error, ")
    name = "_".join(map(str, entry["loc"])).upper()
    return f"{name}={entry['input']!r}: {message}" if name else message


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
