# published tables -> figures, each with the CSV of what it shows
from tropism.figures.catalogue import CATALOGUE


report: "../report/workflow.rst"


PUBLISHED = {Path(table).stem: table for table in TABLES}
# calibration lies beside each trained judge: it is shown with the table of judges, which is made from the same
BESIDE = {"judge": [f"<results>/judges/{judge}/reliability.csv" for judge in PROBES]}
FIGURE_TABLES = {
    name: [*(PUBLISHED[table] for table in figure.tables), *BESIDE.get(name, [])]
    for name, figure in CATALOGUE.items()
    if set(figure.tables) <= set(PUBLISHED)
}
FIGURES = [f"<results>/figures/{name}.svg" for name in FIGURE_TABLES]

UNTRAINED = {arm.model: name for name, arm in reversed(ARMS.items()) if arm.untrained}
GROUPS = {name: ARMS[members[0]] for name, members in EXPERIMENT.groups.items()}
ARM_ORDER = ",".join(
    f"{name}={UNTRAINED.get(arm.model, '')}" for name, arm in {**ARMS, **GROUPS}.items()
)

# the sentences of all figures are found by name, so that no import says which of these a figure needs
FINDINGS = sorted(
    f"tropism.figures.findings.{path.stem}"
    for path in Path(workflow.basedir, "workflow/tropism/figures/findings").glob("*.py")
    if path.stem != "__init__"
)


rule draw_figure:
    input:
        tables=lambda wildcards: FIGURE_TABLES[wildcards.figure],
    output:
        svg=report(
            "<results>/figures/{figure}.svg",
            caption="../report/figure.rst",
            category="Figures",
            subcategory=lambda wildcards: CATALOGUE[wildcards.figure].section,
            labels=lambda wildcards: {"figure": CATALOGUE[wildcards.figure].title},
        ),
        pdf="<results>/figures/{figure}.pdf",
        png="<results>/figures/{figure}.png",
        points="<results>/figures/{figure}.csv",
        findings="<results>/figures/{figure}.rst",
    log:
        "<logs>/figures/{figure}.log",
    benchmark:
        "<benchmarks>/figures/{figure}.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=10,
    params:
        tables=lambda wildcards, input: [f"--tables {path}" for path in input.tables],
        arms=lambda wildcards: (
            f"--arms {ARM_ORDER}" if CATALOGUE[wildcards.figure].by_arm else ""
        ),
        code=lambda wildcards: code(
            f"tropism.figures.{wildcards.figure}",
            "tropism.figures.__main__",
            "tropism.figures.findings",
            *FINDINGS,
        ),
    message:
        "Drawing {wildcards.figure}"
    shell:
        "python -m tropism.figures draw {wildcards.figure} {params.tables} {params.arms}"
        " --output-stem $(dirname {output.svg:q})/{wildcards.figure} 2> {log:q}"


LATEX = "<results>/latex"


rule write_latex:
    input:
        tables=TABLES,
        notes="docs/tables.md",
    output:
        directory(LATEX),
    log:
        "<logs>/figures/latex.log",
    benchmark:
        "<benchmarks>/figures/latex.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=10,
    params:
        tables=[f"--tables {path}" for path in plain(TABLES)],
        code=code("tropism.figures.latex", "tropism.figures.__main__"),
    message:
        "Writing tables and numbers as LaTeX"
    shell:
        "python -m tropism.figures latex {params.tables} --notes {input.notes:q} --output {output:q} 2> {log:q}"
