"""The door without Hydra, from any folder."""
import subprocess
import sys


def test_the_package_is_found_from_anywhere(tmp_path):
    code = "from mammi import annotate; print(annotate([[0.], [1.]], [[1., 0.], [0., 1.]], [[0., 1.]], ['x']).concepts)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "[['x']]\n", done.stderr
