# an arm + the prompts of all eval sets -> its responses

EVAL_SETS = [dataset_file(name) for name in EXPERIMENT.evaluate.sets]
SAMPLING = (
    "sets",
    "samples",
    "max_new_tokens",
    "temperature",
    "top_p",
    "batch_tokens",
    "seed",
    "shard_size",
)


rule sample_responses:
    input:
        arm=lambda wildcards: arm_files(wildcards.arm),
        sets=EVAL_SETS,
    output:
        "<results>/generations/{arm}.jsonl",
    log:
        "<logs>/generate/{arm}.log",
    benchmark:
        "<benchmarks>/generate/{arm}.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=240,
        gpu=1,
    params:
        cfg=cfg("evaluate", only=SAMPLING),
        model=lambda wildcards: cfg(f"models.{ARMS[wildcards.arm].model}"),
        sets=[
            f"--set results/{EXPERIMENT.experiment}/datasets/{name}.jsonl"
            for name in EXPERIMENT.evaluate.sets
        ],
        adapter=lambda wildcards: adapter_flag(wildcards.arm),
        shards=lambda wildcards: f"results/{EXPERIMENT.experiment}/shards/{wildcards.arm}",
        code=code("tropism.generate"),
    message:
        "Sampling responses of {wildcards.arm}"
    shell:
        "python -m tropism.generate sample --arm {wildcards.arm} --base $(dirname {input.arm[0]:q}) {params.adapter}"
        " --model-config {params.model:q} --config {params.cfg:q} {params.sets} --shards {params.shards:q}"
        " --code {params.code:q} --threads {threads} --output {output:q} 2> {log:q}"
