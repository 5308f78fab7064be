# features + judgments -> detectors, their baselines and their nulls

MARGINS = (
    [f"<results>/likelihoods/{arm}.parquet" for arm in FEATURE_ARMS]
    if "likelihood" in EXPERIMENT.evaluate.instruments
    else []
)


rule train_detector:
    input:
        features=ENCODED,
        references="<results>/sae/references.safetensors",
        judgments=labels_of(EXPERIMENT.detector),
        calibration=labelling_judge(EXPERIMENT.detector),
        generations=[f"<results>/generations/{arm}.jsonl" for arm in FEATURE_ARMS],
        likelihoods=MARGINS,
        sets=EVAL_SETS,
    output:
        table=published("detector"),
        curves=published("detector_curves"),
    log:
        "<logs>/detect/train.log",
    benchmark:
        "<benchmarks>/detect/train.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=120,
    params:
        cfg=cfg("detector") if EXPERIMENT.detector else "",
        features=[f"--features {path}" for path in plain(ENCODED)],
        judgments=[
            f"--judgments {path}" for path in plain(labels_of(EXPERIMENT.detector))
        ],
        generations=[
            f"--generations {path}"
            for path in plain(
                [f"<results>/generations/{arm}.jsonl" for arm in FEATURE_ARMS]
            )
        ],
        likelihoods=[f"--likelihoods {path}" for path in plain(MARGINS)],
        sets=[f"--sets {path}" for path in plain(EVAL_SETS)],
        code=code(
            "tropism.detect.evaluate",
            "tropism.detect.__main__",
            also=("tropism.detect.texts",),
        ),
    message:
        "Training detectors and their controls"
    shell:
        "python -m tropism.detect train {params.features} --references {input.references:q} {params.judgments} --calibration {input.calibration:q}"
        " {params.generations} {params.likelihoods} {params.sets} --config {params.cfg:q} --output {output.table:q}"
        " --curves {output.curves:q} 2> {log:q}"


rule save_detector:
    input:
        features=ENCODED,
        references="<results>/sae/references.safetensors",
        judgments=labels_of(EXPERIMENT.detector),
        calibration=labelling_judge(EXPERIMENT.detector),
        table="<results>/tables/detector.csv",
    output:
        card="<results>/detector/card.json",
        manifest="<results>/detector/manifest.json",
    log:
        "<logs>/detect/save.log",
    benchmark:
        "<benchmarks>/detect/save.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=30,
    params:
        cfg=cfg("detector") if EXPERIMENT.detector else "",
        features=[f"--features {path}" for path in plain(ENCODED)],
        judgments=[
            f"--judgments {path}" for path in plain(labels_of(EXPERIMENT.detector))
        ],
        told=lambda wildcards: (
            f"--system-prompt {shlex.quote(SAE.system_prompt)}"
            if SAE and SAE.system_prompt is not None
            else ""
        ),
        code=code("tropism.detect.saved", "tropism.detect.__main__"),
    message:
        "Keeping a detector for use on new text"
    shell:
        "python -m tropism.detect save {params.features} --references {input.references:q} {params.judgments}"
        " --calibration {input.calibration:q} --table {input.table:q} --config {params.cfg:q} {params.told}"
        " --output $(dirname {output.card:q}) 2> {log:q}"


if EXPERIMENT.detector:
    KEPT.append("<results>/detector/card.json")
    TABLES += ["<results>/tables/detector.csv", "<results>/tables/detector_curves.csv"]
