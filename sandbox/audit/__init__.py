"""The audit of a chaos run, apart from the function that it judges."""

from sandbox.audit.auditor import Auditor
from sandbox.audit.doorways import Doorways, OutcomeEvent
from sandbox.audit.evidence import RawItem
from sandbox.audit.findings import Findings
from sandbox.audit.till_report import WITH_SUB_MERCHANT, TillReport, order_key

__all__ = ["WITH_SUB_MERCHANT", "Auditor", "Doorways", "Findings", "OutcomeEvent", "RawItem", "TillReport", "order_key"]
