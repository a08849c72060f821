"""The fields of message move tasks in SQS's query protocol, in both directions."""

from xml.sax.saxutils import escape

from sandbox.aws_front.hooks import Around, MiniStackRecord, around, service

_FIELDS = ("SourceArn", "DestinationArn", "TaskHandle", "MaxNumberOfMessagesPerSecond", "MaxResults")


def install() -> None:
    """Put the hooks around MiniStack's functions."""
    around("sqs", "_normalise", "action params", _read_query)
    around("sqs", "_to_xml", "action result", _write_xml)


def _read_query(original: Around, action: str, params: MiniStackRecord) -> MiniStackRecord:
    data: MiniStackRecord = original(action, params)
    texts = {name: service("sqs")._p(params, name) for name in _FIELDS}
    return data | {name: text for name, text in texts.items() if text}


def _write_xml(original: Around, action: str, result: MiniStackRecord) -> object:
    match action:
        case "StartMessageMoveTask" | "CancelMessageMoveTask":
            content = _elements(result)
        case "ListMessageMoveTasks":
            name = "ListMessageMoveTasksResultEntry"
            content = "".join(f"<{name}>{_elements(one)}</{name}>" for one in result["Results"])
        case "ListDeadLetterSourceQueues":
            token = {name: result[name] for name in result.keys() & {"NextToken"}}
            content = "".join(_elements({"QueueUrl": url}) for url in result["queueUrls"]) + _elements(token)
        case _:
            return original(action, result)
    return service("sqs")._xml_resp(200, f"{action}Response", f"<{action}Result>{content}</{action}Result>")


def _elements(values: MiniStackRecord) -> str:
    return "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in values.items())
