# Input functions and flags of the rules: which files a job needs, given its wildcards.


def annotator_files(wildcards):
    """What the annotator is made of: the base that it reads with, the probe's weights, or labels that exist."""
    annotator = EXPERIMENT.annotator
    if annotator.kind == "gold":
        return [annotator.gold]
    files = base_files(annotator.model) if annotator.model else []
    return files + (
        [f"{annotator.probe}/probe.safetensors", f"{annotator.probe}/probe.json"]
        if annotator.kind == "probe"
        else []
    )


def annotator_flag(wildcards):
    """The annotator's base, its settings where it answers in process, and what a chat model answered already.

    A file of answers belongs to one job, and no judge's name has a dot.
    """
    annotator = EXPERIMENT.annotator
    model = f"--model results/models/{annotator.model}" if annotator.model else ""
    if annotator.kind != "llm":
        return model
    if not annotator.llm.base_url:
        model += f" --model-config {shlex.quote(reading_settings(annotator.model))}"
    own = f"texts/{wildcards.dataset}" if "dataset" in wildcards.keys() else "gold"
    return f"--answers results/{EXPERIMENT.experiment}/answers/annotate.{own}.sqlite {model}"


def literal_counterpart(wildcards):
    literal = EXPERIMENT.datasets[wildcards.dataset].literal
    return [dataset_file(literal)] if wildcards.variant == "literal" else []


def last_step(wildcards):
    arm, depth = LINEAGES[wildcards.lineage]
    return arm.steps[depth - 1].settings


def training_rows(settings):
    """The rows that a step trains on. Unmasked ones wait for no annotation, and no new annotator trains them again."""
    if settings.variant == "original":
        return dataset_file(settings.dataset)
    return f"<results>/variants/{settings.dataset}.{settings.variant}.jsonl"


def mask_flag(settings):
    """How masks of a step's rows are read; unmasked rows have none, and train alike in both modes."""
    masked = EXPERIMENT.masking.mode == "loss" and settings.variant != "original"
    return "--loss-masked" if masked else ""


def training_mb(wildcards, input):
    """MB of the host's memory of a training, by what its base's manifest says of the size; once the base is there.

    A parameter takes 16 bytes where all are trained (weight, gradient, Adam's two moments, in float32; see
    tropism/train/memory.py), else its number format's. 1,400 MB hold libraries, Snakemake and a text's activations.
    Every process of several (resource `gpu`) reads the base through the host's memory; where all weights are trained,
    in float32, and the first gathers weights and moments there for a checkpoint, 12 bytes a parameter.
    """
    arm, depth = LINEAGES[wildcards.lineage]
    manifest = json.loads(Path(input.base[0]).read_text())
    files = manifest["files"].items()
    # a base from the hub does not say; published weights are in formats of two bytes
    stored = sum(file["bytes"] for name, file in files if name.endswith(".safetensors"))
    parameters = manifest.get("parameters", stored // 2)
    size = {"float32": 4, "bfloat16": 2}[EXPERIMENT.models[arm.model].dtype]
    trained_by = "train_model" if wildcards.lineage in FULL_LINEAGES else "train_step"
    processes = workflow.get_rule(trained_by).resources["gpu"].value
    if last_step(wildcards).method == "full":
        each = 16 if processes == 1 else 4 * processes + 12
    else:
        each = size * processes
    return max(2000, 1400 * processes + parameters * each // 10**6)


def kl_datasets(step):
    return step.kl.datasets if step.kl else []


def parent_lineage(wildcards):
    arm, depth = LINEAGES[wildcards.lineage]
    return arm.lineage(depth - 1)


def dictionary_source(sae):
    """The registered dictionary that is fetched before the jobs begin; None for one that is trained or loaded otherwise."""
    if not (sae and sae.source and sae.source.kind == "registered"):
        return None
    name = sae.source.release
    entry = registered(name)
    if entry is None or entry.kind != "sae" or not on_hub(name):
        raise WorkflowError(
            f"sae: source: no `sae` on the hub (location `hub:...`) is registered as `{name}` in"
            f" {EXPERIMENT.registry}; one on disk is loaded by `kind: folder`"
        )
    return name


def dictionary_files(sae):
    """The files of a dictionary that is loaded, so that another one in their place is noticed."""
    if dictionary_source(sae):
        return source_file(sae.source.release)
    if not (sae and sae.source and sae.source.kind == "folder"):
        return []
    folder = Path(sae.source.release, sae.source.id or "")
    files = ("cfg.json", "sae_weights.safetensors", "manifest.json")
    return [str(folder / name) for name in files if (folder / name).is_file()]


def adapter_source(source):
    """The files of a registered adapter."""
    entry = registered(source)
    if entry is None or entry.kind != "adapter":
        raise WorkflowError(
            f"arms: adapter: no `adapter` is registered as `{source}` in {EXPERIMENT.registry}"
        )
    if on_hub(source):
        return source_file(source)
    return [
        f"{entry.location}/{name}"
        for name in ("adapter_config.json", "adapter_model.safetensors")
    ]


def likelihood_config():
    """What decides likelihoods: which instruments of theirs are wanted, not which rubrics judges apply."""
    evaluate = SETTINGS["evaluate"]
    own = [
        name for name in evaluate["instruments"] if name in ("likelihood", "truthfulqa")
    ]
    kept = {key: evaluate[key] for key in ("sets", "truthfulqa", "batch_tokens")}
    return canonical({**kept, "instruments": own})


def arms_of(model):
    return [name for name, arm in ARMS.items() if arm.model == model and arm.evaluate]


def sharing_arms(wildcards):
    """The arms that one job answers for, loading their base once."""
    size = EXPERIMENT.serving[wildcards.model].arms_per_job
    return arms_of(wildcards.model)[int(wildcards.part) * size :][:size]


def shared_answers(arm):
    """What says that an arm was answered together with others; when one of them changes, all collect their parts."""
    model = ARMS[arm].model
    if model not in EXPERIMENT.serving:
        return []
    part = arms_of(model).index(arm) // EXPERIMENT.serving[model].arms_per_job
    return [f"<results>/answered/{model}.{part}.json"]


def serving_flag(arm):
    model = ARMS[arm].model
    return (
        f"--serving {shlex.quote(cfg(f'serving.{model}'))}"
        if model in EXPERIMENT.serving
        else ""
    )


def solution_step(wildcards):
    return ARMS[COMPARED[wildcards.narrow]].steps[-1].settings


def solution_arms(wildcards):
    """The general arm and the narrow one."""
    return [COMPARED[wildcards.narrow], wildcards.narrow]


def drift_sides(wildcards):
    """The arms whose margins say whether a narrow one drifts back, by what each is to it."""
    name = wildcards.narrow
    sides = {"general": COMPARED[name], "narrow": name}
    if name in EXPERIMENT.drifted:
        sides["drifted"] = EXPERIMENT.drifted[name]
        if name in EXPERIMENT.held:
            sides["held"] = EXPERIMENT.held[name]
    return sides


def current_commit():
    """The first characters of the checkout's commit; an unpacked archive is no checkout."""
    done = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True
    )
    return done.stdout.strip() if done.returncode == 0 else "no-commit"


def part_of(parts, wildcards):
    """The arms of one job, of those in parts; see `shared_parts`."""
    return parts[int(wildcards.part)]
