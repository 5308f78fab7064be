"""Rates, intervals and planned contrasts from judgments and likelihoods."""
