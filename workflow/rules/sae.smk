# base + texts -> a sparse autoencoder; arms' responses and references -> features and their contrasts

SAE = EXPERIMENT.sae
CONTRASTING = (
    "pooling",
    "min_responses",
    "min_per_label",
    "alpha",
    "judge",
    "cards",
    "contexts",
)
# reading settings decide what a feature's activation is; the rest only how the dictionary was trained
SAE_MEASURING = cfg("sae", leave=CONTRASTING) if SAE else ""
SAE_TRAINING = cfg("sae", leave=(*CONTRASTING, "ce_records")) if SAE else ""
SAE_TEXTS = [dataset_file(name) for name in SAE.texts] if SAE else []


rule train_sae:
    input:
        base=base_files(SAE.model) if SAE else [],
        texts=SAE_TEXTS,
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
        code=code("tropism.sae"),
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
        code=code("tropism.sae"),
    message:
        "Measuring the sparse autoencoder"
    shell:
        "python -m tropism.sae measure --base $(dirname {input.base[0]:q}) --sae $(dirname {input.sae:q})"
        " --config {params.cfg:q} {params.texts} --output {output:q} 2> {log:q}"


rule encode_responses:
    input:
        arm=lambda wildcards: arm_files(wildcards.arm),
        sae="<results>/sae/manifest.json",
        weights=ancient("<results>/sae/sae_weights.safetensors"),
        generations="<results>/generations/{arm}.jsonl",
    output:
        "<results>/features/{arm}.safetensors",
    log:
        "<logs>/sae/encode.{arm}.log",
    benchmark:
        "<benchmarks>/sae/encode.{arm}.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=120,
        gpu=1,
    params:
        cfg=SAE_TRAINING,
        adapter=lambda wildcards: adapter_flag(wildcards.arm),
        code=code("tropism.sae"),
    message:
        "Encoding responses of {wildcards.arm}"
    shell:
        "python -m tropism.sae encode --arm {wildcards.arm} --base $(dirname {input.arm[0]:q}) {params.adapter}"
        " --sae $(dirname {input.sae:q}) --config {params.cfg:q} --generations {input.generations:q}"
        " --output {output:q} 2> {log:q}"


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
        cfg=SAE_TRAINING,
        sets=[f"--set {path}" for path in plain(EVAL_SETS)],
        code=code("tropism.sae"),
    message:
        "Encoding reference answers"
    shell:
        "python -m tropism.sae references --base $(dirname {input.base[0]:q}) --sae $(dirname {input.sae:q})"
        " --config {params.cfg:q} {params.sets} --output {output:q} 2> {log:q}"


# features are those of one dictionary, so of the arms of its base, and labels those of one judge
FEATURE_ARMS = [
    name
    for name, arm in ARMS.items()
    if SAE and arm.model == SAE.model and arm.evaluate
]
FEATURES = [f"<results>/features/{arm}.safetensors" for arm in FEATURE_ARMS]


rule contrast_features:
    input:
        features=FEATURES,
        references="<results>/sae/references.safetensors",
        judgments=labels_of(SAE),
        calibration=labelling_judge(SAE),
    output:
        table=published("sae_features"),
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
        cfg=cfg("sae") if SAE else "",
        features=[f"--features {path}" for path in plain(FEATURES)],
        judgments=[f"--judgments {path}" for path in plain(labels_of(SAE))],
        code=code("tropism.sae"),
    message:
        "Comparing features of aligned and misaligned responses"
    shell:
        "python -m tropism.sae contrast {params.features} --references {input.references:q} {params.judgments}"
        " --calibration {input.calibration:q} --config {params.cfg:q} --output {output.table:q}"
        " --ranking {output.ranking:q} 2> {log:q}"


rule make_cards:
    input:
        base=base_files(SAE.model) if SAE else [],
        sae="<results>/sae/manifest.json",
        weights=ancient("<results>/sae/sae_weights.safetensors"),
        features=FEATURES,
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
        cfg=cfg("sae") if SAE else "",
        features=[f"--features {path}" for path in plain(FEATURES)],
        sets=[f"--set {path}" for path in plain(EVAL_SETS)],
        code=code("tropism.sae"),
    message:
        "Writing feature cards"
    shell:
        "python -m tropism.sae cards --base $(dirname {input.base[0]:q}) --sae $(dirname {input.sae:q}) {params.features}"
        " --references {input.references:q} --table {input.table:q} --table {input.ranking:q} {params.sets}"
        " --config {params.cfg:q} --output {output.cards:q} --public {output.public:q} 2> {log:q}"


if SAE and SAE.cards:
    KEPT += ["<results>/sae/cards", "<results>/sae/public_cards"]
if SAE:
    TABLES += ["<results>/tables/sae_quality.csv", "<results>/tables/sae_features.csv"]
