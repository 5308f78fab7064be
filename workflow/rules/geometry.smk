# arms' states on the same texts -> steering vectors, their geometry, and what they do in other arms

GEOMETRY = EXPERIMENT.steering
GEOMETRY_ARMS = GEOMETRY.arms if GEOMETRY else []
TOPICS = [dataset_file(name) for name in GEOMETRY.harmful] if GEOMETRY else []
NEUTRAL = [dataset_file(name) for name in GEOMETRY.neutral] if GEOMETRY else []
GEOMETRY_MODEL = cfg(f"models.{GEOMETRY.model}") if GEOMETRY else ""
GEOMETRY_SAMPLING = (
    "strengths",
    "targets",
    "controls",
    "samples",
    "max_new_tokens",
    "temperature",
    "top_p",
)
GEOMETRY_PARTS = ("prompts", "validation", "reported", "batch_tokens")
GEOMETRY_JUDGE = (
    (GEOMETRY.judge or next(iter(EXPERIMENT.judges)))
    if GEOMETRY and GEOMETRY.samples
    else None
)
TOPIC_FLAGS = [f"--harmful {path}" for path in plain(TOPICS)]


GEOMETRY_READ = (
    shared_parts([GEOMETRY.base, *GEOMETRY_ARMS], GEOMETRY.arms_per_job)
    if GEOMETRY
    else []
)
GEOMETRY_STATES = [
    f"<results>/geometry/states/read.{part}.json" for part in range(len(GEOMETRY_READ))
]


rule read_geometry_states:
    input:
        base=lambda wildcards: root_files(
            ARMS[part_of(GEOMETRY_READ, wildcards)[0]].lineage()
        ),
        arms=lambda wildcards: [
            path
            for arm in part_of(GEOMETRY_READ, wildcards)
            for path in lineage_files(ARMS[arm].lineage())
        ],
        topics=TOPICS,
        neutral=NEUTRAL,
    output:
        "<results>/geometry/states/read.{part}.json",
    log:
        "<logs>/geometry/read.{part}.log",
    benchmark:
        "<benchmarks>/geometry/read.{part}.tsv"
    wildcard_constraints:
        part=r"\d+",
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=120,
        gpu=1,
    params:
        cfg=geometry_settings(only=GEOMETRY_PARTS),
        model=lambda wildcards: reading_settings(
            ARMS[part_of(GEOMETRY_READ, wildcards)[0]].model
        ),
        arms=lambda wildcards: adapter_folders(part_of(GEOMETRY_READ, wildcards)),
        topics=TOPIC_FLAGS,
        neutral=[f"--neutral {path}" for path in plain(NEUTRAL)],
        code=code(
            "tropism.geometry.states",
            "tropism.geometry.__main__",
            also=("tropism.config.models",),
        ),
    message:
        "Reading states of arms, part {wildcards.part}"
    shell:
        "python -m tropism.geometry read --arms {params.arms:q} --base $(dirname {input.base[0]:q}) --config {params.cfg:q}"
        " --model-config {params.model:q} {params.topics} {params.neutral} --states $(dirname {output:q})"
        " --code {params.code:q} --output {output:q} 2> {log:q}"


rule make_vectors:
    input:
        base=base_files(GEOMETRY.model) if GEOMETRY else [],
        topics=TOPICS,
        states=GEOMETRY_STATES,
    output:
        vectors="<results>/geometry/vectors.safetensors",
        layers="<results>/geometry/layers.safetensors",
        clusters="<results>/geometry/clusters.yaml",
        table=published("geometry_vectors"),
    log:
        "<logs>/geometry/vectors.log",
    benchmark:
        "<benchmarks>/geometry/vectors.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=120,
        gpu=1,
    params:
        cfg=geometry_settings(leave=("judge", *GEOMETRY_SAMPLING)),
        model=GEOMETRY_MODEL,
        topics=TOPIC_FLAGS,
        states=lambda wildcards, input: [f"--states {path}" for path in input.states],
        code=code("tropism.geometry.choose", "tropism.geometry.__main__"),
    message:
        "Choosing the layer of steering vectors"
    shell:
        "python -m tropism.geometry choose --base $(dirname {input.base[0]:q}) --config {params.cfg:q}"
        " --model-config {params.model:q} {params.topics} {params.states}"
        " --vectors {output.vectors:q} --layers {output.layers:q} --clusters {output.clusters:q}"
        " --output {output.table:q} 2> {log:q}"


