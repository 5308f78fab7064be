# a registered GGUF file -> a base in plain transformers files, shared by all experiments


rule convert_model:
    output:
        manifest="results/models/{model}/manifest.json",
        weights="results/models/{model}/model.safetensors",
    log:
        "<logs>/models/{model}.log",
    benchmark:
        "<benchmarks>/models/{model}.tsv"
    wildcard_constraints:
        model=one_of([name for name in EXPERIMENT.models if name not in HUB_MODELS]),
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=20,
    params:
        source=lambda wildcards: EXPERIMENT.models[wildcards.model].source,
        entry=lambda wildcards: registry_line(EXPERIMENT.models[wildcards.model].source),
        registry=EXPERIMENT.registry,
        code=code("tropism.models.convert", "tropism.corpora.registry"),
    message:
        "Converting base {wildcards.model}"
    shell:
        "python -m tropism.models convert --source {params.source:q} --registry {params.registry:q}"
        " --output $(dirname {output.manifest:q}) 2> {log:q}"


rule take_adapter:
    input:
        base=lambda wildcards: base_files(LINEAGES[wildcards.lineage][0].model),
        source=lambda wildcards: adapter_source(PUBLISHED_LINEAGES[wildcards.lineage]),
    output:
        manifest="<results>/lineages/{lineage}/manifest.json",
        config="<results>/lineages/{lineage}/adapter/adapter_config.json",
        weights="<results>/lineages/{lineage}/adapter/adapter_model.safetensors",
    log:
        "<logs>/models/{lineage}.log",
    benchmark:
        "<benchmarks>/models/{lineage}.tsv"
    wildcard_constraints:
        lineage=one_of(PUBLISHED_LINEAGES),
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=20,
    params:
        source=lambda wildcards: PUBLISHED_LINEAGES[wildcards.lineage],
        entry=lambda wildcards: registry_line(PUBLISHED_LINEAGES[wildcards.lineage]),
        registry=EXPERIMENT.registry,
        code=code("tropism.models.published"),
    message:
        "Taking the published adapter {params.source}"
    shell:
        "python -m tropism.models take --source {params.source:q} --registry {params.registry:q}"
        " --base $(dirname {input.base[0]:q}) --output $(dirname {output.manifest:q}) 2> {log:q}"
