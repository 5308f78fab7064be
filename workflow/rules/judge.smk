# responses -> judgments; the probe judge is first trained on the reference answers, every judge is tried on them
PROBES = [name for name, judge in EXPERIMENT.judges.items() if judge.kind == "probe"]
JUDGES = [f"<results>/judges/{name}" for name in EXPERIMENT.judges]
SERVED = {
    name: judge
    for name, judge in EXPERIMENT.judges.items()
    if judge.kind == "endpoint" and not judge.serve
}
LAUNCHED = [name for name, judge in EXPERIMENT.judges.items() if judge.serve]


# a judge whose server is started here is asked everything in one job, so that its model is loaded once
rule ask_judge:
    input:
        generations=texts_to_judge,
        references=references_to_judge,
        base=lambda wildcards: (
            base_files(judge_config(wildcards).model)
            if judge_config(wildcards).model
            else []
        ),
        rubrics=rubric_files,
    output:
        "<results>/judges/{judge}/asked{texts}.json",
    log:
        "<logs>/judge/{judge}.asked{texts}.log",
    benchmark:
        "<benchmarks>/judge/{judge}.asked{texts}.tsv"
    wildcard_constraints:
        judge=one_of(LAUNCHED),
        texts=one_of(["", *STEERED_TEXTS.values()]),
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=1440,
        gpu=1,
    params:
        cfg=scoring_config,
        texts=lambda wildcards, input: [
            *(f"--generations {path}" for path in input.generations),
            *(f"--references {path}" for path in input.references),
            *(f"--base {Path(path).parent}" for path in input.base[:1]),
        ],
        answers=lambda wildcards: f"results/{EXPERIMENT.experiment}/answers/{wildcards.judge}{wildcards.texts}",
        server_log=lambda wildcards: f"results/{EXPERIMENT.experiment}/logs/judge/server.{wildcards.judge}{wildcards.texts}.log",
        code=code("tropism.judge.asked", "tropism.judge.__main__"),
    message:
        "Asking {wildcards.judge} behind a server of its own"
    shell:
        "python -m tropism.judge ask --name {wildcards.judge} --config {params.cfg:q} {params.texts}"
        " --answers {params.answers:q} --server-log {params.server_log:q} --output {output:q} 2> {log:q}"


rule train_judge:
    input:
        base=lambda wildcards: base_files(judge_config(wildcards).model),
        references=lambda wildcards: [
            dataset_file(name) for name in judge_config(wildcards).references
        ],
    output:
        weights="<results>/judges/{judge}/probe.safetensors",
        card="<results>/judges/{judge}/card.json",
        reliability="<results>/judges/{judge}/reliability.csv",
        references="<results>/judges/{judge}/references.parquet",
        manifest="<results>/judges/{judge}/manifest.json",
    log:
        "<logs>/judge/{judge}.train.log",
    benchmark:
        "<benchmarks>/judge/{judge}.train.tsv"
    wildcard_constraints:
        judge="|".join(PROBES) or "(?!)",
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=60,
    params:
        cfg=lambda wildcards: cfg(
            f"judges.{wildcards.judge}",
            leave=("rubrics", "max_unparsed", "thresholds"),
        ),
        references=lambda wildcards, input: [
            f"--references {path}" for path in input.references
        ],
        code=code(
            "tropism.judge.train",
            "tropism.judge.__main__",
            also=("tropism.judge.tables",),
        ),
    message:
        "Training judge {wildcards.judge} on reference answers"
    shell:
        "python -m tropism.judge train --name {wildcards.judge} --base $(dirname {input.base[0]:q})"
        " --config {params.cfg:q} {params.references} --output $(dirname {output.manifest:q}) 2> {log:q}"


rule judge_generations:
    input:
        generations="<results>/generations/{arm}.jsonl",
        judge=judge_files,
        rubrics=rubric_files,
    output:
        "<results>/judgments/{judge}/{arm}.parquet",
    log:
        "<logs>/judge/{judge}.{arm}.log",
    benchmark:
        "<benchmarks>/judge/{judge}.{arm}.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=120,
        gpu=judge_gpu,
        judge=judge_calls,
    params:
        cfg=scoring_config,
        flags=judge_flags,
        code=code("tropism.judge.judges", "tropism.judge.__main__"),
    message:
        "Judging {wildcards.arm} by {wildcards.judge}"
    shell:
        "python -m tropism.judge score --name {wildcards.judge} --config {params.cfg:q} {params.flags}"
        " --generations {input.generations:q} --output {output:q} 2> {log:q}"


