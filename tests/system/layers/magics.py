"""Run by the test with the layer on its path: a map."""

# mypy: ignore-errors

import json
import sys
from pathlib import Path

from Magics import macro

picture = Path(sys.argv[1]) / "magics.png"
output = macro.output(
    output_formats=["png"], output_name=str(picture.with_suffix("")), output_name_first_page_number="off"
)
macro.plot(output, macro.mmap(), macro.mcoast())
print(json.dumps({"picture": picture.stat().st_size}))
