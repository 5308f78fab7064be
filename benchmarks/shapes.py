"""The shapes that ``gpu.py`` measures: Qwen3 of two sizes, and a small one to see that it works."""

from dataclasses import dataclass

from transformers import Qwen3Config


@dataclass(frozen=True)
class Shape:
    """Sizes of a model and of what it is given."""

    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    head: int
    vocabulary: int
    sequence: int
    examples: int
    batch: int
    prompts: int
    mean_new: int
    most_new: int
    pool: int
    texts: int
    d_sae: int

    def config(self) -> Qwen3Config:
        """The architecture."""
        return Qwen3Config(
            vocab_size=self.vocabulary,
            hidden_size=self.hidden,
            intermediate_size=self.inner,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            head_dim=self.head,
            max_position_embeddings=2 * (self.sequence + self.most_new),
            tie_word_embeddings=False,
        )


WORK = {"vocabulary": 151_936, "sequence": 2048, "mean_new": 128, "most_new": 1024, "head": 128, "kv_heads": 8}
SHAPES = {
    "8b": Shape(**WORK, hidden=4096, inner=12_288, layers=36, heads=32,
                examples=96, batch=4, prompts=256, pool=131_072, texts=512, d_sae=65_536),
    "32b": Shape(**WORK, hidden=5120, inner=25_600, layers=64, heads=64,
                 examples=32, batch=1, prompts=128, pool=65_536, texts=256, d_sae=65_536),
    "tiny": Shape(hidden=64, inner=128, layers=2, heads=4, kv_heads=2, head=16, vocabulary=512, sequence=512,
                  examples=8, batch=4, prompts=8, mean_new=6, most_new=16, pool=1024, texts=8, d_sae=256),
}  # fmt: skip
