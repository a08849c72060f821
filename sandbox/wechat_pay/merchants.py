"""The merchants of the simulator and the keys of both sides: what the merchant platform's pages do, as commands."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

from sandbox.wechat_pay.keys import KeyRing, Mode, SimulatedMerchant, SimulatedPlatform
from sandbox.wechat_pay.state import State
from sandbox.wechat_pay.verbs import CommandError, verb


class MerchantsOptions(TypedDict, total=False):
    """What the merchants are started with."""

    clock: Callable[[], float]
    keys: Path | None
    state: Path | None


class Merchants:
    """Merchants with real keys, each made on first use."""

    def __init__(
        self, *, clock: Callable[[], float] = time.time, keys: Path | None = None, state: Path | None = None
    ) -> None:
        """Start with what the folder `state` has.

        `clock` returns Unix seconds; `keys` is the folder where keys outlive the process, a part of `state` by default.
        """
        self._clock = clock
        self._state = State(state)
        self._lock = self._state.lock
        self._ring = KeyRing(state / "keys" if state and not keys else keys)
        self.platform = SimulatedPlatform(self._ring, self._state)
        self._merchants: dict[str, SimulatedMerchant] = {}
        for (mchid,) in self._state.rows("SELECT name FROM records WHERE kind = 'merchant' ORDER BY name"):
            self.merchant(mchid)

    def merchant(self, mchid: str = "1230000109") -> SimulatedMerchant:
        """Return the merchant of this number, with real keys, made on first use."""
        with self._lock:
            if mchid not in self._merchants:
                self._merchants[mchid] = SimulatedMerchant(mchid, self._ring, self.platform, self._state)
            return self._merchants[mchid]

    @property
    def public_keys(self) -> dict[str, dict[str, str]]:
        """Every public key as PEM by owner and serial: WeChat Pay's, and each merchant's, its present one last."""
        with self._lock:
            merchants = list(self._merchants.values())
        return {"WeChat Pay": self.platform.keys("both")} | {one.mchid: one.public_keys for one in merchants}

    def merchants(self) -> list[dict[str, Any]]:
        """Return every merchant with its kind and serial."""
        with self._lock:
            return [
                {
                    "mchid": one.mchid,
                    "kind": one.kind,
                    "serial_no": one.serial_no,
                    "has_apiv3_key": one.has_apiv3_key,
                    "platform_serials": list(self.platform.keys(one.kind)),
                }
                for one in self._merchants.values()
            ]

    @verb()
    def change_merchant(
        self, mchid: str, *, kind: Mode | None = None, has_apiv3_key: bool | None = None
    ) -> dict[str, Any]:
        """Make a merchant one of another kind, or one that has set no APIv3 key.

        A merchant with the public key alone finds no platform certificates to download, as new merchants do; one
        without an APIv3 key gets no notifications.
        """
        self.merchant(mchid).change(kind=kind, has_apiv3_key=has_apiv3_key)
        return next(one for one in self.merchants() if one["mchid"] == mchid)

    @verb()
    def rotate_key(self, mchid: str) -> dict[str, str]:
        """Give the merchant a new key and API certificate; the old ones are refused from now on."""
        merchant = self.merchant(mchid)
        merchant.rotate_key()
        return {"mchid": mchid, "serial_no": merchant.serial_no}

    @verb()
    def issue_certificate(self) -> dict[str, str]:
        """Issue a platform certificate, which signs from now on; the old ones are still handed out."""
        return {"serial": self.platform.issue_certificate()}

    @verb()
    def withdraw_certificate(self, serial: str = "") -> dict[str, Any]:
        """Withdraw a platform certificate, the newest without `serial`: it is not handed out and signs nothing."""
        serials = list(self.platform.certificates)
        if not serials or (serial and serial not in serials):
            raise CommandError(
                f"serial must be one of {', '.join(serials)}"
                if serials
                else "all are withdrawn: issue_certificate first",
                field="serial",
                accepted=serials,
            )
        return {"serial": self.platform.withdraw_certificate(serial), "serials": list(self.platform.certificates)}

    @verb()
    def replace_public_key(self) -> dict[str, str]:
        """Replace WeChat Pay's public key: the old id is unknown from now on, and signs nothing."""
        return {"public_key_id": self.platform.replace_public_key()}

    def close(self) -> None:
        """Close the database; what was answered is in it."""
        self._state.close()
