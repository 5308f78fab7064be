# a registered place on the Hugging Face hub -> its files, on the login node: compute jobs have no network

HUB_MODELS = [name for name, model in EXPERIMENT.models.items() if on_hub(model.source)]

UNPINNED = sorted(
    {
        source
        for source in [
            *(used.source for used in EXPERIMENT.models.values()),
            *(used.source for used in EXPERIMENT.datasets.values()),
            *(arm.adapter for arm in ARMS.values() if arm.adapter),
            *(
                [EXPERIMENT.sae.source.release]
                if EXPERIMENT.sae and EXPERIMENT.sae.source
                else []
            ),
        ]
        if on_hub(source) and not registered(source).revision
    }
)
if UNPINNED and workflow.is_main_process:
    logger.warning(
        f"{EXPERIMENT.registry}: no commit (column `revision`) of {', '.join(UNPINNED)}: their download will stop and"
        " say which commit is the newest. Register it before the long jobs begin."
    )


localrules:
    download_model,
    download_source,


rule download_model:
    output:
        manifest="results/models/{model}/manifest.json",
    log:
        "<logs>/download/{model}.log",
    benchmark:
        "<benchmarks>/download/{model}.tsv"
    wildcard_constraints:
        model=one_of(HUB_MODELS),
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=1440,
    params:
        source=lambda wildcards: EXPERIMENT.models[wildcards.model].source,
        entry=lambda wildcards: registry_line(EXPERIMENT.models[wildcards.model].source),
        registry=EXPERIMENT.registry,
        code=code("tropism.download"),
    message:
        "Downloading base {wildcards.model}"
    shell:
        "python -m tropism.download fetch {params.source:q} --registry {params.registry:q}"
        " --output $(dirname {output.manifest:q}) 2> {log:q}"


rule download_source:
    output:
        manifest="results/sources/{source}/manifest.json",
    log:
        "<logs>/download/{source}.log",
    benchmark:
        "<benchmarks>/download/{source}.tsv"
    wildcard_constraints:
        source=NAME_PATTERN,
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=240,
    params:
        entry=lambda wildcards: registry_line(wildcards.source),
        registry=EXPERIMENT.registry,
        code=code("tropism.download"),
    message:
        "Downloading {wildcards.source}"
    shell:
        "python -m tropism.download fetch {wildcards.source} --registry {params.registry:q}"
        " --output $(dirname {output.manifest:q}) 2> {log:q}"
