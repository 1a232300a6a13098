"""Tests of approvals: policy, eligibility, quorum, document, rounds and redemption."""
