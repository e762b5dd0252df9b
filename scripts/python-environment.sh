# To be sourced in the repository's root: sets `python`, an interpreter in .venv that has what Tests/Process needs.

environment=.venv
requirements=Tests/Process/requirements.txt
python=$PWD/$environment/bin/python

# The copy tells whether what is installed is what is asked for now.
if ! cmp --silent "$requirements" "$environment/requirements.txt"; then
    if ! python3 -m venv "$environment"; then
        scripts/setup.sh python3-venv
        python3 -m venv "$environment"
    fi
    "$python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
    cp "$requirements" "$environment/requirements.txt"
fi
