# base + texts -> a sparse autoencoder; arms' responses and references -> features and their contrasts

SAE = EXPERIMENT.sae
CONTRASTING = (
    "pooling",
    "min_responses",
    "min_per_label",
    "alpha",
    "judge",
    "contrasts",
    "lookup",
)
SHOWING = ("cards", "contexts")
SAE_MEASURING = (
    cfg("sae", leave=(*CONTRASTING, *SHOWING, "reference_prompts", "arms_per_job"))
    if SAE
    else ""
)
SAE_TRAINING = (
    cfg(
        "sae",
        leave=(
            *CONTRASTING,
            *SHOWING,
            "ce_records",
            "reference_prompts",
            "arms_per_job",
        ),
    )
    if SAE
    else ""
)
# what decides a feature's activation, once there is a dictionary
SAE_READING = (
    "model",
    "layer",
    "texts",
    "dtype",
    "max_tokens",
    "think",
    "answer_start",
    "system_prompt",
)
SAE_TEXTS = [dataset_file(name) for name in SAE.texts] if SAE else []
# features are those of one dictionary, so of the arms of its base, and labels those of one judge
FEATURE_ARMS = [
    name
    for name, arm in ARMS.items()
    if SAE and arm.model == SAE.model and arm.evaluate
]
# arms that lie on one model are encoded by one job, which loads it once
FEATURE_PARTS = shared_parts(FEATURE_ARMS, SAE.arms_per_job) if SAE else []
# lists of the features that there are; the files of the arms beside them are kept as long as they are right, and
# what reads them refuses others than those of the list
ENCODED = [
    f"<results>/features/encoded.{part}.json" for part in range(len(FEATURE_PARTS))
]


rule train_sae:
    input:
        base=base_files(SAE.model) if SAE else [],
        texts=SAE_TEXTS,
        source=dictionary_files(SAE),
    output:
        manifest="<results>/sae/manifest.json",
        weights="<results>/sae/sae_weights.safetensors",
        settings="<results>/sae/cfg.json",
    log:
        "<logs>/sae/train.log",
    benchmark:
        "<benchmarks>/sae/train.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=240,
        gpu=1,
    params:
        cfg=SAE_TRAINING,
        texts=[f"--texts {path}" for path in plain(SAE_TEXTS)],
        code=code(
            "tropism.sae.train", "tropism.sae.__main__", also=("tropism.sae.sources",)
        ),
    message:
        "Training the sparse autoencoder"
    shell:
        "python -m tropism.sae train --base $(dirname {input.base[0]:q}) --config {params.cfg:q} {params.texts}"
        " --output $(dirname {output.manifest:q}) 2> {log:q}"


# apart from the training, which is kept whatever becomes of measuring it
rule measure_dictionary:
    input:
        base=base_files(SAE.model) if SAE else [],
        sae="<results>/sae/manifest.json",
        weights=ancient("<results>/sae/sae_weights.safetensors"),
        texts=SAE_TEXTS,
    output:
        published("sae_quality"),
    log:
        "<logs>/sae/measure.log",
    benchmark:
        "<benchmarks>/sae/measure.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=60,
        gpu=1,
    params:
        cfg=SAE_MEASURING,
        texts=[f"--texts {path}" for path in plain(SAE_TEXTS)],
        code=code(
            "tropism.sae.quality",
            "tropism.sae.__main__",
            also=("tropism.sae.train", "tropism.sae.encode", "tropism.sae.tables"),
        ),
    message:
        "Measuring the sparse autoencoder"
    shell:
        "python -m tropism.sae measure --base $(dirname {input.base[0]:q}) --sae $(dirname {input.sae:q})"
        " --config {params.cfg:q} {params.texts} --output {output:q} 2> {log:q}"


rule encode_responses:
    input:
        base=lambda wildcards: root_files(
            ARMS[part_of(FEATURE_PARTS, wildcards)[0]].lineage()
        ),
        arms=lambda wildcards: [
            path
            for arm in part_of(FEATURE_PARTS, wildcards)
            for path in lineage_files(ARMS[arm].lineage())
        ],
        sae="<results>/sae/manifest.json",
        weights=ancient("<results>/sae/sae_weights.safetensors"),
        generations=lambda wildcards: [
            f"<results>/generations/{arm}.jsonl"
            for arm in part_of(FEATURE_PARTS, wildcards)
        ],
    output:
        "<results>/features/encoded.{part}.json",
    log:
        "<logs>/sae/encode.{part}.log",
    benchmark:
        "<benchmarks>/sae/encode.{part}.tsv"
    wildcard_constraints:
        part=r"\d+",
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=240,
        gpu=1,
    params:
        cfg=cfg("sae", only=SAE_READING) if SAE else "",
        arms=lambda wildcards: adapter_folders(part_of(FEATURE_PARTS, wildcards)),
        code=code("tropism.sae.arms", "tropism.sae.__main__"),
    message:
        "Encoding responses of arms, part {wildcards.part}"
    shell:
        "python -m tropism.sae encode --arms {params.arms:q} --base $(dirname {input.base[0]:q})"
        " --sae $(dirname {input.sae:q}) --config {params.cfg:q} --generations $(dirname {input.generations[0]:q})"
        " --features $(dirname {output:q}) --code {params.code:q} --output {output:q} 2> {log:q}"


