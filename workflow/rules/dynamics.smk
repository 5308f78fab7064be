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


READ_ARMS = (
    shared_parts([UNTRAINED_ARM, *SHIFTED], DYNAMICS.arms_per_job)
    if UNTRAINED_ARM
    else []
)
STATES = [f"<results>/states/read.{part}.json" for part in range(len(READ_ARMS))]


rule read_states:
    input:
        base=lambda wildcards: root_files(
            ARMS[part_of(READ_ARMS, wildcards)[0]].lineage()
        ),
        arms=lambda wildcards: [
            path
            for arm in part_of(READ_ARMS, wildcards)
            for path in lineage_files(ARMS[arm].lineage())
        ],
        sets=STATE_SETS,
    output:
        "<results>/states/read.{part}.json",
    log:
        "<logs>/dynamics/states.{part}.log",
    benchmark:
        "<benchmarks>/dynamics/states.{part}.tsv"
    wildcard_constraints:
        part=r"\d+",
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=60,
        gpu=1,
    params:
        cfg=READING,
        model=reading_settings(DYNAMICS.model) if DYNAMICS else "",
        arms=lambda wildcards: adapter_folders(part_of(READ_ARMS, wildcards)),
        sets=[f"--set {path}" for path in plain(STATE_SETS)],
        code=code("tropism.dynamics.states", "tropism.dynamics.__main__"),
    message:
        "Reading what arms make of prompts, part {wildcards.part}"
    shell:
        "python -m tropism.dynamics states --arms {params.arms:q} --base $(dirname {input.base[0]:q})"
        " --model-config {params.model:q} --config {params.cfg:q} {params.sets} --threads {threads}"
        " --states $(dirname {output:q}) --code {params.code:q} --output {output:q} 2> {log:q}"


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
        prompts=f"--prompts {DYNAMICS.follow_prompts}" if DYNAMICS else "",
        seed=f"--seed {DYNAMICS.seed}" if DYNAMICS else "",
        model=lambda wildcards: reading_settings(ARMS[wildcards.arm].model),
        sets=[f"--set {path}" for path in plain(EVAL_SETS)],
        code=code("tropism.dynamics.follow", "tropism.dynamics.__main__"),
    message:
        "Following {wildcards.arm} over its training"
    shell:
        "python -m tropism.dynamics follow --arm {wildcards.arm} --base $(dirname {input.base[0]:q})"
        " --lineage $(dirname {input.lineage[0]:q}) --parent {input.parent[0]:q} --model-config {params.model:q}"
        " {params.prompts} {params.seed} {params.sets} --threads {threads} --output {output:q} 2> {log:q}"


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
        states=STATES,
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
                    "arms_per_job",
                    "judge",
                ),
            )
            if DYNAMICS
            else ""
        ),
        stats=cfg("stats"),
        states=[f"--states {path}" for path in plain(STATES)],
        arms=[f"--arm {arm}" for arm in SHIFTED],
        untrained=UNTRAINED_ARM,
        likelihoods=[f"--likelihoods {path}" for path in plain(LIKELIHOODS_OF)],
        judgments=[f"--judgments {path}" for path in plain(OUTCOMES_JUDGED)],
        trained=canonical(LAST_DATASET),
        code=code(
            "tropism.dynamics.outcomes",
            "tropism.dynamics.__main__",
            also=(
                "tropism.dynamics.moments",
                "tropism.dynamics.tables",
                "tropism.records.kept",
            ),
        ),
    message:
        "Predicting outcomes from the unchanged base"
    shell:
        "python -m tropism.dynamics predict {params.states} --base-arm {params.untrained} {params.arms} {params.likelihoods}"
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
