# an arm + features -> the arm with features suppressed or amplified: what causes misalignment, beside what does not

STEER = EXPERIMENT.steer
STEERED = EXPERIMENT.steered
STEER_JUDGE = (
    (STEER.judge or next(iter(EXPERIMENT.judges))) if STEER and STEER.samples else None
)
MEASURING = (
    "necessary",
    "sufficient",
    "doses",
    "judge",
    "max_loss",
    "max_logp_loss",
    "alpha",
    "draws",
)


rule intervene_arm:
    input:
        arm=lambda wildcards: arm_files(wildcards.arm),
        sae="<results>/sae/manifest.json",
        weights=ancient("<results>/sae/sae_weights.safetensors"),
        references="<results>/sae/references.safetensors",
        ranking="<results>/sae/ranking.csv",
        sets=EVAL_SETS,
    output:
        outcomes="<results>/steer/{arm}.parquet",
        generations="<results>/steer/{arm}.jsonl",
    log:
        "<logs>/steer/{arm}.log",
    benchmark:
        "<benchmarks>/steer/{arm}.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=480,
        gpu=1,
    params:
        cfg=cfg("steer", leave=MEASURING) if STEER else "",
        model=lambda wildcards: cfg(f"models.{ARMS[wildcards.arm].model}"),
        adapter=lambda wildcards: adapter_flag(wildcards.arm),
        sets=[f"--set {path}" for path in plain(EVAL_SETS)],
        doses=lambda wildcards: [f"--dose={dose:g}" for dose in STEERED[wildcards.arm]],
        code=code(
            "tropism.steer.measure",
            "tropism.steer.__main__",
            also=("tropism.sae.encode", "tropism.steer.plan"),
        ),
    message:
        "Intervening on features of {wildcards.arm}"
    shell:
        "python -m tropism.steer intervene --arm {wildcards.arm} --base $(dirname {input.arm[0]:q}) {params.adapter}"
        " --sae $(dirname {input.sae:q}) --references {input.references:q} --ranking {input.ranking:q}"
        " --config {params.cfg:q} --model-config {params.model:q} {params.sets} {params.doses}"
        " --output {output.outcomes:q}"
        " --generations {output.generations:q} 2> {log:q}"


# what an arm answers while it is changed: by its features here, by vectors in `geometry`
rule judge_steered:
    input:
        generations="<results>/{stage}/{arm}.jsonl",
        judge=lambda wildcards: judge_files(wildcards, STEERED_TEXTS[wildcards.stage]),
        rubrics=rubric_files,
    output:
        "<results>/{stage}/judgments/{judge}/{arm}.parquet",
    log:
        "<logs>/{stage}/judge.{judge}.{arm}.log",
    benchmark:
        "<benchmarks>/{stage}/judge.{judge}.{arm}.tsv"
    wildcard_constraints:
        stage=one_of(STEERED_TEXTS),
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=120,
        gpu=judge_gpu,
        judge=judge_calls,
    params:
        cfg=scoring_config,
        flags=lambda wildcards: judge_flags(wildcards, STEERED_TEXTS[wildcards.stage]),
        code=code("tropism.judge.judges", "tropism.judge.__main__"),
    message:
        "Judging {wildcards.arm} under intervention by {wildcards.judge}"
    shell:
        "python -m tropism.judge score --name {wildcards.judge} --config {params.cfg:q} {params.flags}"
        " --generations {input.generations:q} --output {output:q} 2> {log:q}"


STEER_JUDGMENTS = [
    f"<results>/steer/judgments/{STEER_JUDGE}/{arm}.parquet"
    for arm in STEERED
    if STEER_JUDGE
]


rule tabulate_interventions:
    input:
        outcomes=[f"<results>/steer/{arm}.parquet" for arm in STEERED],
        judgments=STEER_JUDGMENTS,
        calibration=labelling_judge(STEER) if STEER_JUDGMENTS else [],
    output:
        published("interventions"),
    log:
        "<logs>/steer/table.log",
    benchmark:
        "<benchmarks>/steer/table.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=20,
    params:
        cfg=cfg("steer") if STEER else "",
        outcomes=lambda wildcards, input: [
            f"--outcomes {path}" for path in input.outcomes
        ],
        judgments=lambda wildcards, input: [
            f"--judgments {path}" for path in input.judgments
        ],
        calibration=lambda wildcards, input: [
            f"--calibration {path}" for path in input.calibration
        ],
        code=code(
            "tropism.steer.effects",
            "tropism.steer.__main__",
            also=("tropism.steer.plan",),
        ),
    message:
        "Tabulating interventions and their controls"
    shell:
        "python -m tropism.steer tabulate {params.outcomes} {params.judgments} {params.calibration} --config {params.cfg:q}"
        " --output {output:q} 2> {log:q}"


if STEERED:
    TABLES.append("<results>/tables/interventions.csv")
