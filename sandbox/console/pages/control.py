"""Every verb of the control port by a form: its fields and its checks are those that the verb declares."""

from starlette.responses import Response

from sandbox.console import bulletin
from sandbox.console.fields import read_fields
from sandbox.console.page import Page
from sandbox.console.visit import Visit
from sandbox.wechat_pay import control
from sandbox.wechat_pay.verbs import verb_of

TOPICS = (bulletin.ORDERS, bulletin.MERCHANTS, bulletin.NOTIFICATIONS, bulletin.SWITCHES)


def execute(visit: Visit) -> Response:
    """Execute the verb that the form names."""
    verb = verb_of(visit.field("verb"))
    texts = {name: visit.field(name) for name in visit.form}
    control.execute(visit.desk.wechat_pay, verb.name, read_fields(verb, texts))
    return visit.done("control.done", topics=TOPICS, what=visit.catalogue.optional(f"verbs.{verb.name}", verb.summary))


PAGE: Page[Visit] = Page("control", "/control", {}, {"execute": execute}, in_navigation=False)
