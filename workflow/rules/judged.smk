# what the rules of judges are made of: files, flags and which texts each judge is asked about
def judge_config(wildcards):
    return EXPERIMENT.judges[wildcards.judge]


def judge_files(wildcards, texts=""):
    """What a judge is made of: a probe's weights and the base that it reads with, or the model that it asks.

    Of one whose server is started here, what it answered in the one job that starts it; ``texts`` as in `judge_flags`.
    """
    judge = judge_config(wildcards)
    if judge.kind == "endpoint" and judge.serve:
        base = base_files(judge.model) if judge.model else []
        return [f"<results>/judges/{wildcards.judge}/asked{texts}.json", *base]
    files = (
        [f"<results>/judges/{wildcards.judge}/manifest.json"]
        if judge.kind == "probe"
        else []
    )
    return files + (base_files(judge.model) if judge.kind != "endpoint" else [])


def judge_flags(wildcards, texts=""):
    """``texts`` marks what is judged of an arm beside its responses: a file of answers belongs to one job."""
    judge = judge_config(wildcards)
    if judge.kind == "endpoint":
        name = (
            f"{wildcards.judge}{texts}/{wildcards.arm}"
            if "arm" in wildcards.keys()
            else f"{wildcards.judge}.references"
        )
        base = f"--base results/models/{judge.model}" if judge.model else ""
        return f"--answers results/{EXPERIMENT.experiment}/answers/{name}.sqlite {base}"
    probe = (
        f"--probe results/{EXPERIMENT.experiment}/judges/{wildcards.judge}"
        if judge.kind == "probe"
        else ""
    )
    return f"{probe} --base results/models/{judge.model}"


def judge_gpu(wildcards):
    """A judge in process reads a base, on a GPU where there is one; a server is only asked."""
    return 0 if judge_config(wildcards).kind == "endpoint" else 1


def judge_calls(wildcards):
    """One job that asks a server, so that a profile can bound how many of them ask it at once; 0 in process."""
    return 1 - judge_gpu(wildcards)


def rubric_files(wildcards):
    return [
        f"resources/rubrics/{name}.yaml" for name in judge_config(wildcards).rubrics
    ]


# where responses of changed or half-trained arms lie, and what marks a judge's own files about them
STEERED_TEXTS = {
    "steer": ".steer",
    "geometry/steered": ".geometry",
    "dynamics/watched": ".watch",
}


def steered_texts(stage):
    """The responses of changed or half-trained arms below ``stage``."""
    steered = {".steer": EXPERIMENT.steered, ".watch": WATCHED}
    if EXPERIMENT.steering:
        steered[".geometry"] = EXPERIMENT.steering.steered
    arms = steered.get(STEERED_TEXTS[stage], ())
    return [f"<results>/{stage}/{arm}.jsonl" for arm in arms]


def texts_judged_by(judge):
    """Such responses that ``judge`` is asked about, by what marks its own files about them."""
    judges = {".steer": STEER_JUDGE, ".geometry": GEOMETRY_JUDGE, ".watch": WATCH_JUDGE}
    return {
        texts: plain(steered_texts(stage))
        for stage, texts in STEERED_TEXTS.items()
        if judges[texts] == judge
    }


def texts_to_judge(wildcards):
    """The generations that the judge's one job with a server asks about."""
    for stage, texts in STEERED_TEXTS.items():
        if wildcards.texts == texts:
            return steered_texts(stage)
    return each_arm("<results>/generations/{arm}.jsonl")


def references_to_judge(wildcards):
    names = [] if wildcards.texts else judge_config(wildcards).references
    return [dataset_file(name) for name in names]


def scoring_config(wildcards):
    """What decides a judge's scores. Its thresholds do not, nor do references, except those that a probe learned from."""
    judge = judge_config(wildcards)
    leave = ("thresholds", "price_input", "price_output")
    own = () if judge.kind == "probe" else ("references",)
    return cfg(f"judges.{wildcards.judge}", leave=(*leave, *own))


def labels_of(settings):
    """The judgments that label responses for a stage: its own judge's, by default the first one's."""
    judge = (settings.judge if settings else None) or next(
        iter(EXPERIMENT.judges), None
    )
    return [
        f"<results>/judgments/{judge}/{arm}.parquet" for arm in FEATURE_ARMS if judge
    ]


def labelling_judge(settings):
    """The calibration of the judge whose judgments label responses for a stage."""
    judge = (settings.judge if settings else None) or next(
        iter(EXPERIMENT.judges), None
    )
    return [f"<results>/judges/{judge}/calibration.json"] if judge else []
