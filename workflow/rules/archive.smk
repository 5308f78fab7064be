# a finished experiment -> Snakemake's report; one deterministic file: `snakemake --cores 1 archive`
import json
import subprocess

ARCHIVE = f"<results>/archive/{EXPERIMENT.experiment}-{current_commit()}.tar.gz"


REPORT = "<results>/report.html"


rule write_report:
    input:
        TABLES,
        FIGURES,
        LATEX,
        KEPT,
        SITE,
        # what it says of figures and tables, which may change where these do not
        findings=[f"<results>/figures/{name}.rst" for name in FIGURE_TABLES],
        captions=sorted(map(str, Path("workflow/report").rglob("*.rst"))),
    output:
        REPORT,
    log:
        "<logs>/archive/report.log",
    benchmark:
        "<benchmarks>/archive/report.tsv"
    # here and not on another machine: it is made of this folder's record of the run
    localrule: True
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=60,
    params:
        cfg=lambda wildcards: json.dumps(config, ensure_ascii=False),
        code=code("tropism.archive.report"),
    message:
        "Writing the report"
    shell:
        "python -m tropism.archive report --config {params.cfg:q} --output {output:q} 2> {log:q}"


rule pack_archive:
    input:
        TABLES,
        FIGURES,
        LATEX,
        KEPT,
        SITE,
        REPORT,
    output:
        ARCHIVE,
    log:
        "<logs>/archive/pack.log",
    benchmark:
        "<benchmarks>/archive/pack.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=240,
    params:
        # in the order of the settings, which has a meaning (the first judge); all else compares canonical text
        cfg=lambda wildcards: json.dumps(config, ensure_ascii=False),
        code=code("tropism.archive"),
    message:
        "Archiving {EXPERIMENT.experiment}"
    shell:
        "python -m tropism.archive pack --config {params.cfg:q} --output {output:q} 2> {log:q}"


rule archive:
    input:
        ARCHIVE,
