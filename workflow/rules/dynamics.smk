# snapshots, prompt states and solutions of arms -> what shapes the outcome

DYNAMICS = EXPERIMENT.dynamics
FOLLOWED = EXPERIMENT.followed
SHIFTED = EXPERIMENT.shifted
# how watched arms are asked at their snapshots
SAMPLED = ("samples", "max_new_tokens", "temperature", "top_p")
READING = (
    cfg("dynamics", only=("model", "layers", "positions", "prompts", "seed"))
    if DYNAMICS
    else ""
)
# the datasets that the shifted arms were last trained on, whose prompts are read beside those of the eval sets
LAST_DATASET = {arm: ARMS[arm].steps[-1].settings.dataset for arm in SHIFTED}
STATE_SETS = list(
    dict.fromkeys([*EVAL_SETS, *(dataset_file(name) for name in LAST_DATASET.values())])
)
OUTCOME_JUDGE = (DYNAMICS.judge if DYNAMICS else None) or next(
    iter(EXPERIMENT.judges), None
)
# arms are read against the untrained one of their base
UNTRAINED_ARM = next(
    (
        name
        for name, arm in ARMS.items()
        if DYNAMICS and arm.model == DYNAMICS.model and arm.untrained and arm.evaluate
    ),
    None,
)


rule read_states:
    input:
        arm=lambda wildcards: arm_files(wildcards.arm),
        sets=STATE_SETS,
    output:
        "<results>/states/{arm}.safetensors",
    log:
        "<logs>/dynamics/states.{arm}.log",
    benchmark:
        "<benchmarks>/dynamics/states.{arm}.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=60,
        gpu=1,
    params:
        cfg=READING,
        model=lambda wildcards: cfg(f"models.{ARMS[wildcards.arm].model}"),
        adapter=lambda wildcards: adapter_flag(wildcards.arm),
        sets=[f"--set {path}" for path in plain(STATE_SETS)],
        code=code("tropism.dynamics.states", "tropism.dynamics.__main__"),
    message:
        "Reading what {wildcards.arm} makes of prompts"
    shell:
        "python -m tropism.dynamics states --arm {wildcards.arm} --base $(dirname {input.arm[0]:q}) {params.adapter}"
        " --model-config {params.model:q} --config {params.cfg:q} {params.sets} --threads {threads}"
        " --output {output:q} 2> {log:q}"


rule follow_arm:
    input:
        base=lambda wildcards: root_files(ARMS[wildcards.arm].lineage()),
        lineage=lambda wildcards: lineage_files(ARMS[wildcards.arm].lineage()),
        parent=lambda wildcards: lineage_files(
            ARMS[wildcards.arm].lineage(len(ARMS[wildcards.arm].steps) - 1)
        ),
        sets=EVAL_SETS,
    output:
        "<results>/dynamics/margins/{arm}.parquet",
    log:
        "<logs>/dynamics/follow.{arm}.log",
    benchmark:
        "<benchmarks>/dynamics/follow.{arm}.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=120,
        gpu=1,
    params:
        prompts=DYNAMICS.follow_prompts if DYNAMICS else 0,
        seed=DYNAMICS.seed if DYNAMICS else 0,
        model=lambda wildcards: cfg(f"models.{ARMS[wildcards.arm].model}"),
        sets=[f"--set {path}" for path in plain(EVAL_SETS)],
        code=code("tropism.dynamics.follow", "tropism.dynamics.__main__"),
    message:
        "Following {wildcards.arm} over its training"
    shell:
        "python -m tropism.dynamics follow --arm {wildcards.arm} --base $(dirname {input.base[0]:q})"
        " --lineage $(dirname {input.lineage[0]:q}) --parent {input.parent[0]:q} --model-config {params.model:q}"
        " --prompts {params.prompts} --seed {params.seed} {params.sets} --threads {threads} --output {output:q} 2> {log:q}"


rule tabulate_dynamics:
    input:
        [f"<results>/dynamics/margins/{arm}.parquet" for arm in FOLLOWED],
    output:
        table=published("dynamics"),
        equal_loss=published("equal_loss"),
    log:
        "<logs>/dynamics/table.log",
    benchmark:
        "<benchmarks>/dynamics/table.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=10,
    params:
        cfg=cfg("stats"),
        code=code(
            "tropism.dynamics.trajectories",
            "tropism.dynamics.__main__",
            also=("tropism.dynamics.tables",),
        ),
    message:
        "Holding training loss against misalignment"
    shell:
        "python -m tropism.dynamics trajectories {input:q} --stats {params.cfg:q} --output {output.table:q}"
        " --equal-loss {output.equal_loss:q} 2> {log:q}"


LIKELIHOODS_OF = [
    f"<results>/likelihoods/{arm}.parquet"
    for arm in ([UNTRAINED_ARM, *SHIFTED] if UNTRAINED_ARM else [])
]


OUTCOMES_JUDGED = [
    f"<results>/judgments/{OUTCOME_JUDGE}/{arm}.parquet"
    for arm in ([UNTRAINED_ARM, *SHIFTED] if UNTRAINED_ARM and OUTCOME_JUDGE else [])
]


rule predict_outcomes:
    input:
        judgments=OUTCOMES_JUDGED,
        base=f"<results>/states/{UNTRAINED_ARM}.safetensors",
        arms=[f"<results>/states/{arm}.safetensors" for arm in SHIFTED],
        likelihoods=LIKELIHOODS_OF,
    output:
        prior=published("prior_prediction"),
        overlap=published("subspace_overlap"),
        moments=published("moments"),
    log:
        "<logs>/dynamics/predict.log",
    benchmark:
        "<benchmarks>/dynamics/predict.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=60,
    params:
        cfg=(
            cfg(
                "dynamics",
                leave=(
                    "narrow",
                    "follow",
                    "follow_prompts",
                    "watch",
                    *SAMPLED,
                    "arms",
                    "judge",
                ),
            )
            if DYNAMICS
            else ""
        ),
        stats=cfg("stats"),
        arms=[
            f"--arm-states {path}"
            for path in plain(
                [f"<results>/states/{arm}.safetensors" for arm in SHIFTED]
            )
        ],
        likelihoods=[f"--likelihoods {path}" for path in plain(LIKELIHOODS_OF)],
        judgments=[f"--judgments {path}" for path in plain(OUTCOMES_JUDGED)],
        trained=canonical(LAST_DATASET),
        code=code(
            "tropism.dynamics.outcomes",
            "tropism.dynamics.__main__",
            also=(
                "tropism.dynamics.moments",
                "tropism.dynamics.tables",
            ),
        ),
    message:
        "Predicting outcomes from the unchanged base"
    shell:
        "python -m tropism.dynamics predict --base-states {input.base:q} {params.arms} {params.likelihoods}"
        " {params.judgments} --trained {params.trained:q}"
        " --config {params.cfg:q} --stats {params.stats:q} --prior {output.prior:q} --overlap {output.overlap:q}"
        " --moments {output.moments:q} 2> {log:q}"


if FOLLOWED:
    TABLES += ["<results>/tables/dynamics.csv", "<results>/tables/equal_loss.csv"]
if SHIFTED and UNTRAINED_ARM:
    TABLES += [
        f"<results>/tables/{name}.csv"
        for name in ("prior_prediction", "subspace_overlap", "moments")
    ]
