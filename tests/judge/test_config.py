"""A judge's settings hold what its kind uses and nothing else."""

import json

import pytest

from tropism.config.base import ConfigError
from tropism.config.judges import JudgeConfig

PROBE = {"kind": "probe", "model": "smollm2", "references": ["medical"]}


@pytest.mark.parametrize(
    "settings",
    [PROBE, {"kind": "endpoint", "served": "qwen"}, {"kind": "local", "model": "smollm2", "rubrics": ["rubric5"]}],
)
def test_written_settings_read_back_the_same_and_name_their_own_kind_only(settings):
    judge = JudgeConfig.parse(settings)
    written = judge.model_dump(mode="json")
    assert JudgeConfig.parse(json.dumps(written)) == judge
    assert ("concurrency" in written) == (judge.kind == "endpoint")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({**PROBE, "concurrency": 4}, "`concurrency` belongs to `kind: endpoint`; remove it"),
        ({"kind": "endpoint", "served": "q", "layer": 3}, "`layer` belongs to `kind: probe`"),
        ({"kind": "local", "model": "q", "retries": 3}, "`retries` belongs to `kind: endpoint`"),
        ({"kind": "endpoint", "served": "q", "model": "q"}, "`model` of an endpoint belongs to `serve`"),
        ({"kind": "probe", "references": ["medical"]}, "needs `model`"),
        ({"kind": "probe", "model": "smollm2"}, "needs `references`"),
        ({"kind": "endpoint"}, "needs `served`"),
        ({**PROBE, "rubrics": ["process"]}, "a probe cannot apply `process`"),
        ({**PROBE, "rubrics": ["rubric5", "rubric5"]}, "twice"),
        ({**PROBE, "layr": 3}, "did you mean `layer`"),
        ({"kind": "endpoint", "served": "q", "base_url": "http://me:secret@host/v1"}, "OPENAI_API_KEY"),
        ({"kind": "endpoint", "served": "q", "base_url": "host:80"}, "not an http"),
    ],
)
def test_a_refusal_names_the_fix(settings, message):
    with pytest.raises(ConfigError, match=message):
        JudgeConfig.parse(settings)
