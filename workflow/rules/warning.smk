# early warning: an arm's snapshots as the detector sees them, beside its margin
# a detector reads the dictionary's own base alone
WATCHED = (
    FOLLOWED[: DYNAMICS.watch]
    if FOLLOWED and EXPERIMENT.detector and SAE.model == DYNAMICS.model
    else []
)


# without samples nothing is answered, and no judge is asked
WATCH_JUDGE = OUTCOME_JUDGE if DYNAMICS and DYNAMICS.samples else None
WATCH_JUDGMENTS = [
    f"<results>/dynamics/watched/judgments/{WATCH_JUDGE}/{arm}.parquet"
    for arm in WATCHED
    if WATCH_JUDGE
]


rule watch_arm:
    input:
        base=lambda wildcards: root_files(ARMS[wildcards.arm].lineage()),
        lineage=lambda wildcards: lineage_files(ARMS[wildcards.arm].lineage()),
        parent=lambda wildcards: lineage_files(
            ARMS[wildcards.arm].lineage(len(ARMS[wildcards.arm].steps) - 1)
        ),
        sae="<results>/sae/manifest.json",
        weights=ancient("<results>/sae/sae_weights.safetensors"),
        detector="<results>/detector/manifest.json",
        sets=EVAL_SETS,
    output:
        signals="<results>/dynamics/signals/{arm}.parquet",
        answers="<results>/dynamics/watched/{arm}.jsonl",
    log:
        "<logs>/dynamics/watch.{arm}.log",
    benchmark:
        "<benchmarks>/dynamics/watch.{arm}.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=120,
        gpu=1,
    params:
        prompts=f"--prompts {DYNAMICS.follow_prompts}" if DYNAMICS else "",
        seed=f"--seed {DYNAMICS.seed}" if DYNAMICS else "",
        sampling=(cfg("dynamics", only=SAMPLED) if DYNAMICS else ""),
        max_tokens=f"--max-tokens {SAE.max_tokens}" if SAE else "",
        model=lambda wildcards: cfg(f"models.{ARMS[wildcards.arm].model}"),
        sets=[f"--set {path}" for path in plain(EVAL_SETS)],
        code=code("tropism.dynamics.watch", "tropism.dynamics.__main__"),
    message:
        "Watching {wildcards.arm} over its training by the detector"
    shell:
        "python -m tropism.dynamics watch --arm {wildcards.arm} --base $(dirname {input.base[0]:q})"
        " --lineage $(dirname {input.lineage[0]:q}) --parent {input.parent[0]:q} --sae $(dirname {input.sae:q})"
        " --detector $(dirname {input.detector:q}) --model-config {params.model:q} {params.prompts}"
        " {params.seed} {params.sets} --sampling {params.sampling:q} {params.max_tokens} --threads {threads} --output {output.signals:q}"
        " --answers {output.answers:q} 2> {log:q}"


rule tabulate_early_warning:
    input:
        judgments=WATCH_JUDGMENTS,
        calibration=(
            [f"<results>/judges/{WATCH_JUDGE}/calibration.json"] if WATCH_JUDGE else []
        ),
        margins=[f"<results>/dynamics/margins/{arm}.parquet" for arm in WATCHED],
        signals=[f"<results>/dynamics/signals/{arm}.parquet" for arm in WATCHED],
    output:
        published("early_warning"),
    log:
        "<logs>/dynamics/warning.log",
    benchmark:
        "<benchmarks>/dynamics/warning.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=10,
    params:
        cfg=cfg("stats"),
        margins=lambda wildcards, input: [f"--margins {path}" for path in input.margins],
        signals=lambda wildcards, input: [f"--signals {path}" for path in input.signals],
        judgments=[f"--judgments {path}" for path in plain(WATCH_JUDGMENTS)],
        calibration=lambda wildcards, input: [
            f"--calibration {path}" for path in input.calibration
        ],
        code=code(
            "tropism.dynamics.warning",
            "tropism.dynamics.__main__",
            also=("tropism.dynamics.tables",),
        ),
    message:
        "Finding which signal departs first"
    shell:
        "python -m tropism.dynamics warn {params.margins} {params.signals} {params.judgments} {params.calibration} --stats {params.cfg:q} --output {output:q}"
        " 2> {log:q}"


if WATCHED:
    TABLES.append("<results>/tables/early_warning.csv")
