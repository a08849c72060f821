"""WeChat Pay's hosts, and the two hosts that a client calls (docs 4012075113, 4014096438)."""

from urllib.parse import urlsplit

MAIN = "https://api.mch.weixin.qq.com"
BACKUP = "https://api2.mch.weixin.qq.com"
OVERSEA = "https://apihk.mch.weixin.qq.com"


def choose_hosts(base_url: str, backup_url: str | None) -> tuple[str, str]:
    """Return the main host and its backup; raise ValueError naming the argument that is not the URL of a host.

    Another `base_url` without a `backup_url` is its own backup: the client of a sandbox never calls WeChat Pay itself.
    """
    backup = backup_url or (BACKUP if base_url.rstrip("/") == MAIN else base_url)
    return _require_host("base_url", base_url), _require_host("backup_url", backup)


def _require_host(name: str, url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{name} must be the URL of a host, such as {MAIN}")
    if parts.path not in {"", "/"}:
        raise ValueError(f"{name} must have no path: the signature covers the path that WeChat Pay sees")
    return url.rstrip("/")
