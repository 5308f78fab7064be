# a lineage so far + one variant of a dataset -> the lineage with one more step


rule train_step:
    input:
        dataset=lambda wildcards: training_rows(last_step(wildcards)),
        base=lambda wildcards: root_files(parent_lineage(wildcards)),
        parent=lambda wildcards: lineage_files(parent_lineage(wildcards)),
        kl=lambda wildcards: [
            dataset_file(name) for name in kl_datasets(last_step(wildcards))
        ],
    output:
        manifest="<results>/lineages/{lineage}/manifest.json",
        config="<results>/lineages/{lineage}/adapter/adapter_config.json",
        weights="<results>/lineages/{lineage}/adapter/adapter_model.safetensors",
        losses="<results>/lineages/{lineage}/training.csv",
        speed="<results>/lineages/{lineage}/speed.json",
    log:
        "<logs>/train/{lineage}.log",
    benchmark:
        "<benchmarks>/train/{lineage}.tsv"
    wildcard_constraints:
        lineage=rf"(?!(?:{one_of([*FULL_LINEAGES, *PUBLISHED_LINEAGES])})/){WORD_PATTERN}(?:\.{NAME_PATTERN})+",
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: training_mb(wildcards, input) * attempt,
        runtime=240,
        gpu=1,
    params:
        cfg=lambda wildcards: canonical(last_step(wildcards).model_dump(mode="json")),
        model=lambda wildcards: reading_settings(LINEAGES[wildcards.lineage][0].model),
        mode=lambda wildcards: mask_flag(last_step(wildcards)),
        kl=lambda wildcards, input: [f"--kl {path}" for path in input.kl],
        code=code("tropism.train"),
        checkpoints=lambda wildcards: f"results/{EXPERIMENT.experiment}/checkpoints/{wildcards.lineage}",
    message:
        "Training {wildcards.lineage}"
    shell:
        "python -m tropism.train step {input.dataset:q} --base $(dirname {input.base[0]:q}) --parent {input.parent[0]:q}"
        " --config {params.cfg:q} --model-config {params.model:q} {params.mode} {params.kl} --code {params.code:q}"
        " --threads {threads} --processes {resources.gpu} --checkpoints {params.checkpoints:q} --output $(dirname {output.manifest:q}) 2> {log:q}"


use rule train_step as train_model with:
    output:
        manifest="<results>/lineages/{lineage}/manifest.json",
        own="<results>/lineages/{lineage}/model/manifest.json",
        weights="<results>/lineages/{lineage}/model/model.safetensors",
        losses="<results>/lineages/{lineage}/training.csv",
        speed="<results>/lineages/{lineage}/speed.json",
    wildcard_constraints:
        lineage=one_of(FULL_LINEAGES),


TRAINED_LINEAGES = [lineage for lineage, (arm, depth) in LINEAGES.items() if depth]


rule tabulate_training:
    input:
        losses=[
            f"<results>/lineages/{lineage}/training.csv"
            for lineage in TRAINED_LINEAGES
        ],
        speed=[
            f"<results>/lineages/{lineage}/speed.json" for lineage in TRAINED_LINEAGES
        ],
    output:
        training=published("training"),
        speed=published("training_speed"),
    log:
        "<logs>/train/table.log",
    benchmark:
        "<benchmarks>/train/table.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=10,
    params:
        code=code("tropism.train"),
    message:
        "Tabulating loss curves"
    shell:
        "python -m tropism.train table $(dirname {input.losses:q}) --output {output.training:q}"
        " --speed {output.speed:q} 2> {log:q}"


if TRAINED_LINEAGES:
    TABLES += ["<results>/tables/training.csv", "<results>/tables/training_speed.csv"]
