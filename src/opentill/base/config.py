"""Every setting, each one field here. Read from the environment as OPENTILL_<NAME>."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Network = IPv4Network | IPv6Network


class Settings(BaseSettings):
    """The deployment's settings. Descriptions here are the documentation (`docs/settings.md` is made from them)."""

    model_config = SettingsConfigDict(env_prefix="OPENTILL_", extra="ignore", frozen=True)

    database_url: str = Field(
        default="sqlite:///opentill.sqlite3",
        pattern="^(sqlite:///.|postgresql://)",
        description="Where the data is: `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST:PORT/NAME`.",
    )
    database_connections: int = Field(
        default=10, ge=2, le=200, description="PostgreSQL connections one process holds at most."
    )
    master_key: SecretStr | None = Field(
        default=None,
        description="Seals every secret at rest: 32 bytes in base64. `opentill admin master-key` makes one.",
    )
    master_key_file: Path | None = Field(
        default=None, description="A file with the master key, read when `OPENTILL_MASTER_KEY` is not set."
    )
    host: str = Field(
        default="127.0.0.1", description="Address to listen on. `0.0.0.0` opens the gateway to the network."
    )
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    public_base_url: str = Field(
        default="",
        description="How wallets and customers reach this gateway, e.g. `https://pay.example.com`. Callback addresses "
        "are built from it; the Host header is never trusted. Required by `opentill serve`.",
    )
    alipay_base_url: str = Field(
        default="https://openapi.alipay.com",
        description="Base URL of Alipay's gateway (`/gateway.do` is appended). The sandbox sets the twin's.",
    )
    wechat_base_url: str = Field(
        default="https://api.mch.weixin.qq.com",
        description="Base URL of WeChat Pay API v3. The sandbox sets the twin's.",
    )
    alipay_oauth_base_url: str = Field(
        default="https://openauth.alipay.com",
        description="Base URL of Alipay's silent authorisation, where a link of `open.pay.h5` learns who opened it. "
        "The sandbox sets the twin's.",
    )
    wechat_oauth_base_url: str = Field(
        default="https://open.weixin.qq.com",
        description="Base URL of WeChat's silent authorisation, where a link of `open.pay.h5` learns who opened it. "
        "The sandbox sets the twin's.",
    )
    wechat_api_base_url: str = Field(
        default="https://api.weixin.qq.com",
        description="Base URL of the WeChat host that says whom an authorisation belongs to. "
        "The sandbox sets the twin's.",
    )
    notify_allow_networks: Annotated[tuple[Network, ...], NoDecode] = Field(
        default=(),
        description="Private networks that notifications may be sent to, as CIDRs separated by commas. "
        "Link-local, metadata, unspecified and multicast addresses are never allowed.",
    )
    default_subject: str = Field(
        default="商品订单",
        min_length=1,
        max_length=40,
        description="Order description when a merchant sends no subject.",
    )
    wallet_timeout_s: float = Field(
        default=5.0, gt=0, le=60, description="Longest wait for one answer of a wallet, seconds."
    )
    max_body_bytes: int = Field(
        default=131_072, ge=1024, description="Largest request body that the gateway and the callbacks read, bytes."
    )
    max_open_requests: int = Field(
        default=512,
        ge=1,
        description="Requests handled at the same time by one process; beyond it the busy error answers.",
    )
    max_connections: int = Field(
        default=1024,
        ge=16,
        description="HTTP connections open at the same time at one process; beyond it the busy error answers.",
    )
    demo_pages: bool = Field(
        default=False,
        description="Show the demo pages under `/test/api/` outside the sandbox too, for integrators.",
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        default=(),
        description="Networks of your own reverse proxies, as CIDRs separated by commas. Only from them is "
        "`X-Forwarded-For` believed; without it every caller behind a proxy has the proxy's address.",
    )
    metrics_networks: Annotated[tuple[Network, ...], NoDecode] = Field(
        default=(ip_network("127.0.0.0/8"), ip_network("::1/128")),
        description="Networks that may read `GET /metrics`, as CIDRs separated by commas.",
    )
    console_token: SecretStr = Field(
        default=SecretStr(""),
        description="Bearer token for `/console/api/`, for programs. Empty: outside the sandbox only people who are "
        "signed in to the console may read it.",
    )
    console_idle_minutes: int = Field(
        default=120, ge=5, le=1440, description="Who does nothing in the console for so long is signed out."
    )
    console_session_hours: int = Field(
        default=12, ge=1, le=720, description="So long after signing in to the console one has to sign in again."
    )
    refused_calls_days: int = Field(
        default=30, ge=1, le=3650, description="So long the integration log keeps calls that were refused, days."
    )
    log_level: str = Field(
        default="info", pattern="(?i)^(debug|info|warning|error)$", description="Least level logged."
    )

    @field_validator("notify_allow_networks", "trusted_proxies", "metrics_networks", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
        return value

    @field_validator(
        "public_base_url",
        "alipay_base_url",
        "wechat_base_url",
        "alipay_oauth_base_url",
        "wechat_oauth_base_url",
        "wechat_api_base_url",
    )
    @classmethod
    def _no_trailing_slash(cls, value: str) -> str:
        return value.strip().rstrip("/")