rule analyse_geometry:
    input:
        vectors="<results>/geometry/vectors.safetensors",
        layers="<results>/geometry/layers.safetensors",
        clusters="<results>/geometry/clusters.yaml",
    output:
        pairs=published("geometry_pairs"),
        tests=published("geometry_tests"),
        coordinates=published("geometry_coordinates"),
        merges=published("geometry_merges"),
        layers=published("geometry_layers"),
    log:
        "<logs>/geometry/analyse.log",
    benchmark:
        "<benchmarks>/geometry/analyse.tsv"
    threads: 2
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=60,
    params:
        cfg=cfg("geometry.analysis") if GEOMETRY else "",
        code=code("tropism.geometry.report", "tropism.geometry.__main__"),
    message:
        "Comparing steering vectors"
    shell:
        "python -m tropism.geometry analyse {input.vectors:q} --clusters {input.clusters:q} --layers {input.layers:q}"
        " --config {params.cfg:q} --no-figures --output $(dirname {output.pairs:q}) > {log:q} 2>&1"


rule steer_arm:
    input:
        arm=lambda wildcards: arm_files(wildcards.arm),
        topics=TOPICS,
        vectors="<results>/geometry/vectors.safetensors",
    output:
        scores="<results>/geometry/steered/{arm}.parquet",
        generations="<results>/geometry/steered/{arm}.jsonl",
    log:
        "<logs>/geometry/steer.{arm}.log",
    benchmark:
        "<benchmarks>/geometry/steer.{arm}.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=240,
        gpu=1,
    params:
        cfg=geometry_settings(leave=("judge", "targets")),
        model=lambda wildcards: cfg(f"models.{ARMS[wildcards.arm].model}"),
        topics=TOPIC_FLAGS,
        adapter=lambda wildcards: adapter_flag(wildcards.arm),
        code=code("tropism.geometry.choose", "tropism.geometry.__main__"),
    message:
        "Steering {wildcards.arm}"
    shell:
        "python -m tropism.geometry steer --arm {wildcards.arm} --base $(dirname {input.arm[0]:q}) {params.adapter}"
        " --config {params.cfg:q} --model-config {params.model:q} {params.topics} --vectors {input.vectors:q}"
        " --output {output.scores:q} --generations {output.generations:q} 2> {log:q}"


GEOMETRY_SCORES = [
    f"<results>/geometry/steered/{arm}.parquet"
    for arm in (GEOMETRY.steered if GEOMETRY else [])
]
GEOMETRY_JUDGMENTS = [
    f"<results>/geometry/steered/judgments/{GEOMETRY_JUDGE}/{arm}.parquet"
    for arm in (GEOMETRY.steered if GEOMETRY_JUDGE else [])
]


rule tabulate_transfer:
    input:
        scores=GEOMETRY_SCORES,
        judgments=GEOMETRY_JUDGMENTS,
        calibration=labelling_judge(GEOMETRY) if GEOMETRY_JUDGMENTS else [],
    output:
        transfer=published("transfer"),
        doses=published("dose_response"),
    log:
        "<logs>/geometry/transfer.log",
    benchmark:
        "<benchmarks>/geometry/transfer.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=10,
    params:
        cfg=(
            canonical(GEOMETRY.model_dump(mode="json", exclude={"arms_per_job"}))
            if GEOMETRY
            else ""
        ),
        scores=lambda wildcards, input: [f"--scores {path}" for path in input.scores],
        judgments=lambda wildcards, input: [
            f"--judgments {path}" for path in input.judgments
        ],
        calibration=lambda wildcards, input: [
            f"--calibration {path}" for path in input.calibration
        ],
        code=code(
            "tropism.geometry.transfer",
            "tropism.geometry.__main__",
            also=("tropism.geometry.tables",),
        ),
    message:
        "Tabulating transfer of steering vectors"
    shell:
        "python -m tropism.geometry transfer {params.scores} {params.judgments} {params.calibration} --config {params.cfg:q} --output {output.transfer:q}"
        " --doses {output.doses:q} 2> {log:q}"


if GEOMETRY:
    TABLES += [
        f"<results>/tables/{name}.csv"
        for name in (
            "geometry_vectors",
            "geometry_pairs",
            "geometry_tests",
            "geometry_coordinates",
            "geometry_merges",
            "geometry_layers",
            "transfer",
            "dose_response",
        )
    ]