JUDGMENTS = [
    path
    for judge in EXPERIMENT.judges
    for path in each_arm(f"<results>/judgments/{judge}/{{arm}}.parquet")
]
CALIBRATIONS = [f"{judge}/calibration.json" for judge in JUDGES]


rule judge_references:
    input:
        references=lambda wildcards: [
            dataset_file(name) for name in judge_config(wildcards).references
        ],
        judge=judge_files,
        rubrics=rubric_files,
    output:
        "<results>/judges/{judge}/references.parquet",
    log:
        "<logs>/judge/{judge}.references.log",
    benchmark:
        "<benchmarks>/judge/{judge}.references.tsv"
    wildcard_constraints:
        judge="|".join(name for name in EXPERIMENT.judges if name not in PROBES)
        or "(?!)",
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=120,
        gpu=judge_gpu,
        judge=judge_calls,
    params:
        cfg=scoring_config,
        flags=judge_flags,
        references=lambda wildcards, input: [
            f"--references {path}" for path in input.references
        ],
        code=code("tropism.judge.judges", "tropism.judge.__main__"),
    message:
        "Judging labelled references by {wildcards.judge}"
    shell:
        "python -m tropism.judge references --name {wildcards.judge} --config {params.cfg:q} {params.flags}"
        " {params.references} --output {output:q} 2> {log:q}"


rule calibrate_judge:
    input:
        references=lambda wildcards: (
            ["<results>/judges/{judge}/references.parquet"]
            if judge_config(wildcards).references
            else []
        ),
        rubrics=rubric_files,
    output:
        calibration="<results>/judges/{judge}/calibration.json",
        thresholds="<results>/judges/{judge}/thresholds.csv",
        roc="<results>/judges/{judge}/roc.csv",
    log:
        "<logs>/judge/{judge}.calibrate.log",
    benchmark:
        "<benchmarks>/judge/{judge}.calibrate.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=10,
    params:
        cfg=lambda wildcards: cfg(
            f"judges.{wildcards.judge}", leave=("price_input", "price_output")
        ),
        references=lambda wildcards, input: (
            f"--references {input.references}" if input.references else ""
        ),
        code=code(
            "tropism.judge.calibrate", "tropism.judge.__main__", "tropism.judge.judges"
        ),
    message:
        "Choosing the thresholds of {wildcards.judge}"
    shell:
        "python -m tropism.judge calibrate --name {wildcards.judge} --config {params.cfg:q} {params.references}"
        " --output $(dirname {output.calibration:q}) 2> {log:q}"


localrules:
    estimate,


# what served judges will cost, printed: `snakemake --cores 1 estimate`
rule estimate:
    input:
        EVAL_SETS,
        [dataset_file(name) for judge in SERVED.values() for name in judge.references],
    log:
        "<logs>/judge/estimate.log",
    params:
        judges=canonical({name: SETTINGS["judges"][name] for name in SERVED}),
        references=canonical(
            {
                name: plain(map(dataset_file, judge.references))
                for name, judge in SERVED.items()
            }
        ),
        changed=lambda wildcards: canonical(
            {name: texts_judged_by(name) for name in SERVED}
        ),
        cfg=cfg("evaluate"),
        arms=canonical(
            {
                name: EXPERIMENT.models[arm.model].reasoning != "none"
                for name, arm in ARMS.items()
                if arm.evaluate
            }
        ),
        sets=SET_FLAGS,
        results=lambda wildcards: f"results/{EXPERIMENT.experiment}",
    message:
        "Estimating what served judges will cost"
    shell:
        "python -m tropism.judge estimate --judges {params.judges:q} --config {params.cfg:q} --arms {params.arms:q}"
        " --references {params.references:q} --changed {params.changed:q} {params.sets} --results {params.results:q}"
        " 2> {log:q}"
