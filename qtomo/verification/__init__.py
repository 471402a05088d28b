"""Did we prepare the state? Records held against an exact target: tests, faults, bounds, maps and plans."""

from qtomo.verification.certificates import Certificate, CertificateKind
from qtomo.verification.checks import Test, TestKind
from qtomo.verification.faults import Fault, FaultKind
from qtomo.verification.pipeline import better_labelling, verification_path, verify
from qtomo.verification.planning import Plan, plan
from qtomo.verification.result import Verdict, Verification

__all__ = [
    "Certificate",
    "CertificateKind",
    "Fault",
    "FaultKind",
    "Plan",
    "Test",
    "TestKind",
    "Verdict",
    "Verification",
    "better_labelling",
    "plan",
    "verification_path",
    "verify",
]
