# What stages share; sourced by them.
shopt -s inherit_errexit

# The README's code block after the comment <!-- ci: NAME -->.
readme_command() {
  awk -v marker="<!-- ci: $1 -->" '
    $0 == marker { found = 1; next }
    found && /^```/ { if (inside) { ended = 1; exit } inside = 1; next }
    inside
    END { exit !ended }' README.md || { echo "README.md has no block <!-- ci: $1 -->" >&2; exit 1; }
}

# A Python with some packages, in a virtual environment of some name outside of the repository.
python_with() {
  local folder=$DIFFKIT_CI_FOLDER/$1
  shift
  [[ -x $folder/bin/python ]] || python3 -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check "$@" >&2
  echo "$folder/bin/python"
}

# The one of the independent reader and of some tests.
small_python() { python_with small numpy xxhash h5py 'moto[s3,server]'; }