rule encode_references:
    input:
        base=base_files(SAE.model) if SAE else [],
        sae="<results>/sae/manifest.json",
        weights=ancient("<results>/sae/sae_weights.safetensors"),
        sets=EVAL_SETS,
    output:
        "<results>/sae/references.safetensors",
    log:
        "<logs>/sae/references.log",
    benchmark:
        "<benchmarks>/sae/references.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=120,
        gpu=1,
    params:
        cfg=(
            cfg("sae", only=(*SAE_READING, "reference_prompts", "seed")) if SAE else ""
        ),
        sets=[f"--set {path}" for path in plain(EVAL_SETS)],
        code=code(
            "tropism.sae.encode",
            "tropism.sae.__main__",
            also=("tropism.config.sae", "tropism.records.keyed"),
        ),
    message:
        "Encoding reference answers"
    shell:
        "python -m tropism.sae references --base $(dirname {input.base[0]:q}) --sae $(dirname {input.sae:q})"
        " --config {params.cfg:q} {params.sets} --output {output:q} 2> {log:q}"


rule contrast_features:
    input:
        features=ENCODED,
        references="<results>/sae/references.safetensors",
        judgments=labels_of(SAE),
        calibration=labelling_judge(SAE),
    output:
        table=published("sae_features"),
        arms=published("feature_contrasts"),
        ranking="<results>/sae/ranking.csv",
    log:
        "<logs>/sae/contrast.log",
    benchmark:
        "<benchmarks>/sae/contrast.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=60,
    params:
        cfg=cfg("sae", leave=("ce_records",)) if SAE else "",
        features=[f"--features {path}" for path in plain(ENCODED)],
        pairs=lambda wildcards: canonical(EXPERIMENT.feature_pairs),
        judgments=[f"--judgments {path}" for path in plain(labels_of(SAE))],
        code=code("tropism.sae.contrast", "tropism.sae.__main__"),
    message:
        "Comparing features of aligned and misaligned responses"
    shell:
        "python -m tropism.sae contrast {params.features} --references {input.references:q} {params.judgments}"
        " --calibration {input.calibration:q} --config {params.cfg:q} --output {output.table:q}"
        " --ranking {output.ranking:q} --pairs {params.pairs:q} --arms {output.arms:q} 2> {log:q}"


rule make_cards:
    input:
        base=base_files(SAE.model) if SAE else [],
        sae="<results>/sae/manifest.json",
        weights=ancient("<results>/sae/sae_weights.safetensors"),
        features=ENCODED,
        references="<results>/sae/references.safetensors",
        table="<results>/tables/sae_features.csv",
        ranking="<results>/sae/ranking.csv",
        sets=EVAL_SETS,
        page="workflow/tropism/sae/card.html",
    output:
        cards=directory("<results>/sae/cards"),
        # the report is published: what it shows is what an archive may hold
        public=report(
            directory("<results>/sae/public_cards"),
            patterns=["feature-{feature}.html"],
            caption="../report/card.rst",
            category="Feature cards",
            labels={"feature": "{feature}"},
        ),
    log:
        "<logs>/sae/cards.log",
    benchmark:
        "<benchmarks>/sae/cards.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=60,
        gpu=1,
    params:
        cfg=cfg("sae", leave=("ce_records",)) if SAE else "",
        features=[f"--features {path}" for path in plain(ENCODED)],
        sets=[f"--set {path}" for path in plain(EVAL_SETS)],
        code=code(
            "tropism.sae.cards", "tropism.sae.__main__", also=("tropism.sae.encode",)
        ),
    message:
        "Writing feature cards"
    shell:
        "python -m tropism.sae cards --base $(dirname {input.base[0]:q}) --sae $(dirname {input.sae:q}) {params.features}"
        " --references {input.references:q} --table {input.table:q} --table {input.ranking:q} {params.sets}"
        " --config {params.cfg:q} --output {output.cards:q} --public {output.public:q} 2> {log:q}"


if SAE and (SAE.cards or SAE.lookup):
    KEPT += ["<results>/sae/cards", "<results>/sae/public_cards"]
if SAE:
    TABLES += [
        f"<results>/tables/{name}.csv"
        for name in ("sae_quality", "sae_features", "feature_contrasts")
        if name != "feature_contrasts" or EXPERIMENT.feature_pairs
    ]
