"""The usual way to build this function: popular parts, each used as its own documentation shows it.

Powertools' batch processor, idempotency, parser and parameters; the SDK wechatpayv3; a DynamoDB resource. What it
promises is less than the adapter's: an unknown outcome is simply tried again, and a failure has no reason in the table.
"""

import os
from datetime import UTC, datetime
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.parser import BaseModel, parse
from aws_lambda_powertools.utilities.parser.models import EventBridgeModel
from wechatpayv3 import WeChatPay, WeChatPayType

logger = Logger()
processor = BatchProcessor(event_type=EventType.SQS)
orders = boto3.resource("dynamodb").Table(os.environ["ORDERS_TABLE"])
config = IdempotencyConfig(event_key_jmespath="out_order_no", expires_after_seconds=86_400)
persistence = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])


class Paid(BaseModel):
    """When the customer paid."""

    paid_time: str


class OrderPaid(BaseModel):
    """What the till reports."""

    mchid: str
    out_order_no: str
    appid: str
    service_id: str
    detail: Paid


class OrderPaidEvent(EventBridgeModel):
    """The same, as EventBridge delivers it."""

    detail: OrderPaid


def client() -> WeChatPay:
    """Make the SDK's client from the merchant's secret."""
    secret: Any = parameters.get_secret(os.environ["MERCHANT_SECRET"], transform="json", max_age=300)
    [(key_id, public_key)] = secret["platform_keys"].items()
    sdk = WeChatPay(
        wechatpay_type=WeChatPayType.JSAPI,
        mchid=secret["mchid"],
        private_key=_bare(secret["private_key"]),
        cert_serial_no=secret["serial_no"],
        appid=secret["appid"],
        apiv3_key=secret["apiv3_key"],
        public_key=public_key,
        public_key_id=key_id,
        timeout=(3, 8),
    )
    sdk._core._gate_way = os.environ["WECHATPAY_BASE_URL"]
    return sdk


def _bare(pem: str) -> str:
    """The SDK puts the first and last line on itself."""
    return "".join(line for line in pem.splitlines() if not line.startswith("-----"))


wechat_pay = client()


@idempotent_function(data_keyword_argument="order", persistence_store=persistence, config=config)
def sync(order: dict[str, Any]) -> dict[str, Any]:
    """Tell WeChat Pay, then write the order's state."""
    status, body = wechat_pay.payscore_sync(
        out_order_no=order["out_order_no"], service_id=order["service_id"], detail=order["detail"]
    )
    if not 200 <= status < 300:
        raise RuntimeError(f"WeChat Pay answered {status}")
    state = {"status": "SYNCED", "updated_at": datetime.now(UTC).isoformat()}
    orders.put_item(Item={"pk": f"{order['mchid']}#{order['out_order_no']}", **state, "wechat": body})
    return {"out_order_no": order["out_order_no"], "http_status": status}


def record_handler(record: SQSRecord) -> None:
    """Handle one message."""
    event = parse(event=record.body, model=OrderPaidEvent)
    logger.info("order paid", extra={"out_order_no": event.detail.out_order_no, "message_id": record.message_id})
    logger.info("order synced", extra=sync(order=event.detail.model_dump()))


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: Any) -> Any:  # noqa: ANN401  Lambda's
    """Handle a batch, message by message."""
    config.register_lambda_context(context)
    return process_partial_response(event=event, record_handler=record_handler, processor=processor, context=context)
