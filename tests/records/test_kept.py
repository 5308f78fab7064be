"""Files of many arms by one job: kept as long as they are right, told by a list that is held against them."""

import pytest

from tropism.records.files import InputError, write_json
from tropism.records.kept import Kept, listing, of_arms, weights_of


def test_a_file_is_kept_only_whole_and_of_the_same_facts(tmp_path):
    file = Kept.of(tmp_path / "an.arm.safetensors", ["code", {"b": 1, "a": 2}])
    assert not file.is_there()
    file.path.write_text("states")
    assert not file.is_there(), "without a note nobody knows what it was made from"
    file.noted()
    assert file.note.name == "an.arm.json"
    assert file.is_there()
    assert Kept.of(file.path, ["code", {"a": 2, "b": 1}]).is_there(), "the order of settings means nothing"
    assert not Kept.of(file.path, ["other code", {"a": 2, "b": 1}]).is_there()
    file.path.write_text("half of it")
    assert not file.is_there()


def test_lists_tell_of_arms_in_the_order_asked_and_of_no_other_file(tmp_path):
    paths = {arm: tmp_path / f"{arm}.safetensors" for arm in ("one", "two", "three")}
    for arm, path in paths.items():
        path.write_text(arm)
    lists = [tmp_path / "read.0.json", tmp_path / "read.1.json"]
    write_json(lists[0], listing({arm: paths[arm] for arm in ("one", "two")}))
    write_json(lists[1], listing({"three": paths["three"]}))
    assert list(of_arms(lists, ["three", "one"], "states").items()) == [
        ("three", paths["three"]),
        ("one", paths["one"]),
    ]
    with pytest.raises(InputError, match="no states of four; give the lists"):
        of_arms(lists, ["one", "four"], "states")
    paths["two"].write_text("of another job")
    with pytest.raises(InputError, match=r"two\.safetensors: not the states that .*read\.0\.json tells of"):
        of_arms(lists, ["one"], "states")


def test_adapters_are_told_apart_by_their_weights(tmp_path):
    for name, content in (("one", "x"), ("same", "x"), ("other", "y")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_model.safetensors").write_text(content)
    one, same, other = (weights_of(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same
    assert len({one, other, weights_of(None)}) == 3
