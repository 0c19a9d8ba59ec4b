"""Admission: a sandbox starts only while the sum of what is promised fits the host.

``model`` holds the vocabulary, ``queue`` the pure decision, ``files`` the shared directory, and
``ledger`` what the rest of the package uses.
"""

from pytest_reseval.admission.ledger import Admission, Ledger, LedgerError, default_directory
from pytest_reseval.admission.model import Budget, Claim, ClaimTooLarge, Entry

__all__ = [
    "Admission",
    "Budget",
    "Claim",
    "ClaimTooLarge",
    "Entry",
    "Ledger",
    "LedgerError",
    "default_directory",
]
