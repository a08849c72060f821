"""What to do about an error of AWS that any command may meet."""

from collections.abc import Mapping

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

_LOG_IN = "log in again (aws sso login, or renew the credentials), or choose others with --profile"
_WRONG_KEYS = "choose the credentials of this account with --profile; those of China and of other Regions are separate"
_CODES: Mapping[str, str] = {
    "ExpiredToken": _LOG_IN,
    "ExpiredTokenException": _LOG_IN,
    "RequestExpired": "correct this machine's clock",
    "SignatureDoesNotMatch": _WRONG_KEYS,
    "InvalidSignatureException": _WRONG_KEYS,
    "InvalidClientTokenId": _WRONG_KEYS,
    "UnrecognizedClientException": _WRONG_KEYS,
    "InvalidAccessKeyId": _WRONG_KEYS,
    "AuthFailure": _WRONG_KEYS,
    "AccessDenied": "these credentials may not do it: choose others with --profile, or extend their policy",
    "AccessDeniedException": "these credentials may not do it: choose others with --profile, or extend their policy",
    "ResourceNotFoundException": "check --table-name, --region and --stack",
    "AWS.SimpleQueueService.NonExistentQueue": "check the queue's URL, --region and --stack",
    "QueueDoesNotExist": "check the queue's URL, --region and --stack",
    "ThrottlingException": "too many calls at once: run the command again",
    "Throttling": "too many calls at once: run the command again",
    "RequestThrottled": "too many calls at once: run the command again",
}
_UNREACHABLE = "check --region, --endpoint-url and this machine's way out (proxy, VPN)"
_KINDS: tuple[tuple[tuple[type[BotoCoreError], ...], str], ...] = (
    ((EndpointConnectionError, ConnectTimeoutError, ReadTimeoutError, ConnectionClosedError), _UNREACHABLE),
    ((NoCredentialsError,), "log in, give --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    ((PartialCredentialsError,), "complete them, or give --profile"),
    ((NoRegionError,), "give --region, or set AWS_DEFAULT_REGION"),
    ((ProfileNotFound,), "`aws configure list-profiles` lists the profiles"),
    ((SSOTokenLoadError, TokenRetrievalError, UnauthorizedSSOTokenError), _LOG_IN),
)


def remedy(error: ClientError | BotoCoreError) -> str:
    """Return what to do, after `; `; empty for an error that explains itself."""
    if isinstance(error, ClientError):
        advice = _CODES.get(error.response.get("Error", {}).get("Code", ""), "")
    else:
        advice = next((text for kinds, text in _KINDS if isinstance(error, kinds)), "")
    return f"; {advice}" if advice else ""
