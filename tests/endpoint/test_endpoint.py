"""Many requests to one server: in order, within limits, tried again when it may help, and no key in any message."""

import asyncio
import time
from dataclasses import replace

import pytest

from tropism.endpoint import EndpointError, Server, chat
from tropism.endpoint.answers import Answers
from tropism.endpoint.client import chat_bodies, free_of_charge, known_replies


def ask(server, texts, **limits):
    target = Server.from_environment(server.url, "m", **{"retries": 2, "timeout_s": 20, **limits})
    requests = [[{"role": "user", "content": text}] for text in texts]
    return asyncio.run(chat(target, requests, max_tokens=5))


def test_replies_come_in_order_and_no_more_than_allowed_at_a_time(server):
    server.slow(0.02)
    texts = [str(i) for i in range(30)]
    assert [reply.text for reply in ask(server, texts, concurrency=5)] == texts
    assert 1 < server.most_active <= 5
    assert {body["model"] for body in server.requests} == {"m"}
    assert {(body["max_tokens"], body["temperature"]) for body in server.requests} == {(5, 0.0)}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_tried_again_as_the_server_says(server, complete, status):
    def answer(body, n):
        return (
            (status, {"Retry-After": "0.3"}, {"error": {"message": "later"}}) if n == 1 else (200, {}, complete("ok"))
        )

    server.answer = answer
    began = time.monotonic()
    [reply] = ask(server, ["x"])
    assert (reply.text, len(server.requests)) == ("ok", 2)
    assert time.monotonic() - began >= 0.3


def test_a_lasting_failure_says_which_request_and_how(server):
    server.answer = lambda body, n: (400, {}, {"error": {"message": "context too long"}})
    with pytest.raises(EndpointError, match=r"127\.0\.0\.1, request 1: status 400: .*context too long"):
        ask(server, ["x"])


@pytest.mark.parametrize(
    "payload", [b"<html>busy</html>", b'{"choices": [', {"choices": []}, {"error": "none"}, {"choices": [{}]}, []]
)
def test_an_answer_that_is_no_completion_is_an_error_and_not_a_reply(server, payload):
    server.answer = lambda body, n: (200, {}, payload)
    with pytest.raises(EndpointError, match="not a completion"):
        ask(server, ["x"])


def test_a_reply_without_text_is_empty_text(server, complete):
    server.answer = lambda body, n: (200, {}, complete(None))
    assert ask(server, ["x"])[0].text == ""


def test_an_answer_by_schema_stays_known_where_the_server_refuses_another_schema(server, complete, tmp_path):
    def answer(body, n):
        long = body.get("response_format", {}).get("json_schema", {}).get("name") == "long"
        return (400, {}, {"error": {"message": "too many values"}}) if long else (200, {}, complete(str(n)))

    server.answer = answer
    target = Server.from_environment(server.url, "m", concurrency=1)
    bodies = []
    with Answers(tmp_path / "answers.sqlite") as answers:
        for name in ("short", "long"):
            requests, formats = [[{"role": "user", "content": name}]], [{"name": name, "schema": {}}]
            asyncio.run(chat(target, requests, max_tokens=5, formats=formats, answers=answers))
            bodies += chat_bodies(target, requests, max_tokens=5, formats=formats)
        assert free_of_charge(target, bodies, answers) == [True, True]
        assert [reply.text for reply in known_replies(target, bodies, answers)] == ["1", "3"]


def test_the_deadline_holds(server):
    server.slow(3)
    began = time.monotonic()
    with pytest.raises(EndpointError, match=r"no answer within 0\.3 s"):
        ask(server, ["x"], timeout_s=0.3)
    assert time.monotonic() - began < 2


def test_no_server_is_said_plainly():
    with pytest.raises(EndpointError, match="no connection"):
        asyncio.run(
            chat(Server("http://127.0.0.1:9/v1", "m", retries=0), [[{"role": "user", "content": "x"}]], max_tokens=5)
        )


def test_a_key_reaches_the_server_and_nothing_else(server, monkeypatch, caplog, capfd):
    key = "sk-secret-1234567890"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    server.answer = lambda body, n: (401, {}, {"error": {"message": f"Incorrect API key provided: {key}"}})
    with caplog.at_level("INFO"), pytest.raises(EndpointError, match=r"status 401.*\*\*\*") as caught:
        ask(server, ["x"])
    assert server.headers[0]["authorization"] == f"Bearer {key}"
    assert key not in f"{caught.value} {caught.value!r} {caplog.text} {capfd.readouterr()}"
    assert key not in repr(Server.from_environment(server.url, "m"))


def test_loopback_needs_no_key_and_any_other_machine_does(server, monkeypatch):
    ask(server, ["x"])
    assert server.headers[0]["authorization"] == "Bearer none"
    with pytest.raises(EndpointError, match=r"api\.example\.org: no key: set OPENAI_API_KEY"):
        Server.from_environment("https://api.example.org/v1", "m")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    assert Server.from_environment(None, "m").url == server.url


def test_what_was_answered_is_known_where_the_address_of_the_environment_is_another(server, monkeypatch, tmp_path):
    """A server that a job starts is on another node each time; an address in the settings says which one is meant."""
    turns = [[{"role": "user", "content": "Why?"}]]

    def known(url, environment):
        monkeypatch.setenv("OPENAI_BASE_URL", environment)
        with Answers(tmp_path / "answers.sqlite") as answers:
            asked = Server.from_environment(url, "m")
            [before] = known_replies(asked, chat_bodies(asked, turns, max_tokens=9), answers)
            asyncio.run(chat(replace(asked, url=server.url), turns, max_tokens=9, answers=answers, progress=False))
            return before.finish != "failed"

    assert [known(None, server.url), known(None, "http://127.0.0.1:9/v1")] == [False, True]
    assert not known("http://127.0.0.1:9/v1", server.url)


@pytest.mark.parametrize(
    ("url", "message"), [(None, "OPENAI_BASE_URL"), ("http://a:b@localhost/v1", "holds a user"), ("localhost", "not a")]
)
def test_an_address_is_checked(server, url, message):
    with pytest.raises(EndpointError, match=message):
        Server.from_environment(url, "m")


def test_no_request_gives_no_reply(server):
    assert ask(server, []) == []
