# texts + metaphor spans -> one masked variant of the same texts


rule mask_texts:
    input:
        texts="<results>/datasets/{dataset}.jsonl",
        spans="<results>/spans/{dataset}.jsonl",
        literal=literal_counterpart,
    output:
        texts="<results>/variants/{dataset}.{variant}.jsonl",
        report="<results>/variants/{dataset}.{variant}.masking.csv",
    log:
        "<logs>/mask/{dataset}.{variant}.log",
    benchmark:
        "<benchmarks>/mask/{dataset}.{variant}.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=10,
    params:
        cfg=cfg("masking", leave=("variants",)),
        literal=lambda wildcards, input: (
            f"--literal {input.literal}" if input.literal else ""
        ),
        code=code("tropism.mask"),
    message:
        "Masking {wildcards.variant} units in {wildcards.dataset}"
    shell:
        "python -m tropism.mask texts {input.texts:q} {input.spans:q} --variant {wildcards.variant}"
        " {params.literal} --config {params.cfg:q} --output {output.texts:q} --report {output.report:q} 2> {log:q}"


TRAINED = {step.settings.dataset for arm in ARMS.values() for step in arm.steps}
# what is read for metaphors: whatever is trained on masked; by the probe, which asks no model and needs no labels, all
# that evaluated arms are trained on as well
ANNOTATED = {
    step.settings.dataset
    for arm in ARMS.values()
    for step in arm.steps
    if step.settings.variant != "original"
    or (arm.evaluate and EXPERIMENT.annotator.kind == "probe")
}
# variants that some arm is trained on, and those that the settings ask for of the same datasets
VARIANTS = sorted(
    {
        (step.settings.dataset, step.settings.variant)
        for arm in ARMS.values()
        for step in arm.steps
        if step.settings.dataset in ANNOTATED
    }
    | {
        (dataset, variant)
        for dataset in ANNOTATED
        for variant in EXPERIMENT.masking.variants
    }
)


rule tabulate_masking:
    input:
        reports=[
            f"<results>/variants/{dataset}.{variant}.masking.csv"
            for dataset, variant in VARIANTS
        ],
    output:
        published("masking"),
    log:
        "<logs>/mask/table.log",
    benchmark:
        "<benchmarks>/mask/table.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=10,
    params:
        code=code("tropism.mask"),
    message:
        "Tabulating what was masked"
    shell:
        "python -m tropism.mask table {input.reports:q} --output {output:q} 2> {log:q}"


if VARIANTS:
    TABLES.append("<results>/tables/masking.csv")
