"""Features on disk are what was encoded, and are never joined across dictionaries."""

import dataclasses
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sae_lens import SAE
from safetensors.numpy import load_file

from tropism.activations.passages import Passage
from tropism.records.files import InputError
from tropism.sae.encode import assemble, encode_stream, pool
from tropism.sae.features import DictionaryKey, Features, concatenate, read_features, write_features

KEY = DictionaryKey("local", "small/blocks.3.hook_resid_post", "ab" * 32, 3, 6)


def example(arm: str = "base", key: DictionaryKey = KEY) -> Features:
    tokens = torch.tensor([[0.0, 2.0, 0, 0, 0, 1.0], [0.0, 4.0, 0, 0, 3.0, 0]])
    rows = pd.DataFrame(
        [("s", "p1", "legal", 0), ("s", "p2", "legal", 0)], columns=["set", "prompt_id", "domain", "sample"]
    )
    states = torch.tensor([[1.0, 2, 3], [3.0, 2, 1]])
    answer = assemble(pool(tokens, states, [2, 0]), 6, 3)
    reasoning = assemble([None, *pool(tokens[:1], states[:1], [1])], 6, 3)
    return Features(arm, key, rows, {"answer": answer, "reasoning": reasoning})


def test_pooling_by_hand():
    [pooled] = pool(torch.tensor([[0.0, 2.0, 0.0], [0.0, 4.0, 3.0]]), torch.tensor([[1.0, 5.0], [2.0, 5.0]]), [2])
    assert pooled.state.tolist() == [1.5, 5.0]
    assert pooled.indices.tolist() == [1, 2]
    assert pooled.max.tolist() == [4.0, 3.0]
    assert pooled.mean.tolist() == [3.0, 1.5]
    assert pooled.density.tolist() == [1.0, 0.5]
    assert pooled.tokens == 2


@settings(deadline=None, max_examples=60)
@given(
    arrays(np.float32, (7, 8), elements=st.sampled_from([0.0, 0.0, 0.5, 1.0, 7.0])),
    st.lists(st.integers(0, 7), max_size=4),
)
def test_sparse_rows_hold_what_dense_pooling_of_each_text_gives(activations, cuts):
    """However the tokens are divided among texts, texts without a token included."""
    edges = [0, *sorted(cuts), 7]
    lengths = np.diff(edges).tolist()
    states = torch.arange(14.0).reshape(7, 2)
    rows = assemble(pool(torch.from_numpy(activations), states, lengths), 8, 2)
    assert rows.tokens.tolist() == lengths
    for row, (start, end) in enumerate(pairwise(edges)):
        own = activations[start:end] if end > start else np.zeros((1, 8), np.float32)
        np.testing.assert_array_equal(rows.max.toarray()[row], own.max(axis=0))
        np.testing.assert_allclose(rows.mean.toarray()[row], own.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(rows.density.toarray()[row], (own > 0).mean(axis=0), rtol=1e-6)
        mean = states[start:end].mean(dim=0) if end > start else torch.zeros(2)
        np.testing.assert_allclose(rows.state[row], mean, rtol=1e-6)


@pytest.mark.parametrize("cells", [1, 6 * 11, 2**23])
def test_how_many_texts_are_encoded_at_a_time_changes_no_feature_and_no_order(monkeypatch, cells):
    sae = SAE.from_dict({"architecture": "jumprelu", "d_in": 3, "d_sae": 6})
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        sae.W_enc.copy_(torch.randn(3, 6, generator=draw)), sae.threshold.fill_(0.2)
    texts = [
        (Passage(f"t{i}", ()), {p: torch.randn(n, 3, generator=draw) for p, n in parts.items()})
        for i, parts in enumerate([{"answer": 5}, {"answer": 0}, {"reasoning": 9, "answer": 4}, {"answer": 30}])
    ]
    monkeypatch.setattr("tropism.sae.encode.CELLS", cells)
    made = list(encode_stream(sae, texts))
    assert [passage.id for passage, _ in made] == ["t0", "t1", "t2", "t3"]
    for (_, parts), (_, pooled) in zip(texts, made, strict=True):
        assert list(pooled) == list(parts)
        for part, states in parts.items():
            features = sae.encode(states).detach()
            largest = features.amax(dim=0) if len(states) else torch.zeros(6)
            active = torch.nonzero(largest).squeeze(1)
            assert pooled[part].indices.tolist() == active.tolist()
            np.testing.assert_allclose(pooled[part].max, largest[active], rtol=1e-5)
            np.testing.assert_allclose(pooled[part].mean, features.mean(dim=0)[active], rtol=1e-5)
            assert pooled[part].tokens == len(states)


def test_a_file_gives_back_what_was_written_and_has_the_named_tensors(tmp_path):
    path = tmp_path / "base.safetensors"
    write_features(path, example())
    back = read_features(path)
    assert back.key == KEY
    pd.testing.assert_frame_equal(back.rows, example().rows)
    for part, values in example().parts.items():
        for measure in ("max", "mean", "density"):
            assert (back.parts[part].measure(measure) != values.measure(measure)).nnz == 0
        assert back.parts[part].tokens.tolist() == values.tokens.tolist()
    tensors = load_file(path)
    assert {"indptr", "indices", "max", "mean", "density"} < set(tensors)
    assert tensors["indices"].dtype == np.int32
    assert tensors["indptr"].tolist() == [0, 3, 3]


def test_writing_twice_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_features(tmp_path / name, example())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_dictionaries_are_not_mixed():
    other = dataclasses.replace(KEY, revision="cd" * 32)
    with pytest.raises(InputError, match=r"features of base are of dictionary .*abababababab.*those of tuned"):
        concatenate([example(), example("tuned", other)])
    rows, values, _ = concatenate([example(), example("tuned")])
    assert rows["arm"].tolist() == ["base", "base", "tuned", "tuned"]
    assert values.max.shape == (4, 6)


def test_another_file_is_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="not a file of response features"):
        read_features(tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="no such file"):
        read_features(tmp_path / "y.safetensors")
