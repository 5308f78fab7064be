# the judges as instruments: their tables of error and agreement
rule tabulate_thresholds:
    input:
        thresholds=[f"{judge}/thresholds.csv" for judge in JUDGES],
        roc=[f"{judge}/roc.csv" for judge in JUDGES],
    output:
        thresholds=published("judge_thresholds"),
        roc=published("judge_roc"),
    log:
        "<logs>/judge/thresholds.log",
    benchmark:
        "<benchmarks>/judge/thresholds.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=10,
    params:
        judges=plain(JUDGES),
        code=code(
            "tropism.judge.tables", "tropism.judge.__main__", "tropism.records.files"
        ),
    message:
        "Tabulating the judges' thresholds"
    shell:
        "python -m tropism.judge thresholds {params.judges} --output {output.thresholds:q} --roc {output.roc:q} 2> {log:q}"


rule compare_judges:
    input:
        judgments=JUDGMENTS,
    output:
        published("judge_agreement"),
    log:
        "<logs>/judge/agreement.log",
    benchmark:
        "<benchmarks>/judge/agreement.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=30,
    params:
        judgments=[f"--judgments {path}" for path in plain(JUDGMENTS)],
        code=code(
            "tropism.judge.agreement",
            "tropism.judge.__main__",
            "tropism.judge.exchange",
        ),
    message:
        "Measuring how far judges agree"
    shell:
        "python -m tropism.judge agree {params.judgments} --output {output:q} 2> {log:q}"


rule tabulate_judges:
    input:
        cards=[f"<results>/judges/{name}/card.json" for name in PROBES],
    output:
        published("judge_reliability"),
    log:
        "<logs>/judge/table.log",
    benchmark:
        "<benchmarks>/judge/table.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=10,
    params:
        code=code(
            "tropism.judge.tables", "tropism.judge.__main__", "tropism.records.files"
        ),
    message:
        "Tabulating how reliable the judges are"
    shell:
        "python -m tropism.judge table {input.cards:q} --output {output:q} 2> {log:q}"


if PROBES:
    TABLES.append("<results>/tables/judge_reliability.csv")
if JUDGES:
    TABLES += [
        "<results>/tables/judge_thresholds.csv",
        "<results>/tables/judge_roc.csv",
    ]
if len(JUDGES) > 1:
    TABLES.append("<results>/tables/judge_agreement.csv")
