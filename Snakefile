# Tropism: from poems to figures. `snakemake --cores all all`, or `make demo`.
# Stages are in workflow/rules, one file each; settings in config.yaml and overlays in workflow/experiments.


configfile: "config.yaml"


container: "envs/tropism.sif"  # for `--sdm apptainer`; built by envs/tropism.def


include: "workflow/rules/common.smk"


pathvars:
    results=f"results/{EXPERIMENT.experiment}",
    logs=f"results/{EXPERIMENT.experiment}/logs",
    benchmarks=f"results/{EXPERIMENT.experiment}/benchmarks",


for stage in (
    "inputs judged download corpora models annotate mask train generate judge instruments likelihood"
    " stats sae detect steer dynamics warning narrow geometry figures site archive"
).split():

    include: f"workflow/rules/{stage}.smk"


rule all:
    default_target: True
    input:
        TABLES,
        FIGURES,
        LATEX,
        KEPT,
        SITE,
