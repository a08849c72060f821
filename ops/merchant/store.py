"""The secret `{prefix}/{mchid}` in Secrets Manager: create it, read it, give it a new version, and the way back."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from ops.merchant.material import Document
from ops.stack import Deployment, OpsError, describe
from orders.errors import MerchantUnavailableError
from orders.secret import parse

_KMS_ACTIONS = "kms:GenerateDataKey and kms:Decrypt on the stack's KMS key"


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a secret: its id and its content."""

    id: str
    document: Document = field(repr=False)


def secret_name(deployment: Deployment, mchid: str) -> str:
    """Return the name of a merchant's secret."""
    return f"{deployment.secret_prefix}/{mchid}"


def kms_key(deployment: Deployment) -> str:
    """Return the ARN of the KMS key that encrypts the stack's secrets; empty for that of Secrets Manager."""
    return deployment.parameters.get("KmsKeyArn", "")


def require_absent(deployment: Deployment, mchid: str) -> None:
    """Raise OpsError if the merchant has a secret, or one that is scheduled for deletion."""
    name = secret_name(deployment, mchid)
    try:
        with _explained(name, "secretsmanager:DescribeSecret"):
            answer = deployment.client("secretsmanager").describe_secret(SecretId=name)
    except ClientError:  # ResourceNotFoundException
        return
    if deleted := answer.get("DeletedDate"):
        raise OpsError(
            f"secret {name} is scheduled for deletion since {deleted:%Y-%m-%d}: run `aws secretsmanager restore-secret "
            f"--secret-id {name}`, then `merchant rotate`"
        )
    raise _exists(name, mchid)


def create(deployment: Deployment, mchid: str, document: Document, description: str) -> str:
    """Create the secret, encrypted with the stack's KMS key if it has one; return the id of its version."""
    name, key = secret_name(deployment, mchid), kms_key(deployment)
    encryption = {"KmsKeyId": key} if key else {}
    client = deployment.client("secretsmanager")
    try:
        with _explained(name, "secretsmanager:CreateSecret"):
            answer = client.create_secret(
                Name=name, Description=description, SecretString=json.dumps(document), **encryption
            )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceExistsException":
            raise _exists(name, mchid) from None
        raise
    return str(answer["VersionId"])


def current(deployment: Deployment, mchid: str) -> Version:
    """Return the version that the function uses; OpsError if there is none, or if it is no JSON object."""
    name = secret_name(deployment, mchid)
    try:
        with _explained(name, "secretsmanager:GetSecretValue"):
            answer = deployment.client("secretsmanager").get_secret_value(SecretId=name)
    except ClientError:  # ResourceNotFoundException
        raise OpsError(f"there is no secret {name}: run `merchant add {mchid}`") from None
    try:
        return Version(str(answer["VersionId"]), parse(answer.get("SecretString") or "", mchid))
    except MerchantUnavailableError as error:
        remedy = f"delete it (`aws secretsmanager delete-secret --secret-id {name}`), then run `merchant add`"
        raise OpsError(f"{error}; or {remedy}") from None


def replace(deployment: Deployment, mchid: str, before: Version, document: Document) -> str:
    """Give the secret a new version; return its id. OpsError if it is not at the version `before` any more."""
    name, client = secret_name(deployment, mchid), deployment.client("secretsmanager")
    if current(deployment, mchid).id != before.id:
        raise OpsError(f"secret {name} was changed meanwhile: nothing was written; run the command again")
    try:
        with _explained(name, "secretsmanager:PutSecretValue"):
            answer = client.put_secret_value(SecretId=name, SecretString=json.dumps(document))
    except ClientError as error:  # ResourceNotFoundException: deleted since
        raise OpsError(f"secret {name} cannot be written: {describe(error)}: run the command again") from None
    return str(answer["VersionId"])


def way_back(deployment: Deployment, mchid: str, before: str, after: str) -> str:
    """Return the command that makes the version `before` the current one again."""
    meta = deployment.client("secretsmanager").meta
    is_aws = ".amazonaws.com" in (urlsplit(meta.endpoint_url).hostname or "")
    parts = (
        "aws secretsmanager update-secret-version-stage",
        f"--secret-id {secret_name(deployment, mchid)} --version-stage AWSCURRENT",
        f"--move-to-version-id {before} --remove-from-version-id {after}",
        f"--region {meta.region_name}" + ("" if is_aws else f" --endpoint-url {meta.endpoint_url}"),
    )
    return " ".join(parts)


@contextmanager
def _explained(name: str, action: str) -> Iterator[None]:
    """Raise OpsError with the missing permission for a call that AWS denies; let other errors of AWS pass."""
    try:
        yield
    except ClientError as error:
        code, words = error.response.get("Error", {}).get("Code", ""), describe(error)
        if "AccessDenied" in code:
            needs = _KMS_ACTIONS if "KMS" in words or "kms:" in words else f"{action} on the secret {name}"
            raise OpsError(f"no permission: {words}: the operator's role needs {needs}") from None
        if code in {"ResourceNotFoundException", "ResourceExistsException"}:
            raise
        raise OpsError(f"secret {name}: {words}") from None


def _exists(name: str, mchid: str) -> OpsError:
    return OpsError(f"secret {name} exists already, nothing was written: use `merchant rotate {mchid}`")
