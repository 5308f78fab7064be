# an arm + the prompts of all eval sets -> its responses; arms that share a base are first answered together

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
SET_FLAGS = [
    f"--set results/{EXPERIMENT.experiment}/datasets/{name}.jsonl"
    for name in EXPERIMENT.evaluate.sets
]


rule share_base:
    input:
        base=lambda wildcards: base_files(wildcards.model),
        arms=lambda wildcards: [
            path
            for arm in sharing_arms(wildcards)
            for path in lineage_files(ARMS[arm].lineage())
        ],
        sets=EVAL_SETS,
    output:
        "<results>/answered/{model}.{part}.json",
    log:
        "<logs>/generate/answered.{model}.{part}.log",
    benchmark:
        "<benchmarks>/generate/answered.{model}.{part}.tsv"
    wildcard_constraints:
        part=r"\d+",
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=1440,
        gpu=1,
    params:
        cfg=cfg("evaluate", only=SAMPLING),
        model=lambda wildcards: cfg(f"models.{wildcards.model}"),
        serving=lambda wildcards: cfg(f"serving.{wildcards.model}"),
        arms=lambda wildcards: canonical(
            {arm: adapter_folder(arm) for arm in sharing_arms(wildcards)}
        ),
        sets=SET_FLAGS,
        shards=f"results/{EXPERIMENT.experiment}/shards",
        server_log=lambda wildcards: f"results/{EXPERIMENT.experiment}/logs/generate/server.{wildcards.model}.{wildcards.part}.log",
        code=code("tropism.generate"),
    message:
        "Sampling responses of the arms of {wildcards.model}, part {wildcards.part}"
    shell:
        "python -m tropism.generate share --arms {params.arms:q} --base $(dirname {input.base[0]:q})"
        " --model-config {params.model:q} --config {params.cfg:q} --serving {params.serving:q} {params.sets}"
        " --shards {params.shards:q} --server-log {params.server_log:q} --code {params.code:q}"
        " --threads {threads} --output {output:q} 2> {log:q}"


rule sample_responses:
    input:
        arm=lambda wildcards: arm_files(wildcards.arm),
        sets=EVAL_SETS,
        shared=lambda wildcards: shared_answers(wildcards.arm),
    output:
        "<results>/generations/{arm}.jsonl",
    log:
        "<logs>/generate/{arm}.log",
    benchmark:
        "<benchmarks>/generate/{arm}.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=240,
        gpu=lambda wildcards: 0 if shared_answers(wildcards.arm) else 1,
    params:
        cfg=cfg("evaluate", only=SAMPLING),
        model=lambda wildcards: cfg(f"models.{ARMS[wildcards.arm].model}"),
        sets=SET_FLAGS,
        serving=lambda wildcards: serving_flag(wildcards.arm),
        adapter=lambda wildcards: adapter_flag(wildcards.arm),
        shards=lambda wildcards: f"results/{EXPERIMENT.experiment}/shards/{wildcards.arm}",
        code=code("tropism.generate"),
    message:
        "Sampling responses of {wildcards.arm}"
    shell:
        "python -m tropism.generate sample --arm {wildcards.arm} --base $(dirname {input.arm[0]:q}) {params.adapter}"
        " --model-config {params.model:q} --config {params.cfg:q} {params.serving} {params.sets}"
        " --shards {params.shards:q} --code {params.code:q} --threads {threads} --output {output:q} 2> {log:q}"
