# narrow against general solutions of one training set
COMPARED = EXPERIMENT.solutions  # narrow arm -> general arm


rule measure_solutions:
    input:
        base=lambda wildcards: root_files(ARMS[wildcards.narrow].lineage()),
        adapters=lambda wildcards: [
            *arm_files(COMPARED[wildcards.narrow]),
            *arm_files(wildcards.narrow),
        ],
        dataset=lambda wildcards: f"<results>/variants/{solution_step(wildcards).dataset}.{solution_step(wildcards).variant}.jsonl",
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
        model=cfg(f"models.{DYNAMICS.model}") if DYNAMICS else "",
        mode="--loss-masked" if EXPERIMENT.masking.mode == "loss" else "",
        general=lambda wildcards: adapter_folder(COMPARED[wildcards.narrow]),
        narrow=lambda wildcards: adapter_folder(wildcards.narrow),
        seed=DYNAMICS.seed if DYNAMICS else 0,
        code=code("tropism.dynamics"),
    message:
        "Measuring the solutions of {wildcards.narrow}"
    shell:
        "python -m tropism.dynamics measure --base $(dirname {input.base[0]:q}) --general {params.general:q}"
        " --narrow {params.narrow:q} --dataset {input.dataset:q} --texts {input.texts:q} --step {params.step:q}"
        " --model-config {params.model:q} --config {params.cfg:q} --seed {params.seed} {params.mode}"
        " --threads {threads} --output {output:q} 2> {log:q}"


rule tabulate_solutions:
    input:
        [f"<results>/dynamics/solutions/{name}.parquet" for name in COMPARED],
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
        code=code("tropism.dynamics"),
    message:
        "Comparing narrow and general solutions"
    shell:
        "python -m tropism.dynamics narrow {input:q} --stats {params.cfg:q} --output {output:q} 2> {log:q}"


if COMPARED:
    TABLES.append("<results>/tables/narrow_general.csv")
