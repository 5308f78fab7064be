# a registered file or a path -> cleaned records in one schema


rule clean_dataset:
    input:
        source=lambda wildcards: source_file(
            EXPERIMENT.datasets[wildcards.dataset].source
        ),
    output:
        records="<results>/datasets/{dataset}.jsonl",
        report="<results>/datasets/{dataset}.corpus.csv",
    log:
        "<logs>/corpora/{dataset}.log",
    benchmark:
        "<benchmarks>/corpora/{dataset}.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=20,
    params:
        cfg=lambda wildcards: cfg(f"datasets.{wildcards.dataset}"),
        entry=lambda wildcards: registry_line(
            EXPERIMENT.datasets[wildcards.dataset].source
        ),
        evaluated=lambda wildcards: (
            "--evaluated" if wildcards.dataset in EXPERIMENT.evaluate.sets else ""
        ),
        registry=EXPERIMENT.registry,
        code=code("tropism.corpora"),
    message:
        "Cleaning {wildcards.dataset}"
    shell:
        "python -m tropism.corpora clean --name {wildcards.dataset} --config {params.cfg:q}"
        " --registry {params.registry:q} {params.evaluated} --output {output.records:q} --report {output.report:q} 2> {log:q}"
