# an arm + reference answers -> paired log-probabilities and multiple-choice scores, which need no judge

QUESTIONS = (
    EXPERIMENT.evaluate.truthfulqa
    if "truthfulqa" in EXPERIMENT.evaluate.instruments
    else None
)


rule score_likelihoods:
    input:
        arm=lambda wildcards: arm_files(wildcards.arm),
        sets=EVAL_SETS,
        # an arm that is not evaluated is scored for its margins alone
        questions=lambda wildcards: (
            [dataset_file(QUESTIONS)]
            if QUESTIONS and ARMS[wildcards.arm].evaluate
            else []
        ),
    output:
        "<results>/likelihoods/{arm}.parquet",
    log:
        "<logs>/likelihood/{arm}.log",
    benchmark:
        "<benchmarks>/likelihood/{arm}.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=120,
        gpu=1,
    params:
        cfg=likelihood_config(),
        model=lambda wildcards: reading_settings(ARMS[wildcards.arm].model),
        sets=[
            f"--set results/{EXPERIMENT.experiment}/datasets/{name}.jsonl"
            for name in EXPERIMENT.evaluate.sets
        ],
        questions=lambda wildcards, input: (
            f"--questions {input.questions}" if input.questions else ""
        ),
        adapter=lambda wildcards: adapter_flag(wildcards.arm),
        code=code("tropism.likelihood"),
    message:
        "Scoring likelihoods of {wildcards.arm}"
    shell:
        "python -m tropism.likelihood score --arm {wildcards.arm} --base $(dirname {input.arm[0]:q}) {params.adapter}"
        " --model-config {params.model:q} --config {params.cfg:q} {params.sets} {params.questions}"
        " --threads {threads} --output {output:q} 2> {log:q}"


LIKELIHOODS = (
    each_arm("<results>/likelihoods/{arm}.parquet")
    if {"likelihood", "truthfulqa"} & set(EXPERIMENT.evaluate.instruments)
    else []
)
