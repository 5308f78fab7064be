"""Convert a published GGUF file to plain transformers files, once."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tropism.records.files import replacing, write_manifest


def convert_gguf(file: Path, output: Path) -> None:
    """Write the model and tokenizer of a GGUF ``file`` to the folder ``output``, weights in bfloat16.

    The weights go through a model built from the file's own config, because ``save_pretrained`` refuses the object
    that came from a GGUF file (transformers 5).
    """
    tokenizer = AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name)
    quantised = AutoModelForCausalLM.from_pretrained(str(file.parent), gguf_file=file.name, dtype=torch.float32)
    config = quantised.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(quantised.state_dict())
    model.generation_config = quantised.generation_config
    with replacing(output) as folder:
        model.to(torch.bfloat16).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        write_manifest(folder, parameters=sum(p.numel() for p in model.parameters()), converted_from=file.name)
