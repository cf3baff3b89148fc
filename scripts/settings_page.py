"""Write docs/training-settings.md from the dataclasses of settings:  python scripts/settings_page.py."""

from __future__ import annotations

from pathlib import Path

from openclap.train.distillation.settings import Distill, DistillSettings
from openclap.train.explain import settings_table, yaml_value
from openclap.train.finetuning.settings import DEFAULTS, SupervisedSettings, Supervision
from openclap.train.settings import Augment, Lora, Settings, Source
from openclap.train.tagging.settings import MixSettings, TaggerSettings, Tags, TagSettings

PAGE = Path(__file__).parent.parent / "docs" / "training-settings.md"


def page() -> str:
    """The whole page."""
    others = ", ".join(f"`{name}: {yaml_value(value)}`" for name, value in DEFAULTS.items())
    return f"""# All settings of training

Made from the code by `python scripts/settings_page.py`. They stand in a YAML file; `openclap train --init-config FILE` writes one with all of them. What is left out has its default.
Paths are relative to the file. How they are used: [training.md](training.md).

## Every training

{settings_table(Settings)}
## sources: each

{settings_table(Source)}
## augment

Each `…_share` is the share of clips it is done to.

{settings_table(Augment)}
## lora

{settings_table(Lora)}
## openclap finetune

Other defaults than above: {others}. More: [finetuning.md](finetuning.md).

{settings_table(SupervisedSettings, without=Settings)}
### supervised

{settings_table(Supervision)}
## openclap distill

More: [distillation.md](distillation.md).

{settings_table(DistillSettings, without=Settings)}
### distill

{settings_table(Distill)}
## openclap distill, from taggers

More: [tagging.md](tagging.md).

{settings_table(TagSettings, without=Settings)}
### taggers: each

{settings_table(TaggerSettings)}
### play

{settings_table(MixSettings)}
### tags

{settings_table(Tags)}"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
