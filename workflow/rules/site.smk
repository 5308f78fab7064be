# everything that a reader wants to see -> a page that opens from disk

SITE = "<results>/site"
PAGE = [
    f"workflow/tropism/site/assets/{path.name}"
    for path in sorted(Path(PACKAGE_FOLDER, "tropism", "site", "assets").iterdir())
]
READABLE = [
    name
    for name, dataset in EXPERIMENT.datasets.items()
    if dataset.kind in ("texts", "conversations")
    and (name in TRAINED or name in EXPERIMENT.evaluate.sets)
]
SITE_FILES = {
    "generations": each_arm("<results>/generations/{arm}.jsonl"),
    "judgments": JUDGMENTS,
    "calibration": CALIBRATIONS,
    "features": ENCODED,
    "tables": TABLES,
    "figures": FIGURES,
    "texts": [dataset_file(name) for name in READABLE],
    "spans": [f"<results>/spans/{name}.jsonl" for name in sorted(ANNOTATED)],
    "variants": [
        f"<results>/variants/{dataset}.{variant}.jsonl"
        for dataset, variant in VARIANTS
        if variant != "original"
    ],
}


rule build_site:
    input:
        **SITE_FILES,
        # found beside each SVG
        figure_files=[
            f"<results>/figures/{name}.{ending}"
            for name in FIGURE_TABLES
            for ending in ("pdf", "png", "csv", "rst")
        ],
        notes="docs/tables.md",
        captions="workflow/report/figure.rst",
        page=PAGE,
    output:
        directory(SITE),
    log:
        "<logs>/site/build.log",
    benchmark:
        "<benchmarks>/site/build.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=30,
    params:
        # a function, since sweeps hold braces, which Snakemake would read as wildcards
        cfg=lambda wildcards: canonical(SETTINGS),
        files=[
            f"--{kind} {path}"
            for kind, paths in SITE_FILES.items()
            for path in plain(paths)
        ],
        code=code("tropism.site"),
    message:
        "Building the page"
    shell:
        "python -m tropism.site build --config {params.cfg:q} {params.files} --notes {input.notes:q}"
        " --captions {input.captions:q} --output {output:q} 2> {log:q}"
