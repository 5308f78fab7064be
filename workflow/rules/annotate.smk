# texts -> metaphor spans with character offsets, and their quality against gold labels


rule annotate_texts:
    input:
        texts="<results>/datasets/{dataset}.jsonl",
        annotator=annotator_files,
    output:
        "<results>/spans/{dataset}.jsonl",
    log:
        "<logs>/annotate/{dataset}.log",
    benchmark:
        "<benchmarks>/annotate/{dataset}.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=120,
    params:
        cfg=cfg("annotator"),
        model=annotator_flag,
        code=code("tropism.annotate"),
    message:
        "Annotating metaphors in {wildcards.dataset}"
    shell:
        "python -m tropism.annotate texts {input.texts:q} {params.model} --config {params.cfg:q}"
        " --output {output:q} 2> {log:q}"


rule score_annotator:
    input:
        gold=source_file(EXPERIMENT.gold),
        annotator=annotator_files,
    output:
        published("annotation_quality"),
    log:
        "<logs>/annotate/quality.log",
    benchmark:
        "<benchmarks>/annotate/quality.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=60,
    params:
        cfg=cfg("annotator"),
        model=annotator_flag,
        entry=registry_line(EXPERIMENT.gold),
        gold=EXPERIMENT.gold,
        registry=EXPERIMENT.registry,
        code=code("tropism.annotate"),
    message:
        "Scoring the annotator against gold labels"
    shell:
        "python -m tropism.annotate quality {params.gold:q} --registry {params.registry:q} {params.model}"
        " --config {params.cfg:q} --output {output:q} 2> {log:q}"


if EXPERIMENT.gold:
    TABLES.append("<results>/tables/annotation_quality.csv")
