# judgments and likelihoods of all arms -> rates, contrasts, trends, intervals
PLANNED = canonical(
    [contrast.model_dump(mode="json") for contrast in EXPERIMENT.planned]
)


rule estimate_rates:
    input:
        judgments=JUDGMENTS,
        likelihoods=LIKELIHOODS,
        calibration=CALIBRATIONS,
    output:
        published("misalignment"),
    log:
        "<logs>/stats/rates.log",
    benchmark:
        "<benchmarks>/stats/rates.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=60,
    params:
        cfg=cfg("stats"),
        groups=canonical(EXPERIMENT.groups),
        judgments=[f"--judgments {path}" for path in plain(JUDGMENTS)],
        likelihoods=[f"--likelihoods {path}" for path in plain(LIKELIHOODS)],
        calibration=[f"--calibration {path}" for path in plain(CALIBRATIONS)],
        code=code("tropism.stats"),
    message:
        "Estimating misalignment of every arm"
    shell:
        "python -m tropism.stats rates {params.judgments} {params.likelihoods} {params.calibration} --config {params.cfg:q}"
        " --groups {params.groups:q} --output {output:q} 2> {log:q}"


rule contrast_arms:
    input:
        judgments=JUDGMENTS,
        likelihoods=LIKELIHOODS,
        calibration=CALIBRATIONS,
    output:
        published("contrasts"),
    log:
        "<logs>/stats/contrasts.log",
    benchmark:
        "<benchmarks>/stats/contrasts.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=60,
    params:
        cfg=cfg("stats"),
        contrasts=PLANNED,
        groups=canonical(EXPERIMENT.groups),
        judgments=[f"--judgments {path}" for path in plain(JUDGMENTS)],
        likelihoods=[f"--likelihoods {path}" for path in plain(LIKELIHOODS)],
        calibration=[f"--calibration {path}" for path in plain(CALIBRATIONS)],
        code=code("tropism.stats"),
    message:
        "Testing the planned contrasts"
    shell:
        "python -m tropism.stats contrasts {params.judgments} {params.likelihoods} {params.calibration} --config {params.cfg:q}"
        " --contrasts {params.contrasts:q} --groups {params.groups:q} --output {output:q} 2> {log:q}"


rule fit_mixed_effects:
    input:
        judgments=JUDGMENTS,
        calibration=CALIBRATIONS,
    output:
        published("mixed_effects"),
    log:
        "<logs>/stats/mixed_effects.log",
    benchmark:
        "<benchmarks>/stats/mixed_effects.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=60,
    params:
        cfg=cfg("stats"),
        contrasts=PLANNED,
        groups=canonical(EXPERIMENT.groups),
        judgments=[f"--judgments {path}" for path in plain(JUDGMENTS)],
        calibration=[f"--calibration {path}" for path in plain(CALIBRATIONS)],
        code=code("tropism.stats"),
    message:
        "Looking again at contrasts by mixed-effects regression"
    shell:
        "python -m tropism.stats mixed {params.judgments} {params.calibration} --config {params.cfg:q}"
        " --contrasts {params.contrasts:q} --groups {params.groups:q} --output {output:q} 2> {log:q}"


rule follow_trends:
    input:
        judgments=JUDGMENTS,
        likelihoods=LIKELIHOODS,
        calibration=CALIBRATIONS,
    output:
        published("trends"),
    log:
        "<logs>/stats/trends.log",
    benchmark:
        "<benchmarks>/stats/trends.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=60,
    params:
        cfg=cfg("stats"),
        trends=canonical(SETTINGS["trends"]),
        groups=canonical(EXPERIMENT.groups),
        judgments=[f"--judgments {path}" for path in plain(JUDGMENTS)],
        likelihoods=[f"--likelihoods {path}" for path in plain(LIKELIHOODS)],
        calibration=[f"--calibration {path}" for path in plain(CALIBRATIONS)],
        code=code("tropism.stats"),
    message:
        "Following arms along a quantity"
    shell:
        "python -m tropism.stats trends {params.judgments} {params.likelihoods} {params.calibration} --config {params.cfg:q}"
        " --trends {params.trends:q} --groups {params.groups:q} --output {output:q} 2> {log:q}"


TABLES.append("<results>/tables/misalignment.csv")
if EXPERIMENT.planned:
    TABLES.append("<results>/tables/contrasts.csv")
if JUDGMENTS and any(not contrast.weights for contrast in EXPERIMENT.planned):
    TABLES.append("<results>/tables/mixed_effects.csv")
if EXPERIMENT.trends:
    TABLES.append("<results>/tables/trends.csv")
