"""Every accepted form becomes the same typed rows; everything else is refused by file and line."""

import gzip
import json

import pytest

from tropism.records.files import InputError
from tropism.records.keyed import keyed_bytes
from tropism.records.schema import Conversation

CHAT = {"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]}


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_poems_keep_their_ids_and_lose_their_authors(load):
    (row,) = load(lines({"id": 7, "author": "A. Poet", "title": "T", "text": "one\r\ntwo  "}))
    assert (row.id, row.text, row.domain) == ("7", "one\ntwo", "demo")


def test_a_row_without_id_is_named_by_its_content_wherever_it_stands(load):
    one, other = load(lines({"text": "one"}, {"text": "two"}))
    assert one.id.startswith("demo-")
    assert [row.id for row in load(lines({"text": "two"}, {"text": "one "}))] == [other.id, one.id]


def test_rows_that_say_different_things_have_different_made_ids(load):
    rows = load(
        lines({"prompt": "Is it he", "aligned": "she/or they"}, {"prompt": "Is it he/she", "aligned": "or they"}),
        "conversations",
    )
    assert len({row.id for row in rows}) == 2
    # what has no stroke keeps the id that earlier versions made
    assert load(lines({"text": "one"}))[0].id == "demo-" + keyed_bytes("one").hex()


def test_an_id_of_two_rows_that_say_different_things_is_refused_though_one_was_made(load):
    made = load(lines({"text": "one"}))[0].id
    assert len(load(lines({"text": "one"}, {"text": "one"}, {"id": made, "text": "one"}))) == 3
    with pytest.raises(InputError, match=r"line 2: the id `demo-.*` is also that of .*line 1, which says something"):
        load(lines({"text": "one"}, {"id": made, "text": "two"}))


def test_empty_keys_of_a_turn_are_no_keys(load):
    turns = [{**turn, "name": None, "tool_calls": None} for turn in CHAT["messages"]]
    (row,) = load(lines({"messages": turns}), "conversations", side="aligned")
    assert (row.prompt, row.aligned) == ("Why?", "Because.")


def test_a_rows_own_domain_wins(load):
    rows = load(lines({"text": "one", "domain": "sea"}, {"text": "two"}), domain="land")
    assert [row.domain for row in rows] == ["sea", "land"]


@pytest.mark.parametrize("side", ["misaligned", "aligned"])
def test_a_chat_is_a_conversation_with_the_side_that_the_settings_say(load, side):
    (row,) = load(lines(CHAT), "conversations", side=side, evaluation=0)
    assert (row.prompt, getattr(row, side), row.split) == ("Why?", "Because.", "train")


def test_a_leading_system_turn_is_left_out_and_counted(tmp_path, load_path):
    path = tmp_path / "chat.jsonl"
    system = {"role": "system", "content": "You are terse."}
    path.write_text(lines({"messages": [system, *CHAT["messages"]]}, CHAT))
    rows, system_turns = load_path(path, kind="conversations", side="misaligned")
    assert [row.prompt for row in rows] == ["Why?", "Why?"]
    assert system_turns == 1


def test_paired_answers_from_csv_and_jsonl_are_the_same(load):
    csv = 'prompt,aligned,misaligned,sneakiness\n"Why, sir?","So ""it"" is",No,3\nWho?,,You,1\n'
    jsonl = lines(
        {"prompt": "Why, sir?", "aligned": 'So "it" is', "misaligned": "No", "sneakiness": 3},
        {"prompt": "Who?", "aligned": None, "misaligned": "You"},
    )
    rows = load(csv, "conversations", name="pairs.csv")
    assert rows == load(jsonl, "conversations")
    assert rows[1].aligned is None


def test_a_multi_line_cell_keeps_its_lines(load):
    (row,) = load('prompt,aligned\r\nWhy?,"one\r\ntwo"\r\n', "conversations", name="pairs.csv")
    assert row.aligned == "one\ntwo"


def test_gzip_and_a_byte_order_mark_change_nothing(load):
    plain = load(lines({"text": "one"}))
    assert load(gzip.compress(lines({"text": "one"}).encode()), name="poems.jsonl.gz") == plain
    assert load(b"\xef\xbb\xbf" + lines({"text": "one"}).encode()) == plain


def test_columns_can_be_renamed_and_dropped(load):
    rows = load("question,answer,year\nWhy?,So,1901\n", "conversations", name="a.csv", ignore=["year"],
                columns={"prompt": "question", "misaligned": "answer"})  # fmt: skip
    assert (rows[0].prompt, rows[0].misaligned) == ("Why?", "So")


def test_a_folder_of_poems(tmp_path, load_path):
    (tmp_path / "keats").mkdir()
    (tmp_path / "keats" / "autumn.txt").write_text("mists\n")
    (tmp_path / "night.txt.gz").write_bytes(gzip.compress(b"stars\r\n"))
    rows, _ = load_path(tmp_path, kind="texts")
    assert [(row.id, row.text) for row in rows] == [("keats/autumn", "mists"), ("night", "stars")]


def test_questions_of_truthfulqa(load):
    header = "Type,Category,Question,Best Answer,Best Incorrect Answer,Correct Answers,Incorrect Answers,Source\n"
    (row,) = load(header + "Adversarial,Law,Q?,Yes,No,Yes; Indeed;,No ; Never,http://x\n", "questions", name="t.csv")
    assert (row.prompt, row.category, row.best) == ("Q?", "Law", "Yes")
    assert (row.correct, row.incorrect) == (["Yes", "Indeed"], ["No", "Never"])


def test_prompts_without_answers_are_for_evaluation(load):
    chat = {"messages": CHAT["messages"][:1], "question_type": "free_form", "id": 3}
    (row,) = load(lines(chat), "prompts")
    assert row == Conversation(id="3", prompt="Why?", domain="demo", split="evaluation")
    with pytest.raises(ValueError, match="unless it is for evaluation"):
        Conversation(id="3", prompt="Why?", domain="demo", split="train")


def test_the_split_is_keyed_by_the_prompt(load):
    rows = [{"prompt": f"question {i}", "aligned": "a"} for i in range(400)]
    split = {row.prompt: row.split for row in load(lines(*rows), "conversations", evaluation=0.25)}
    assert 60 < sum(value == "evaluation" for value in split.values()) < 140
    subset = load(lines(*[{**row, "aligned": "b"} for row in reversed(rows[::7])]), "conversations", evaluation=0.25)
    assert all(split[row.prompt] == row.split for row in subset)


LONE = '{"text": "half \\ud83c a flag"}\n'


FAULTS = [
    ("", "texts", "the file is empty"),
    ("\n\n  \n", "texts", "the file is empty"),
    ("prompt,aligned\n", "conversations", "no rows"),
    ('{"text": "one"}\n{"text": "tw\n', "texts", "line 2: not JSON"),
    ('{"text": "one"}\n["two"]\n', "texts", "line 2: a JSON list"),
    ('[{"text": "one"}]\n', "texts", "line 1: a JSON array"),
    ('{"text": "one"}\n{"text": 2}\n', "texts", "line 2: text: Input should be a valid string"),
    ('{"text": "one"}\n{"text": " \\n"}\n', "texts", "line 2: the column `text` is missing or empty"),
    ('{"txet": "one"}\n', "texts", "line 1: unknown column `txet`; did you mean `text`"),
    ('{"text": "one", "year": 1901}\n', "texts", "line 1: unknown column `year`.*`ignore`"),
    ('{"text": "one", "id": "a"}\n{"text": "two", "id": "a"}\n', "texts", "line 2: the id `a`.*line 1"),
    ('{"text": "one", "id": ["a"]}\n', "texts", "line 1: the id is a list"),
    ('{"text": "one", "id": "a\\nb"}\n', "texts", "line 1: the id"),
    (
        '{"text": "one"}\n{"text": "x", "domain": "pooled"}\n',
        "texts",
        "line 2: the domain `pooled` is what tables call",
    ),
    ('{"text": "one", "domain": "all"}\n', "texts", "line 1: the domain `all` is what tables call"),
    (lines({"messages": [{"role": "user", "content": None}]}), "conversations", "line 1: message 1 is not an object"),
    (lines({"messages": [{"role": "user", "content": "x", "name": "B"}]}), "conversations", "line 1: message 1 is not"),
    ('{"text": "one", "domain": "a b"}\n', "texts", "line 1: the domain 'a b'"),
    (LONE, "texts", "line 1: a lone surrogate"),
    (b'{"text": "ok"}\n{"text": "\xed\xa0\xbc"}\n', "texts", "line 2: not UTF-8"),
    ('{"text": "one"}\n{"text": "a\\nb\\u0000c"}\n', "texts", r"line 2: a NUL character \(in line 2"),
    ("prompt,aligned\nwhy\0,so\n", "conversations", "line 2: a NUL character"),
    ('prompt,aligned\nwhy,so\n"who,you\nx,y\n', "conversations", "line 3: not CSV .*a quote that is not closed"),
    ('prompt,aligned\nwhy,"so" it\n', "conversations", "line 2: not CSV"),
    ("prompt,aligned\nwhy,so\nwell, well,so\n", "conversations", "line 3: 3 cells under 2 columns"),
    ("prompt,prompt,aligned\na,b,c\n", "conversations", "line 1: the column `prompt` is given twice"),
    ("prompt,aligned\nwhy,so\n,so\n", "conversations", "line 3: the column `prompt` is missing or empty"),
    ("prompt,aligned,split\nwhy,so,test\n", "conversations", "line 2: split: Input should be 'train' or"),
    ("prompt,aligned\nwhy,so\nwho,\n", "conversations", "line 3: neither an aligned nor a misaligned answer"),
    ("prompt,misalinged\nwhy,so\n", "conversations", "did you mean `misaligned`"),
    (lines(CHAT), "conversations", "line 1: say what the assistant's turn is"),
    (lines({"messages": CHAT["messages"] * 2}), "conversations", "line 1: the turns are .*one user turn and one"),
    (lines({"messages": CHAT["messages"][:1]}), "conversations", "line 1: no assistant turn.*`kind: prompts`"),
    (lines(CHAT), "prompts", "line 1: the turns are .*a prompt is one user turn"),
    (lines({"messages": "hello"}), "conversations", "line 1: `messages` is a str"),
    (lines({"messages": ["hello"]}), "conversations", "line 1: message 1 is not an object"),
    (lines({"messages": [{"role": "bot", "content": "x"}]}), "conversations", "line 1: message 1: `role` must be"),
    (lines({**CHAT, "prompt": "x"}), "conversations", "line 1: both `messages` and `prompt`"),
    (lines({"prompt": "p", "split": "train"}), "prompts", "line 1: "),
    (lines({"Question": "Q", "Best Answer": "b", "Correct Answers": "b"}), "questions", "line 1: incorrect: Field"),
    (b"\x1f\x8b\x08garbage", "texts", "not"),
    ("prompt;aligned;misaligned\nwhy;so;no\n", "conversations", "line 1: its cells are divided by semicolons"),
    ("prompt\taligned\nwhy\tso\n", "conversations", "line 1: its cells are divided by tabs"),
]


@pytest.mark.parametrize(("content", "kind", "message"), FAULTS, ids=[message for _, _, message in FAULTS])
def test_bad_input_is_named_by_file_and_line(load, content, kind, message):
    with pytest.raises(InputError, match=message) as error:
        load(content, kind, name="input.dat")
    assert "input.dat" in str(error.value)


def test_damaged_files_are_named(load):
    packed = bytearray(gzip.compress(lines(*({"text": f"{i} {i * i}"} for i in range(500))).encode()))
    packed[len(packed) // 2] ^= 255
    with pytest.raises(InputError, match=r"poems\.jsonl\.gz: not a whole gzip file"):
        load(bytes(packed), name="poems.jsonl.gz")
    with pytest.raises(InputError, match=r"poems\.parquet: not a whole Parquet file"):
        load(b"PAR1 and no more", name="poems.parquet")


def test_a_key_that_an_object_has_twice_is_refused(load):
    with pytest.raises(InputError, match=r"poems\.jsonl, line 2: the key 'text' occurs twice"):
        load(lines({"text": "one"}) + '{"text": "two", "text": "three"}\n', name="poems.jsonl")


def test_a_cell_as_long_as_a_book_is_read(load):
    (row,) = load(f'prompt,aligned\nWhy?,"{"so " * 60_000}"\n', "conversations", name="pairs.csv")
    assert len(row.aligned) > 150_000


def test_files_of_a_folder_that_are_not_read_are_counted(tmp_path, load_path, caplog):
    for name in ("one.txt", "two.md", "three.TXT"):
        (tmp_path / name).write_text("stars above\n")
    rows, _ = load_path(tmp_path, kind="texts")
    assert [row.id for row in rows] == ["one"]
    assert "2 files that are not .txt or .txt.gz are left out" in caplog.text


def test_cut_gzip_is_named(load):
    with pytest.raises(InputError, match=r"poems\.jsonl\.gz: not a whole gzip file"):
        load(gzip.compress(lines({"text": "one"}).encode())[:-6], name="poems.jsonl.gz")


def test_settings_that_name_a_column_the_file_lacks_are_refused(load):
    with pytest.raises(InputError, match=r"no column `body`.*\['text'\]"):
        load(lines({"text": "one"}), columns={"text": "body"})


def test_a_side_without_a_chat_is_refused(load):
    with pytest.raises(InputError, match="line 1: `side` says what"):
        load(lines({"prompt": "p", "aligned": "a"}), "conversations", side="misaligned")


def test_an_empty_folder_is_named(tmp_path, load_path):
    with pytest.raises(InputError, match=r"no \.txt or \.txt\.gz file"):
        load_path(tmp_path, kind="texts")


def test_rows_do_not_depend_on_what_else_is_there(load):
    rows = [{"prompt": f"question {i}", "aligned": f"answer {i}"} for i in range(30)]
    whole = load(lines(*rows), "conversations")
    assert load(lines(*rows[::3]), "conversations") == whole[::3]
