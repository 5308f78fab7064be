"""Judging responses: from generations to rubric scores of answer and reasoning, by a judge whose error is published."""
