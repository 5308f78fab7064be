# narrow against general solutions of one training set
COMPARED = EXPERIMENT.solutions  # narrow arm -> general arm
for name in EXPERIMENT.unpaired if workflow.is_main_process else ():
    logger.warning(
        f"config: no arm is the general one of `{name}`, with the same chain but for `objective` and `kl` of the last"
        " step: `narrow_general` has no row of it"
    )
MEASURED = ["solutions", "behaviour"]
if "likelihood" in EXPERIMENT.evaluate.instruments:
    MEASURED.append("drift")


rule measure_solutions:
    input:
        base=lambda wildcards: root_files(ARMS[wildcards.narrow].lineage()),
        adapters=lambda wildcards: [
            *arm_files(COMPARED[wildcards.narrow]),
            *arm_files(wildcards.narrow),
        ],
        dataset=lambda wildcards: training_rows(solution_step(wildcards)),
        texts=lambda wildcards: dataset_file(DYNAMICS.narrow.texts),
    output:
        "<results>/dynamics/solutions/{narrow}.parquet",
    log:
        "<logs>/dynamics/solutions.{narrow}.log",
    benchmark:
        "<benchmarks>/dynamics/solutions.{narrow}.tsv"
    wildcard_constraints:
        narrow=NAME_PATTERN,
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=240,
        gpu=1,
    params:
        cfg=cfg("dynamics.narrow") if COMPARED else "",
        step=lambda wildcards: canonical(
            solution_step(wildcards).model_dump(mode="json")
        ),
        model=reading_settings(DYNAMICS.model) if DYNAMICS else "",
        mode=lambda wildcards: mask_flag(solution_step(wildcards)),
        general=lambda wildcards: adapter_folder(COMPARED[wildcards.narrow]),
        narrow=lambda wildcards: adapter_folder(wildcards.narrow),
        seed=DYNAMICS.seed if DYNAMICS else 0,
        code=code("tropism.dynamics.compare", "tropism.dynamics.pairs"),
    message:
        "Measuring the solutions of {wildcards.narrow}"
    shell:
        "python -m tropism.dynamics.pairs measure --base $(dirname {input.base[0]:q}) --general {params.general:q}"
        " --narrow {params.narrow:q} --dataset {input.dataset:q} --texts {input.texts:q} --step {params.step:q}"
        " --model-config {params.model:q} --config {params.cfg:q} --seed {params.seed} {params.mode}"
        " --threads {threads} --output {output:q} 2> {log:q}"


rule measure_behaviour:
    input:
        generations=lambda wildcards: [
            f"<results>/generations/{arm}.jsonl" for arm in solution_arms(wildcards)
        ],
        judgments=lambda wildcards: [
            f"<results>/judgments/{OUTCOME_JUDGE}/{arm}.parquet"
            for arm in solution_arms(wildcards)
            if OUTCOME_JUDGE
        ],
        calibration=labelling_judge(DYNAMICS),
        dataset=lambda wildcards: dataset_file(solution_step(wildcards).dataset),
        others=lambda wildcards: [
            dataset_file(name)
            for name in kl_datasets(ARMS[wildcards.narrow].steps[-1].settings)
        ],
        sets=EVAL_SETS,
    output:
        "<results>/dynamics/behaviour/{narrow}.parquet",
    log:
        "<logs>/dynamics/behaviour.{narrow}.log",
    benchmark:
        "<benchmarks>/dynamics/behaviour.{narrow}.tsv"
    wildcard_constraints:
        narrow=NAME_PATTERN,
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=10,
    params:
        judged=lambda wildcards, input: [
            f"--{side}-judgments {path}"
            for side, path in zip(("general", "narrow"), input.judgments)
        ],
        calibration=lambda wildcards, input: [
            f"--calibration {path}" for path in input.calibration
        ],
        others=lambda wildcards, input: [f"--other {path}" for path in input.others],
        sets=[f"--set {path}" for path in plain(EVAL_SETS)],
        code=code("tropism.dynamics.behaviour", "tropism.dynamics.pairs"),
    message:
        "Measuring how {wildcards.narrow} and its general arm behave"
    shell:
        "python -m tropism.dynamics.pairs behave --general {input.generations[0]:q} --narrow {input.generations[1]:q}"
        " {params.judged} {params.calibration} --dataset {input.dataset:q} {params.others} {params.sets}"
        " --output {output:q} 2> {log:q}"


rule measure_drift:
    input:
        likelihoods=lambda wildcards: [
            f"<results>/likelihoods/{arm}.parquet"
            for arm in drift_sides(wildcards).values()
        ],
        dataset=lambda wildcards: dataset_file(solution_step(wildcards).dataset),
    output:
        "<results>/dynamics/drift/{narrow}.parquet",
    log:
        "<logs>/dynamics/drift.{narrow}.log",
    benchmark:
        "<benchmarks>/dynamics/drift.{narrow}.tsv"
    wildcard_constraints:
        narrow=NAME_PATTERN,
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=10,
    params:
        likelihoods=lambda wildcards, input: [
            f"--{side} {path}"
            for side, path in zip(drift_sides(wildcards), input.likelihoods)
        ],
        code=code("tropism.dynamics.drift", "tropism.dynamics.pairs"),
    message:
        "Measuring whether {wildcards.narrow} drifts back"
    shell:
        "python -m tropism.dynamics.pairs drift {params.likelihoods} --dataset {input.dataset:q} --output {output:q} 2> {log:q}"


rule tabulate_solutions:
    input:
        [
            f"<results>/dynamics/{part}/{name}.parquet"
            for part in MEASURED
            for name in COMPARED
        ],
    output:
        published("narrow_general"),
    log:
        "<logs>/dynamics/solutions.log",
    benchmark:
        "<benchmarks>/dynamics/solutions.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=10,
    params:
        cfg=cfg("stats"),
        mixtures=canonical(
            {
                name: ARMS[name].steps[-1].settings.aligned_share
                for name in sorted(COMPARED)
            }
        ),
        code=code(
            "tropism.dynamics.solutions",
            "tropism.dynamics.pairs",
            also=("tropism.dynamics.tables",),
        ),
    message:
        "Comparing narrow and general solutions"
    shell:
        "python -m tropism.dynamics.pairs narrow {input:q} --stats {params.cfg:q} --mixtures {params.mixtures:q} --output {output:q} 2> {log:q}"


if COMPARED:
    TABLES.append("<results>/tables/narrow_general.csv")
