"""The self-test of a new version, and CodeDeploy's hook that asks for it before the version gets traffic."""

import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError
from cryptography.hazmat.primitives.asymmetric import rsa

import wechatpay
from hooks import pre_traffic
from orders import event, records, self_test
from orders.event import Message, OrderPaid
from sandbox.testbed import Testbed

VERSION = "arn:aws:lambda:us-east-1:000000000000:function:orders:7"
PASSED = {"self_test": "passed"}


@pytest.fixture(autouse=True, scope="module")
def one_key() -> Iterator[None]:
    """One key for the merchant and another for WeChat Pay in all tests, because making keys takes time."""
    keys = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
    turn = [*keys] * 20
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(self_test, "_key", turn.pop)
        yield


def test_a_sound_version_passes_its_self_test() -> None:
    """The self-test reads an event, signs its sync and verifies an answer, and says so."""
    assert self_test.run() == {**PASSED, "steps": "read, sign, verify", "library": wechatpay.__version__}


def test_a_version_that_trusts_everything_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that trusts an altered answer fails."""
    monkeypatch.setattr(self_test, "verify", lambda *_: "serial")
    with pytest.raises(self_test.SelfTestError, match="altered after it was signed is trusted"):
        self_test.run()


def test_a_version_that_verifies_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that signs other bytes than it sends fails, because no answer verifies."""
    monkeypatch.setattr(wechatpay.Merchant, "sign", lambda *_: "AAAA")
    with pytest.raises(wechatpay.UntrustedError):
        self_test.run()


def test_a_version_that_misreads_an_event_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that reads another order number than the event's fails."""
    read = event.read

    def misread(message: Message, now: float) -> OrderPaid:
        other = json.dumps(self_test.PAYLOAD | {"out_order_no": "OTHER"})
        return read(Message(message.message_id, other), now)

    monkeypatch.setattr(event, "read", misread)
    with pytest.raises(self_test.SelfTestError, match="misread as 'OTHER'"):
        self_test.run()


@dataclass
class SimulatedAws:
    """Lambda and CodeDeploy as the hook sees them; `answer` is what the version returns, or raises."""

    answer: object
    active: Exception | None = None
    function_error: bool = False
    calls: list[dict[str, Any]] = field(default_factory=list)

    def client(self, _: str) -> "SimulatedAws":
        """Return both services in one."""
        return self

    def get_waiter(self, name: str) -> "SimulatedAws":
        """Return the waiter for a published version."""
        assert name == "published_version_active"
        return self

    def wait(self, **_: str) -> None:
        """Wait until the version is active."""
        if self.active is not None:
            raise self.active

    def invoke(self, **arguments: Any) -> dict[str, Any]:
        """Invoke the version."""
        self.calls.append(arguments)
        if isinstance(self.answer, Exception):
            raise self.answer
        text = self.answer if isinstance(self.answer, str) else json.dumps(self.answer)
        error = {"FunctionError": "Unhandled"} if self.function_error else {}
        return {"Payload": io.BytesIO(text.encode()), **error}

    def put_lifecycle_event_hook_execution_status(self, **arguments: str) -> None:
        """Take the hook's report."""
        self.calls.append(arguments)


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Callable[[SimulatedAws], dict[str, Any]]:
    """Run the hook; return what it reports to CodeDeploy."""
    monkeypatch.setenv("NEW_VERSION", VERSION)

    def run(aws: SimulatedAws) -> dict[str, Any]:
        monkeypatch.setattr(pre_traffic, "boto3", aws)
        result = pre_traffic.lambda_handler({"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "x-1"}, None)
        assert aws.calls[-1]["status"] == result["status"]
        return {**aws.calls[-1], "problem": result["problem"]}

    return run


DENIED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "Invoke")
UNSOUND = {
    "it answers something else": (SimulatedAws({"batchItemFailures": []}), "did not answer that its self-test passed"),
    "it answers no JSON": (SimulatedAws("?"), "did not answer that its self-test passed: ?"),
    "it answers a list": (SimulatedAws([PASSED]), "did not answer"),
    "it raises": (SimulatedAws({"errorType": "SelfTestError"}, function_error=True), "failed its self-test"),
    "it may not be invoked": (SimulatedAws(DENIED), "cannot be invoked: .*AccessDeniedException"),
    "it never becomes active": (
        SimulatedAws(PASSED, active=WaiterError("PublishedVersionActive", "Max attempts exceeded", {})),
        "cannot be invoked: .*Max attempts exceeded",
    ),
}


def test_a_version_that_passes_gets_traffic(report: Callable[[SimulatedAws], dict[str, Any]]) -> None:
    """The hook invokes the new version itself, and reports success to the deployment that asked."""
    aws = SimulatedAws(PASSED)
    assert report(aws) == {
        "deploymentId": "d-1",
        "lifecycleEventHookExecutionId": "x-1",
        "status": "Succeeded",
        "problem": "",
    }
    assert aws.calls[0]["FunctionName"] == VERSION


@pytest.mark.parametrize("case", UNSOUND)
def test_a_version_that_does_not_pass_gets_none(
    case: str, report: Callable[[SimulatedAws], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a new version does but pass, the hook reports failure, and its log has the reason."""
    aws, problem = UNSOUND[case]
    answer = report(aws)
    assert answer["status"] == "Failed"
    assert re.search(problem, answer["problem"])
    assert json.loads(capsys.readouterr().out)["problem"] == answer["problem"]


def test_the_hook_asks_as_the_function_reads() -> None:
    """The hook sends the very event that the function takes for a request of a self-test."""
    assert pre_traffic.SELF_TEST == records.SELF_TEST
    assert isinstance(records.read_records(pre_traffic.SELF_TEST, "request-1"), records.SelfTest)


def test_the_deployed_version_passes(world: Testbed) -> None:
    """The packaged function with its layer, deployed, passes when the hook asks the alias; nothing is called."""
    functions, name = world.cloud.client("lambda"), world.stack.outputs["OrdersFunctionName"]
    calls = len(world.wechat_pay.calls)
    version = functions.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
    assert pre_traffic.find_problem(functions, f"{name}:{version}") == ""
    assert len(world.wechat_pay.calls) == calls
